//! How options that can't hold are told.

use std::time::Duration;

use super::ClientError;

/// Options that can't hold.
pub(crate) fn wrong(option: &'static str, problem: impl Into<String>) -> ClientError {
    ClientError::Options { option, problem: problem.into() }
}

/// A size that may be anything but zero.
pub(crate) fn not_zero(option: &'static str, size: usize) -> Result<(), ClientError> {
    between(option, size, 1, usize::MAX)
}

/// A size within bounds, both included.
pub(crate) fn between(
    option: &'static str,
    size: usize,
    min: usize,
    max: usize,
) -> Result<(), ClientError> {
    match size {
        _ if size < min => Err(wrong(option, format!("is {size}; it must be {min} or more"))),
        _ if size > max => Err(wrong(option, format!("is {size}; it must be {max} or less"))),
        _ => Ok(()),
    }
}

/// Longer than anybody waits, and short enough for every clock.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A time that may not be shorter than another.
pub(crate) fn at_least(
    option: &'static str,
    time: Duration,
    min: Duration,
) -> Result<(), ClientError> {
    match time {
        _ if time < min => Err(wrong(option, format!("is {time:?}; it must be {min:?} or more"))),
        _ if time > LONGEST => {
            Err(wrong(option, format!("is {time:?}; it must be a hundred years or less")))
        }
        _ => Ok(()),
    }
}
