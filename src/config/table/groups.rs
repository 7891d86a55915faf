//! The settings of the group coordinator, and those of one group.

use crate::config::setting::{Importance, Kind, Setting, Synonym, Unit, Valid};

/// One KIP-848 group. Of Kafka's, those that govern nothing here are not offered.
pub(super) const ONE_GROUP: &[Setting] = &[
    Setting::group("consumer.heartbeat.interval.ms", Kind::Int, "5000")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .from(&[Synonym { name: "group.consumer.heartbeat.interval.ms", factor: 1 }])
        .doc(
            "How often the group's members are to be heard of: from \
             `group.consumer.min.heartbeat.interval.ms` to `group.consumer.max.heartbeat.interval.ms`.",
        ),
    Setting::group("consumer.session.timeout.ms", Kind::Int, "45000")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .from(&[Synonym { name: "group.consumer.session.timeout.ms", factor: 1 }])
        .doc(
            "How long a member of the group may be silent: from \
             `group.consumer.min.session.timeout.ms` to `group.consumer.max.session.timeout.ms`, and \
             more than the heartbeat interval.",
        ),
];

/// Groups and their offsets.
pub(super) const GROUPS: &[Setting] = &[
    Setting::broker("group.initial.rebalance.delay.ms", Kind::Int, "3000")
        .unit(Unit::Ms)
        .doc("How long the first generation of an empty group waits for more members to come."),
    Setting::broker("group.min.session.timeout.ms", Kind::Int, "6000")
        .unit(Unit::Ms)
        .doc("The shortest session timeout that a member may ask for."),
    Setting::broker("group.max.session.timeout.ms", Kind::Int, "1800000")
        .unit(Unit::Ms)
        .doc("The longest session timeout that a member may ask for."),
    Setting::broker("group.max.size", Kind::Int, "2147483647")
        .valid(Valid::AtLeast(1))
        .doc("Members that a group may have."),
    Setting::broker("group.consumer.session.timeout.ms", Kind::Int, "45000")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .doc("How long a member of a KIP-848 group may be silent."),
    Setting::broker("group.consumer.min.session.timeout.ms", Kind::Int, "45000")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .doc("The shortest session timeout of KIP-848 groups."),
    Setting::broker("group.consumer.max.session.timeout.ms", Kind::Int, "60000")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .doc("The longest session timeout of KIP-848 groups."),
    Setting::broker("group.consumer.heartbeat.interval.ms", Kind::Int, "5000")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .doc("How often members of KIP-848 groups are to be heard of."),
    Setting::broker("group.consumer.min.heartbeat.interval.ms", Kind::Int, "5000")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .doc("The shortest heartbeat interval of KIP-848 groups."),
    Setting::broker("group.consumer.max.heartbeat.interval.ms", Kind::Int, "15000")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .doc("The longest heartbeat interval of KIP-848 groups."),
    Setting::broker("group.consumer.max.size", Kind::Int, "2147483647")
        .valid(Valid::AtLeast(1))
        .doc("Members that a KIP-848 group may have."),
    Setting::broker("group.consumer.assignors", Kind::List, "uniform,range")
        .valid(Valid::ListOf(&["uniform", "range"]))
        .doc("The assignors of KIP-848 groups; the first is taken when members want none."),
    Setting::broker("group.consumer.migration.policy", Kind::String, "bidirectional")
        .valid(Valid::OneOfAnyCase(&["disabled", "downgrade", "upgrade", "bidirectional"]))
        .doc(
            "Which groups may change their protocol while they have members: classic ones when a \
             KIP-848 member joins (`upgrade`), KIP-848 ones when only classic members are left \
             (`downgrade`), both, or none.",
        ),
    Setting::broker("offset.metadata.max.bytes", Kind::Int, "4096")
        .unit(Unit::Bytes)
        .importance(Importance::High)
        .doc("How much a client may keep beside a committed offset."),
    Setting::broker("offsets.retention.minutes", Kind::Int, "10080")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Minutes)
        .importance(Importance::High)
        .doc(
            "How long committed offsets are kept once their group has no members, or, where a group \
             never had any, after the commit.",
        ),
    Setting::broker("offsets.retention.check.interval.ms", Kind::Long, "600000")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Ms)
        .importance(Importance::High)
        .doc("How often committed offsets are looked through for those to forget."),
    Setting::broker("offsets.topic.num.partitions", Kind::Int, "50")
        .valid(Valid::AtLeast(1))
        .importance(Importance::High)
        .doc("Partitions of `__consumer_offsets`, when it is made."),
    Setting::broker("offsets.topic.replication.factor", Kind::Short, "3")
        .valid(Valid::AtLeast(1))
        .importance(Importance::High)
        .doc(
            "Replicas of `__consumer_offsets`, when it is made; no more than there are brokers. \
             Kafka does not make the topic before there are as many.",
        ),
    Setting::broker("offsets.topic.segment.bytes", Kind::Int, "104857600")
        .valid(Valid::AtLeast(1))
        .unit(Unit::Bytes)
        .importance(Importance::High)
        .doc("Size at which `__consumer_offsets` begins a new segment, when it is made."),
];
