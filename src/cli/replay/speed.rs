//! `--speed 1x|10x|max` and `--rate N/s`, pure: text → [`Pace`], and back into words.

use std::time::Duration;

use duramen_client::replay::Pace;

/// Reads `max`, or a factor as `1x`, `10x`, `0.5x`.
///
/// # Errors
/// When it is neither.
pub(super) fn speed(text: &str) -> Result<Pace, String> {
    if text == "max" {
        return Ok(Pace::Max);
    }
    let factor = text.strip_suffix('x').and_then(positive);
    factor.map(Pace::Original).ok_or_else(|| "write 1x, 10x, 0.5x or max".to_owned())
}

/// Reads a number of records a second, as `500/s`, also `30/m` and `1000/h`.
///
/// # Errors
/// When it is none.
pub(super) fn rate(text: &str) -> Result<Pace, String> {
    let (number, seconds) = match text.split_once('/') {
        None => (text, 1.0),
        Some((number, "s")) => (number, 1.0),
        Some((number, "m")) => (number, 60.0),
        Some((number, "h")) => (number, 3600.0),
        Some(_) => ("", 1.0),
    };
    let rate = positive(number).map(|number| number / seconds);
    rate.map(Pace::Rate).ok_or_else(|| "write records a second as 500/s, 30/m or 1000/h".to_owned())
}

/// A number from a billionth to a billion.
fn positive(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|number| plain && (1e-9..=1e9).contains(number))
}

/// The pace in words.
pub(super) fn words(pace: Pace) -> String {
    match pace {
        Pace::Max => "as fast as it goes".to_owned(),
        Pace::Original(1.0) => "original timing".to_owned(),
        Pace::Original(speed) => format!("original timing, {speed} times as fast"),
        Pace::Rate(rate) => format!("{rate} records a second"),
        pace => format!("{pace:?}"),
    }
}

/// How long records that span `span_ms` take, where the pace says.
pub(super) fn takes(pace: Pace, records: u64, span_ms: i64) -> Option<Duration> {
    let seconds = match pace {
        Pace::Original(speed) => span_ms.max(0) as f64 / 1000.0 / speed,
        Pace::Rate(rate) => records.saturating_sub(1) as f64 / rate,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces_as_people_write_them() {
        assert_eq!(speed("max"), Ok(Pace::Max));
        assert_eq!(speed("1x"), Ok(Pace::Original(1.0)));
        assert_eq!(speed("0.5x"), Ok(Pace::Original(0.5)));
        assert_eq!(rate("500/s"), Ok(Pace::Rate(500.0)));
        assert_eq!(rate("500"), Ok(Pace::Rate(500.0)));
        assert_eq!(rate("30/m"), Ok(Pace::Rate(0.5)));
        for slip in ["", "x", "0x", "-1x", "1", "1e3x", "infx", "nanx", "9999999999x"] {
            assert!(speed(slip).is_err(), "{slip}");
        }
        for slip in ["", "0", "0/s", "-5/s", "5/d", "5//s", "x/s"] {
            assert!(rate(slip).is_err(), "{slip}");
        }
    }

    #[test]
    fn the_time_it_takes() {
        assert_eq!(takes(Pace::Max, 10, 1000), None);
        assert_eq!(takes(Pace::Original(10.0), 10, 60_000), Some(Duration::from_secs(6)));
        assert_eq!(takes(Pace::Rate(2.0), 11, 60_000), Some(Duration::from_secs(5)));
        assert_eq!(takes(Pace::Rate(2.0), 0, 0), Some(Duration::ZERO));
        assert_eq!(words(Pace::Original(10.0)), "original timing, 10 times as fast");
    }
}
