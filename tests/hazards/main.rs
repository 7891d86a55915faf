//! What disks, kernels and networks do to a broker, and that it ends in a clear answer and an unbroken
//! log: one file a hazard.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "a test may panic, and has the real clock and disk"
)]

mod bit_flips;
mod log_tool;
