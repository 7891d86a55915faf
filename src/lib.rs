//! Duramen: a partitioned, replicated, append-only log broker that speaks the Kafka protocol.

pub mod config;
pub mod storage;
