//! `duramen replay` as a user runs it, and the library under it, against a broker in this process; and
//! the replayer killed at any moment, against a broker of its own.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_update,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "a test may panic, and has the real clock and disk"
)]

#[path = "../api/support/mod.rs"]
mod api;
#[path = "../support/mod.rs"]
mod process;

mod errors;
mod flags;
mod kill;
mod lab;
mod library;
mod resume;
