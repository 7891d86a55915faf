//! What tests of the real binary share: a node as a process, and waiting without sleeping blindly.
#![allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "test support: real files, real clock, and each test uses a part of it"
)]

pub mod node;
pub mod reference;
pub mod wire;

use std::time::{Duration, Instant};

/// Asks until the answer is there; panics with `reason` after `deadline`.
pub fn eventually<T>(reason: &str, deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < deadline, "not within {deadline:?}: {reason}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
