//! How values are read, pure.

use std::time::Duration;

/// `true` or `false`, in any case.
pub(super) fn flag(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A whole number from `min` to Kafka's largest `int`.
pub(super) fn number(value: &str, min: i32) -> Option<u32> {
    let number: i32 = value.parse().ok()?;
    u32::try_from(number).ok().filter(|_| number >= min)
}

/// The parts of a list between commas, none of them empty.
pub(super) fn list(value: &str) -> Vec<&str> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// A time in the form of ISO 8601, as Java writes it: `P7D`, `PT1H30M`, `P1DT0.5S`; never negative.
pub(super) fn iso_duration(value: &str) -> Option<Duration> {
    let rest = value.strip_prefix(['P', 'p'])?;
    let (days, time) = match rest.split_once(['T', 't']) {
        Some((days, time)) => (days, Some(time)),
        None => (rest, None),
    };
    let mut sum = Duration::ZERO;
    let mut any = false;
    let mut take = |number: &str, seconds: u64| {
        any = true;
        let whole = Duration::from_secs(digits(number)?.checked_mul(seconds)?);
        sum = sum.checked_add(whole)?;
        Some(())
    };
    if !days.is_empty() {
        take(days.strip_suffix(['D', 'd'])?, 86_400)?;
    }
    let mut fraction = Duration::ZERO;
    if let Some(mut time) = time {
        for (unit, seconds) in [('h', 3600), ('m', 60)] {
            if let Some((number, rest)) = time.split_once([unit, unit.to_ascii_uppercase()]) {
                take(number, seconds)?;
                time = rest;
            }
        }
        if !time.is_empty() {
            let number = time.strip_suffix(['S', 's'])?;
            let (whole, part) = number.split_once(['.', ',']).unwrap_or((number, ""));
            take(whole, 1)?;
            fraction = nanos(part)?;
        }
    }
    if any { sum.checked_add(fraction) } else { None }
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Digits behind the point of a second.
fn nanos(part: &str) -> Option<Duration> {
    if part.is_empty() {
        return Some(Duration::ZERO);
    }
    let scale = 9_u32.checked_sub(u32::try_from(part.len()).ok()?)?;
    Some(Duration::from_nanos(digits(part)? * 10_u64.pow(scale)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_as_java_writes_them() {
        for (text, ms) in [
            ("PT0S", 0),
            ("P7D", 7 * 86_400_000),
            ("PT1H30M", 5_400_000),
            ("p1dt2h3m4.5s", 93_784_500),
            ("PT0.001S", 1),
            ("PT8M", 480_000),
        ] {
            assert_eq!(iso_duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in
            ["", "P", "PT", "7D", "P-1D", "PT1", "PT1M1H", "PD", "P1H", "PT1.0000000001S", "PT+1S"]
        {
            assert_eq!(iso_duration(text), None, "{text}");
        }
        assert_eq!(iso_duration("P999999999999999999D"), None, "more than there is");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_text_panics(text in "[PTDHMS0-9.,+-]{0,24}") {
            let _ = iso_duration(&text);
        }
    }
}
