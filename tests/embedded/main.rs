//! The broker inside this process: its life on either kind of runtime, what it leaves behind (nothing),
//! and clients that reach it without a socket.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "a test may panic, and has the real clock and disk"
)]

mod bench_clients;
mod clients;
mod cut_short;
mod lab;
mod life;
mod listeners;
mod readme;
mod traces;
