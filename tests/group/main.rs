//! Consumer groups from our side of the wire: the client's member, and `duramen group`, against a real
//! broker. With COMPAT_REFERENCE=1 that broker is Apache Kafka, which proves the tests and the client.
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

#[path = "../support/mod.rs"]
mod support;

mod cli;
mod lab;
mod library;
mod library_metrics;
mod library_reading;
mod tour;
