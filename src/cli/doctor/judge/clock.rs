//! PURE. Whether this machine's clock, the broker's and those in the records agree.

use std::ops::RangeInclusive;

use super::Finding;

const CHECK: &str = "clock";
const FIX: &str = "set the clocks by NTP (chronyc tracking, timedatectl)";

/// The broker's clock against ours: what it said, and when it was asked and was heard, in seconds since
/// 1970. How long it took to answer is not held against it.
pub(in crate::cli::doctor) fn broker(said: i64, between: RangeInclusive<i64>) -> Finding {
    let (ahead, behind) = (said - between.end(), between.start() - said);
    let apart = ahead.max(behind).max(0);
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let found = format!("the broker's clock is {apart} s {way} this machine's");
    match apart {
        0..=2 => Finding::ok(CHECK, "the broker's clock agrees with this machine's"),
        3..=60 => Finding::warn(CHECK, found, FIX),
        _ => Finding::fail(CHECK, found, FIX),
    }
}

/// The newest record; `ahead_ms` is how far its time is ahead of our clock.
pub(in crate::cli::doctor) fn newest_record(partition: &str, ahead_ms: i64) -> Finding {
    const CHECK: &str = "record times";
    if ahead_ms <= 5_000 {
        return Finding::ok(CHECK, "no record is from the future");
    }
    let found = format!("{partition} has a record from {} s in the future", ahead_ms / 1000);
    Finding::warn(
        CHECK,
        found,
        "retention by time keeps such segments: set the producer's clock, or message.timestamp.after.max.ms",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn clocks_may_differ_by_what_a_header_of_whole_seconds_can_tell() {
        let levels = [100, 98, 103, 40, 161].map(|said| broker(said, 100..=100).level);
        assert_eq!(levels, [Level::Ok, Level::Ok, Level::Warn, Level::Warn, Level::Fail]);
        // One that took its time to answer.
        let levels = [97, 98, 105, 112, 113].map(|said| broker(said, 100..=110).level);
        assert_eq!(levels, [Level::Warn, Level::Ok, Level::Ok, Level::Ok, Level::Warn]);
        assert_eq!(newest_record("t-0", -1).level, Level::Ok);
        assert_eq!(newest_record("t-0", 3_600_000).level, Level::Warn);
    }
}
