//! Duramen: a partitioned, replicated, append-only log broker that speaks the Kafka protocol.

pub mod broker;
pub mod cli;
pub mod config;
pub mod controller;
pub mod cli;
pub mod config;
pub mod env;
mod http;
pub mod metadata;
pub mod raft;
mod replication;
mod server;
pub mod storage;

pub use broker::Broker;
