//! Every error that a client can see, and what a success changes.

mod brokers;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod replay;
