//! PURE. Room on the disk, and how fast it is.

use std::time::Duration;

use super::Finding;

/// Room on the disk of a directory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::doctor) struct Room {
    /// Free.
    pub(in crate::cli::doctor) free: u64,
    /// In all.
    pub(in crate::cli::doctor) total: u64,
    /// Topics stop growing below.
    pub(in crate::cli::doctor) low: u64,
    /// They go on from here.
    pub(in crate::cli::doctor) high: u64,
}

/// Free space against the marks.
pub(in crate::cli::doctor) fn room(dir: &str, room: Room) -> Finding {
    const CHECK: &str = "disk space";
    const FIX: &str = "free space on the disk, or lower retention.ms or retention.bytes of topics";
    let Room { free, total, low, high } = room;
    let found = format!("{} of {} free in {dir}", mib(free), mib(total));
    if free < low {
        return Finding::fail(
            CHECK,
            format!("{found}: topics do not grow below {}", mib(low)),
            FIX,
        );
    }
    // Between the marks a disk that was full still is, and twice the high mark is soon used up.
    if free < high.saturating_mul(2) {
        return Finding::warn(CHECK, format!("{found}: topics stop growing at {}", mib(low)), FIX);
    }
    Finding::ok(CHECK, found)
}

/// A size for a person.
fn mib(bytes: u64) -> String {
    match bytes >> 20 {
        mib if mib >= 10 << 10 => format!("{} GiB", mib >> 10),
        mib => format!("{mib} MiB"),
    }
}

/// A sync of a few kilobytes, several times, and one long write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::doctor) struct Probe {
    /// The sync in the middle.
    pub(in crate::cli::doctor) median: Duration,
    /// The slowest.
    pub(in crate::cli::doctor) worst: Duration,
    /// Bytes written at a stretch and synced once, in a second.
    pub(in crate::cli::doctor) bytes_per_second: u64,
}

/// How long an ack of `durability=disk` must wait at least.
pub(in crate::cli::doctor) fn sync(dir: &str, probe: Probe) -> Finding {
    const CHECK: &str = "sync";
    const TOO_FAST: Duration = Duration::from_micros(15);
    const SLOW: Duration = Duration::from_millis(20);
    const STUCK: Duration = Duration::from_millis(500);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, worst) = (ms(probe.median), ms(probe.worst));
    let found = format!("a sync in {dir} takes {median:.3} ms, at worst {worst:.1} ms");
    if probe.median >= STUCK {
        let fix = "look at the disk (dmesg, iostat): it is failing, or shared with too much else";
        return Finding::fail(CHECK, found, fix);
    }
    if probe.median >= SLOW {
        let fix = "acks=all waits for it: use a faster disk, or durability=page-cache for topics that may lose their tail in a power cut";
        return Finding::warn(CHECK, found, fix);
    }
    if probe.median < TOO_FAST {
        let fix = "no disk is that fast: is it memory (tmpfs), or a volume that ignores syncs? an ack promises nothing there";
        return Finding::warn(CHECK, found, fix);
    }
    Finding::ok(CHECK, found)
}

/// How fast the disk takes a long write.
pub(in crate::cli::doctor) fn speed(dir: &str, probe: Probe) -> Finding {
    const CHECK: &str = "disk speed";
    let mb = probe.bytes_per_second / 1_000_000;
    let found = format!("{dir} takes {mb} MB/s");
    match mb {
        0..20 => {
            Finding::warn(CHECK, found, "use a faster disk, or expect producers to wait for it")
        }
        _ => Finding::ok(CHECK, found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn space_is_judged_by_the_marks() {
        let level = |free: u64| {
            room("d", Room { free: free << 20, total: 1 << 40, low: 256 << 20, high: 512 << 20 })
                .level
        };
        assert_eq!(level(255), Level::Fail);
        assert_eq!(level(256), Level::Warn);
        assert_eq!(level(1023), Level::Warn);
        assert_eq!(level(1024), Level::Ok);
    }

    #[test]
    fn syncs_may_be_too_slow_and_too_fast() {
        let level = |us| {
            let median = Duration::from_micros(us);
            sync("d", Probe { median, worst: median, bytes_per_second: 0 }).level
        };
        assert_eq!(level(2), Level::Warn);
        assert_eq!(level(400), Level::Ok);
        assert_eq!(level(30_000), Level::Warn);
        assert_eq!(level(700_000), Level::Fail);
    }

    #[test]
    fn a_slow_disk_is_told() {
        let level = |bytes_per_second| {
            let (median, worst) = (Duration::ZERO, Duration::ZERO);
            speed("d", Probe { median, worst, bytes_per_second }).level
        };
        assert_eq!((level(5_000_000), level(500_000_000)), (Level::Warn, Level::Ok));
    }
}
