//! Duramen: a partitioned, replicated, append-only log broker that speaks the Kafka protocol.

pub mod cli;
pub mod config;
pub mod env;
mod replication;
mod server;
pub mod storage;
