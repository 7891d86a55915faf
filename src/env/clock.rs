//! Time, as a value that can be asked for and, in a simulation, moved by hand.

use std::fmt::Debug;
use std::time::Duration;

/// A clock. The two readings are unrelated: only the monotonic one may be used for waits.
pub trait Clock: Debug + Send + Sync {
    /// Monotonic time since an arbitrary start; never goes back.
    fn now(&self) -> Duration;

    /// Wall time in milliseconds since 1970-01-01 UTC; may jump either way.
    fn wall_ms(&self) -> i64;
}
