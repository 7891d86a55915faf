//! Duramen: a partitioned, replicated, append-only log broker that speaks the Kafka protocol.

pub mod cli;
pub mod config;
pub mod controller;
pub mod env;
pub mod metadata;
pub mod raft;
pub mod storage;
