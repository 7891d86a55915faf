//! PURE. Numbers in, findings out: one file a group of checks. What measures them is one floor up, in
//! `doctor/`.

pub(super) mod clock;
pub(super) mod directory;
pub(super) mod disk;
pub(super) mod limits;
pub(super) mod reach;
pub(super) mod versions;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Works, but look at it.
    Warn,
    /// Does not work.
    Fail,
}

impl Level {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What was looked at, in one or two words.
    pub(super) check: &'static str,
    /// How it is, in one line.
    pub(super) found: String,
    /// The way out, if one is needed.
    pub(super) fix: String,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Ok, check, found: found.into(), fix: String::new() }
    }

    pub(super) fn warn(
        check: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { level: Level::Warn, check, found: found.into(), fix: fix.into() }
    }

    pub(super) fn fail(
        check: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { level: Level::Fail, check, found: found.into(), fix: fix.into() }
    }
}
