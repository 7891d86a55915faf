//! How a member of a group behaves; the defaults are Kafka's unless said otherwise.

use std::time::Duration;

use duramen_protocol::text::Text;

use super::Assignor;
use crate::consumer::{ConsumerOptions, Reset, Start};

/// Who shares the partitions out among a group's members (`group.protocol`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GroupProtocol {
    /// The coordinator, where it can (KIP-848): a group that has classic members goes over to it, and keeps
    /// them, when the broker lets it (`group.consumer.migration.policy`). The members, where it does not,
    /// or with a broker that knows nothing else.
    #[default]
    Auto,
    /// The members: one of them, with the [`Assignor`] that all have in common.
    Classic,
    /// The coordinator. Partitions move one by one, without a stop for all.
    Consumer,
}

/// What a member is told at its start.
#[derive(Debug, Clone)]
pub struct GroupOptions {
    /// The group (`group.id`).
    pub group: Text,
    /// A name that stays over restarts (`group.instance.id`): within the session timeout a member that
    /// comes back under it gets its partitions without a rebalance. In a group of KIP-848 one that has died
    /// waits until the session of its former self is over.
    pub instance: Option<Text>,
    /// Who shares the partitions out (`group.protocol`).
    pub protocol: GroupProtocol,
    /// In a classic group: ways to share partitions out, by preference (`partition.assignment.strategy`).
    /// Those that all members have in common are open to the group.
    pub assignors: Vec<Assignor>,
    /// In a group of KIP-848: the coordinator's assignor to use, `uniform` or `range`; what most members
    /// want is done (`group.remote.assignor`). `None` leaves it to the others, and to the broker.
    pub server_assignor: Option<Text>,
    /// In a classic group: after how long without a sign of life a member is taken for dead
    /// (`session.timeout.ms`). In one of KIP-848 the broker says so; there it is how long to wait for the
    /// place of a former self that has died with the same instance id.
    pub session_timeout: Duration,
    /// Time between two signs of life (`heartbeat.interval.ms`); in a group of KIP-848 the broker says so.
    pub heartbeat: Duration,
    /// How long the user may work on what [`super::GroupConsumer::next`] gave before the place is given
    /// up, and how long a rebalance waits for a member (`max.poll.interval.ms`).
    pub max_poll_interval: Duration,
    /// How often what was taken is committed by itself (`auto.commit.interval.ms`), and when partitions
    /// are given back; `None` leaves it to the user.
    pub auto_commit: Option<Duration>,
    /// Where to begin in partitions of which the group has committed nothing (`auto.offset.reset`);
    /// `None` makes that an error. [`Start::Offset`] is taken as it is. Where to go on when what is
    /// committed was deleted is [`ConsumerOptions::reset`].
    pub start: Option<Start>,
    /// Whether to read partitions only up to what is their end when they are assigned.
    pub stop_at_end: bool,
    /// How the partitions are read.
    pub consumer: ConsumerOptions,
}

impl GroupOptions {
    /// Kafka's defaults for a group, except that reading begins at the start of what is there where
    /// nothing is committed, or what was committed is deleted: a group misses nothing.
    #[must_use]
    pub fn new(group: impl Into<Text>) -> Self {
        Self {
            group: group.into(),
            instance: None,
            protocol: GroupProtocol::Auto,
            assignors: vec![Assignor::Range, Assignor::CooperativeSticky],
            server_assignor: None,
            session_timeout: Duration::from_secs(45),
            heartbeat: Duration::from_secs(3),
            max_poll_interval: Duration::from_secs(300),
            auto_commit: Some(Duration::from_secs(5)),
            start: Some(Start::Earliest),
            stop_at_end: false,
            consumer: ConsumerOptions { reset: Reset::Earliest, ..ConsumerOptions::default() },
        }
    }

    /// Members read on during a rebalance only when every way to share out allows it.
    pub(super) fn is_cooperative(&self) -> bool {
        self.assignors.iter().all(|assignor| assignor.is_cooperative())
    }
}
