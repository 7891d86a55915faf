//! PURE. The state of a data directory.

use std::io;

use super::Finding;

const CHECK: &str = "directory";

/// Who has the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::doctor) enum User<'a> {
    /// A process, by its id where that is known.
    Process(Option<u32>),
    /// Nobody; whether the last one closed it properly.
    Nobody { clean: bool },
    /// That can't be told, for this reason.
    Unknown(&'a str),
}

/// Who uses the directory, and whether the next start recovers. `answers` says that a broker answers.
pub(in crate::cli::doctor) fn user(
    dir: &str,
    user: &User<'_>,
    logs: usize,
    answers: bool,
) -> Finding {
    match user {
        User::Process(pid) => {
            let who = pid.map_or("a process".to_owned(), |pid| format!("process {pid}"));
            let found = format!("{dir} is in use by {who}");
            if answers {
                return Finding::ok(CHECK, found);
            }
            let fix = match pid {
                Some(pid) => format!("see its log; if it hangs, stop it: kill {pid}"),
                None => "see the log of that process".to_owned(),
            };
            Finding::warn(CHECK, format!("{found}, but no broker answers"), fix)
        }
        User::Nobody { clean: true } => {
            Finding::ok(CHECK, format!("{dir} is not in use and was closed properly"))
        }
        User::Nobody { clean: false } if logs == 0 => {
            Finding::ok(CHECK, format!("{dir} is not in use and holds no partition"))
        }
        User::Nobody { clean: false } => Finding::warn(
            CHECK,
            format!("{dir} is not in use and was not closed properly"),
            "nothing to do: the next start recovers what was not synced; stop with SIGTERM to spare that",
        ),
        User::Unknown(reason) => Finding::warn(
            CHECK,
            format!("who uses {dir} can't be told: {reason}"),
            "run as the user that runs the broker",
        ),
    }
}

/// The format and owner, or why no broker starts on it (`reason` says the way out itself). `strange` says
/// that there are files which no broker made.
pub(in crate::cli::doctor) fn format(
    dir: &str,
    meta: Result<Option<(u32, &str)>, &str>,
    cluster: Option<&str>,
    strange: bool,
) -> Finding {
    const CHECK: &str = "format";
    match meta {
        Err(reason) => {
            let (found, fix) = reason
                .rsplit_once("; ")
                .or_else(|| reason.rsplit_once(": "))
                .unwrap_or((reason, "see docs/operations.md"));
            Finding::fail(CHECK, found, fix)
        }
        Ok(None) if strange => Finding::warn(
            CHECK,
            format!("{dir} holds files, but no meta.properties: no broker has been started on it"),
            "give the broker's data directory with --data, or an empty one",
        ),
        Ok(None) => Finding::ok(CHECK, format!("{dir} is new")),
        Ok(Some((_, owner))) if cluster.is_some_and(|cluster| cluster != owner) => Finding::warn(
            CHECK,
            format!("{dir} belongs to cluster {owner}, not to the one that answers"),
            "give the directory of that broker with --data",
        ),
        Ok(Some((format, owner))) => {
            Finding::ok(CHECK, format!("{dir} has format {format} and belongs to cluster {owner}"))
        }
    }
}

/// Damage in one partition: offsets that are lost.
pub(in crate::cli::doctor) fn damage(partition: &str, lost: &[(i64, i64)]) -> Finding {
    let ranges = lost.iter().take(3).map(|(first, next)| format!("{first} to {}", next - 1));
    let mut ranges = ranges.collect::<Vec<_>>().join(", ");
    if lost.len() > 3 {
        ranges.push_str(" and more");
    }
    Finding::fail(
        "damage",
        format!("{partition} has lost offsets {ranges}"),
        "check the disk; restore the partition from a copy, or let consumers skip those offsets",
    )
}

/// A directory that the broker has taken offline.
pub(in crate::cli::doctor) fn offline(dir: &str) -> Finding {
    Finding::fail(
        CHECK,
        format!("the broker has taken {dir} offline after a disk error"),
        "see its log, check the disk, then restart the broker",
    )
}

/// A directory that can't be read or written, in the words of the system.
pub(in crate::cli::doctor) fn unusable(dir: &str, doing: &str, reason: &io::Error) -> Finding {
    const RIGHTS: &str = "permissions";
    let (check, fix) = match reason.kind() {
        io::ErrorKind::NotADirectory => (RIGHTS, "give the broker's data directory with --data"),
        io::ErrorKind::ReadOnlyFilesystem => (
            RIGHTS,
            "mount its file system so that it can be written; see dmesg if the system has made it read-only",
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory => (
            RIGHTS,
            "give it to the user that runs the broker (chown -R), or choose another with --data",
        ),
        _ => (CHECK, "check the disk: dmesg tells more"),
    };
    Finding::fail(check, format!("can't {doing} {dir}: {reason}"), fix)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_directory_is_judged_by_who_has_it_and_how_it_was_left() {
        let level = |who: User<'_>, logs, answers| user("d", &who, logs, answers).level;
        assert_eq!(level(User::Process(Some(7)), 1, true), Level::Ok);
        assert_eq!(level(User::Process(None), 1, false), Level::Warn);
        assert_eq!(level(User::Nobody { clean: true }, 1, false), Level::Ok);
        assert_eq!(level(User::Nobody { clean: false }, 1, false), Level::Warn);
        assert_eq!(level(User::Nobody { clean: false }, 0, false), Level::Ok);
        assert_eq!(level(User::Unknown("x"), 0, false), Level::Warn);
    }

    #[test]
    fn what_can_not_be_used_says_the_way_out_of_its_reason() {
        let fix = |kind: io::ErrorKind| unusable("d", "write in", &kind.into()).fix;
        assert!(fix(io::ErrorKind::PermissionDenied).contains("chown"));
        assert!(fix(io::ErrorKind::ReadOnlyFilesystem).contains("mount"));
        assert!(fix(io::ErrorKind::NotADirectory).contains("--data"));
        assert!(fix(io::ErrorKind::Other).contains("check the disk"), "as for EIO");
    }

    #[test]
    fn what_keeps_a_broker_from_starting_fails_with_its_own_way_out() {
        let newer = "d has storage format 9, this build reads up to 1: use a newer build";
        let finding = format("d", Err(newer), None, false);
        assert_eq!((finding.level, finding.fix.as_str()), (Level::Fail, "use a newer build"));
        let unread = "can't use d as a log directory: d/f: Input/output error; check the disk";
        assert_eq!(format("d", Err(unread), None, false).fix, "check the disk");
        assert_eq!(format("d", Ok(Some((1, "c"))), Some("c"), false).level, Level::Ok);
        assert_eq!(format("d", Ok(Some((1, "c"))), Some("other"), false).level, Level::Warn);
        assert_eq!(format("d", Ok(None), None, false).level, Level::Ok);
        assert_eq!(format("d", Ok(None), None, true).level, Level::Warn);
        assert!(damage("t-0", &[(5, 8)]).found.contains("5 to 7"));
    }
}
