//! What each API does as a client sees it: one file an API, over TCP, against a broker in this
//! process. Every served version is called, and every error code that the API can return is met.
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
// Messages grow fields with new versions of Kafka: a test names those it is about.
#![allow(clippy::needless_update)]

mod support;

mod alter_configs;
mod api_versions;
mod compaction;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod durability;
mod fetch;
mod find_coordinator;
mod group_configs;
mod group_migration;
mod groups_restart;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;
