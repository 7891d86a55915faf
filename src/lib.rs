//! Duramen: a partitioned, replicated, append-only log broker that speaks the Kafka protocol.
//!
//! The floors, from the ground up; a module imports only lower ones (`tests/tidy.rs` sees to it):
//!
//! | floor | module | what lives there |
//! |---|---|---|
//! | 1 | [`mod@env`] | the three doors: clock, randomness, disk (real and simulated) |
//! | 1 | [`config`] | from what was typed to what the code needs, from one table |
//! | 1 | [`measure`] | what the floors share to be watched: buckets of times, log gates |
//! | 2 | [`storage`] | one replica's log on disk: bytes and offsets, no leaders |
//! | 3 | [`raft`] | the metadata log and who may write to it |
//! | 4 | [`metadata`] | metadata records → delta → the immutable image of the cluster |
//! | 5 | [`controller`] | decides cluster metadata |
//! | 5 | `replication` | a log and its role: partitions, high watermark, who waits for what |
//! | 6 | [`coordinator`] | groups and their offsets |
//! | 7 | `server` | listeners, connections, one handler an API |
//! | 7 | `http` | metrics and health |
//! | 8 | [`broker`] | the composition root: start order, apply order, stop order |
//! | 9 | `cli` | the command line, behind the feature of that name |
//!
//! Below all of them lies the crate `duramen-protocol`, and beside them `duramen-client`.

pub mod broker;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod controller;
pub mod coordinator;
pub mod env;
mod http;
pub mod measure;
pub mod metadata;
pub mod raft;
mod replication;
mod server;
pub mod storage;

pub use broker::Broker;
