//! Times as people type them: instants, dates, unix times and durations.

use jiff::{Timestamp, civil, tz::TimeZone};

/// A time as it was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSpec {
    /// An instant, in milliseconds since 1970 UTC.
    At(i64),
    /// A distance in milliseconds, negative for the past; what it counts from depends on its place.
    Relative(i64),
    /// The word `end`.
    End,
}

/// Why a time could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no time; write 2026-11-22, 2026-11-22T10:30:00Z, a unix time in seconds or \
     milliseconds, or a duration as -15m or 1h"
)]
pub struct TimeError(pub String);

/// Reads one time: 13 digits are milliseconds, 9 or 10 digits seconds, then dates, RFC 3339, durations.
///
/// # Errors
/// When the text is none of these.
pub fn parse_time(text: &str) -> Result<TimeSpec, TimeError> {
    if text.eq_ignore_ascii_case("end") {
        return Ok(TimeSpec::End);
    }
    parse_unix(text)
        .or_else(|| parse_calendar(text))
        .map(TimeSpec::At)
        .or_else(|| parse_duration_ms(text).map(TimeSpec::Relative))
        .ok_or_else(|| TimeError(text.to_owned()))
}

fn parse_unix(text: &str) -> Option<i64> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i64 = text.parse().ok()?;
    match text.len() {
        13 => Some(number),
        9 | 10 => Some(number * 1000),
        _ => None,
    }
}

/// RFC 3339, a date (midnight UTC), or a date and time without an offset (taken as UTC).
fn parse_calendar(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    // A cheap gate: jiff also reads spans and other forms that mean something else here.
    if bytes.len() < 10 || bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant.as_millisecond());
    }
    let civil = text.parse::<civil::DateTime>().ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// Reads `-1h30m`, `500ms`, `2d`: one or more numbers with the units ms, s, m, h, d, w.
#[must_use]
pub fn parse_duration_ms(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at_checked(letters)?;
        let unit_ms: i64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        total = total.checked_add(scaled(number, unit_ms)?)?;
        rest = after;
    }
    Some(sign * total)
}

/// `number` (digits with at most one point) times `unit_ms`, without a float on the whole part.
fn scaled(number: &str, unit_ms: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || fraction.len() > 9 {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(unit_ms)?;
    if !fraction.is_empty() {
        let digits: i64 = fraction.parse().ok()?;
        let scale = 10_i64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        total = total.checked_add(digits.checked_mul(unit_ms)? / scale)?;
    }
    Some(total)
}

/// Writes an instant as RFC 3339 in UTC with milliseconds; a value outside the calendar as its number.
#[must_use]
pub fn rfc3339(timestamp_ms: i64) -> String {
    match Timestamp::from_millisecond(timestamp_ms) {
        Ok(instant) => format!("{instant:.3}"),
        Err(_) => timestamp_ms.to_string(),
    }
}

/// The wall clock in milliseconds since 1970 UTC.
#[must_use]
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Reads the `Date` header of HTTP (`Thu, 26 Nov 2026 20:34:17 GMT`).
#[must_use]
pub fn http_date_ms(text: &str) -> Option<i64> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form_is_read() {
        let day = 1_644_796_800_000; // 2022-02-14T00:00:00Z
        for (text, want) in [
            ("1644796800000", TimeSpec::At(day)),
            ("1644796800", TimeSpec::At(day)),
            ("2022-02-14", TimeSpec::At(day)),
            ("2022-02-14T00:00:00Z", TimeSpec::At(day)),
            ("2022-02-14T01:00:00+01:00", TimeSpec::At(day)),
            ("2022-02-14T00:00:00.250Z", TimeSpec::At(day + 250)),
            ("2022-02-14T00:00:00", TimeSpec::At(day)),
            ("2022-02-14T00:00", TimeSpec::At(day)),
            ("-1m", TimeSpec::Relative(-60_000)),
            ("1h", TimeSpec::Relative(3_600_000)),
            ("-1h30m", TimeSpec::Relative(-5_400_000)),
            ("1.5h", TimeSpec::Relative(5_400_000)),
            ("250ms", TimeSpec::Relative(250)),
            ("2d", TimeSpec::Relative(172_800_000)),
            ("end", TimeSpec::End),
        ] {
            assert_eq!(parse_time(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "-", "12", "1x", "m", "2022-13-01", "2022-02-30", "1..5h", "99999999999w"]
        {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_date_header_is_read() {
        assert_eq!(http_date_ms("Mon, 14 Feb 2022 00:00:00 GMT"), Some(1_644_796_800_000));
        assert_eq!(http_date_ms("soon"), None);
    }

    #[test]
    fn an_instant_is_written_as_rfc3339() {
        assert_eq!(rfc3339(1_644_796_800_250), "2022-02-14T00:00:00.250Z");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
    }
}
