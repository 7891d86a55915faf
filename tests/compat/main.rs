//! Real clients against the real binary: each module is a client, each case one thing a user does
//! with it. Cases share one node and keep to topics of their own; what kills nodes starts its own.
//!
//! A case whose client is not on this machine is skipped aloud (`scripts/clients` installs them).
//! `COMPAT_REFERENCE=1` runs the same cases against Apache Kafka itself, which proves the
//! cases; with `COMPAT_CAPTURE=FOLDER` too, the frames on the wire are recorded.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test, with a runner of its own that prints"
)]

#[path = "../support/mod.rs"]
mod support;

mod aiokafka;
mod confluent;
mod flow;
mod group_members;
mod group_migration;
mod group_tools;
mod groups;
mod java;
mod java_tools;
mod judge;
mod kafka_python;
mod kafkajs;
mod kcat;
mod kill_loop;
mod members;
mod mixed_groups;
mod network;
mod our_group_verbs;
mod runner;
mod tools;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cases = [
        kcat::CASES,
        kafka_python::CASES,
        aiokafka::CASES,
        confluent::CASES,
        kafkajs::CASES,
        java::CASES,
        kill_loop::CASES,
        group_members::CASES,
        group_migration::CASES,
        group_tools::CASES,
        groups::CASES,
        mixed_groups::CASES,
        our_group_verbs::CASES,
        network::CASES,
    ];
    runner::run(&cases.concat())
}
