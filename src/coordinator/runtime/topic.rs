//! `__consumer_offsets`: which of its partitions has a group, and how it is made.

use duramen_protocol::text::Text;

use crate::config::GroupsConfig;
use crate::controller::command::NewTopic;

/// The topic that groups and offsets are kept in.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The partition that has a group, out of `count`; `None` when there is none. Every client and tool
/// must find the same as Kafka: Java's hash of the name.
pub(super) fn partition_of(group: &str, count: i32) -> Option<i32> {
    let hash = group
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (count > 0).then(|| (hash & i32::MAX) % count)
}

/// The topic as it is to be made in a cluster of so many brokers.
pub(crate) fn offsets_topic(config: &GroupsConfig, brokers: usize) -> NewTopic {
    let brokers = i16::try_from(brokers.max(1)).unwrap_or(i16::MAX);
    let set = |name: &str, value: String| (Text::from(name), Some(Text::from(value)));
    NewTopic {
        partitions: config.topic_partitions,
        replication_factor: config.topic_replication_factor.min(brokers),
        configs: vec![
            set("cleanup.policy", "compact".to_owned()),
            set("compression.type", "producer".to_owned()),
            set("segment.bytes", config.topic_segment_bytes.to_string()),
        ],
        ..NewTopic::with_defaults(OFFSETS_TOPIC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_the_partition_that_kafka_gives_it() {
        // Java's hashCode is 0, 97, -2059569682 and, in two units, 1772899.
        let groups = [("", 0), ("a", 47), ("payment-service", 16), ("\u{1f600}", 49)];
        for (group, partition) in groups {
            assert_eq!(partition_of(group, 50), Some(partition), "{group}");
        }
        assert_eq!(partition_of("a", 0), None);
    }
}
