//! PURE. Descriptors and memory maps: what is used and what will be, against what is allowed.

use super::Finding;

/// One thing that the system hands out in limited number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::doctor) struct Use {
    /// In use; `None` for a node that is stopped.
    pub(in crate::cli::doctor) now: Option<u64>,
    /// Needed for all that is there and may come.
    pub(in crate::cli::doctor) need: u64,
    /// Allowed.
    pub(in crate::cli::doctor) limit: u64,
}

/// Descriptors that a process has besides logs and connections.
const OWN_FILES: u64 = 64;
/// Maps that a process has besides segments: the program, its heap, the stacks of its threads.
const OWN_MAPS: u64 = 256;
/// A broker that has fewer soon stands before clients it can't accept.
const FILES_LEAST: u64 = 4096;

/// Descriptors for so many logs, segments kept open and connections: one each.
pub(in crate::cli::doctor) fn files_needed(logs: u64, segments: u64, connections: u64) -> u64 {
    logs + segments + connections + OWN_FILES
}

/// Maps for so many logs and segments kept open: one each.
pub(in crate::cli::doctor) fn maps_needed(logs: u64, segments: u64) -> u64 {
    logs + segments + OWN_MAPS
}

/// Open files.
pub(in crate::cli::doctor) fn files(files: Use) -> Finding {
    let fix = format!(
        "raise it to {} for the user that runs the broker: ulimit -n, or LimitNOFILE= of the unit",
        files.need.saturating_mul(2).max(65_536)
    );
    judge("descriptors", "descriptors (ulimit -n)", files, FILES_LEAST, &fix)
}

/// Memory maps.
pub(in crate::cli::doctor) fn maps(maps: Use) -> Finding {
    let fix = format!(
        "raise it: sysctl -w vm.max_map_count={}, and the same in /etc/sysctl.d",
        maps.need.saturating_mul(2).max(262_144)
    );
    judge("memory maps", "memory maps (vm.max_map_count)", maps, 0, &fix)
}

fn judge(check: &'static str, words: &str, it: Use, least: u64, fix: &str) -> Finding {
    let Use { now, need, limit } = it;
    let used = now.map_or_else(String::new, |now| format!("{now} in use, "));
    let found = format!("{used}{need} needed, {limit} {words} allowed");
    let used_up = now.is_some_and(|now| now.saturating_mul(10) >= limit.saturating_mul(9));
    if used_up || need > limit {
        return Finding::fail(check, found, fix);
    }
    if need.saturating_mul(10) >= limit.saturating_mul(8) || limit < least {
        return Finding::warn(check, found, fix);
    }
    Finding::ok(check, found)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn what_is_used_and_what_is_needed_must_fit() {
        let level = |now, need, limit| files(Use { now, need, limit }).level;
        assert_eq!(level(Some(10), 1000, 65_536), Level::Ok);
        assert_eq!(level(Some(10), 1000, 1024), Level::Warn, "too tight");
        assert_eq!(level(None, 100, 1024), Level::Warn, "few for a broker");
        assert_eq!(level(None, 70_000, 65_536), Level::Fail);
        assert_eq!(level(Some(60_000), 1000, 65_536), Level::Fail, "nearly used up");
        let need = maps_needed(50_000, 20_000);
        assert_eq!(maps(Use { now: None, need, limit: 65_530 }).level, Level::Fail);
        assert_eq!(files_needed(10, 20, 30), 124);
    }
}
