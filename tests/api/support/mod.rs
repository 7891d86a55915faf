//! A broker in this process and what a test needs to talk to it.
#![allow(
    dead_code,
    unused_imports,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "test support: real clock and disk, and each test binary uses a part of it"
)]

pub mod batches;
pub mod client;
pub mod groups;
pub mod node;
pub mod raw;

use std::time::{Duration, Instant};

pub use batches::{Batch, now_ms, values_of};
pub use client::Client;
pub use node::Node;
pub use raw::Raw;

/// How long anything may take: the machine that runs the tests may be busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is there; panics with `reason` when it does not come.
pub async fn eventually<T>(reason: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {reason}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
