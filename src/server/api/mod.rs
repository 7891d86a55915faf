//! One file an API: parse nothing, decide little, call the floor below, shape the answer.
//!
//! To add an API: a row in `protocol/src/api.rs`, a file here, a file in `tests/api/`.

pub(super) mod alter_configs;
pub(super) mod api_versions;
pub(super) mod consumer_group_describe;
pub(super) mod consumer_group_heartbeat;
pub(super) mod create_partitions;
pub(super) mod create_topics;
pub(super) mod delete_groups;
pub(super) mod delete_records;
pub(super) mod delete_topics;
pub(super) mod describe_cluster;
pub(super) mod describe_configs;
pub(super) mod describe_groups;
pub(super) mod describe_log_dirs;
pub(super) mod describe_producers;
pub(super) mod describe_topic_partitions;
pub(super) mod fetch;
pub(super) mod find_coordinator;
pub(super) mod heartbeat;
pub(super) mod incremental_alter_configs;
pub(super) mod init_producer_id;
pub(super) mod join_group;
pub(super) mod leave_group;
pub(super) mod list_config_resources;
pub(super) mod list_groups;
pub(super) mod list_offsets;
pub(super) mod metadata;
pub(super) mod offset_commit;
pub(super) mod offset_delete;
pub(super) mod offset_fetch;
pub(super) mod offset_for_leader_epoch;
pub(super) mod produce;
pub(super) mod sync_group;
