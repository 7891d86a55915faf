//! How a member of a group behaves; the defaults are Kafka's unless said otherwise.

use std::time::Duration;

use duramen_protocol::text::Text;

use super::Assignor;
use crate::consumer::{ConsumerOptions, Reset, Start};
use crate::error::{ClientError, at_least, wrong};
use crate::setters::setters;

/// Who shares the partitions out among a group's members (`group.protocol`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
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
///
/// ```
/// use duramen_client::consumer::group::{GroupOptions, GroupProtocol};
/// use std::time::Duration;
///
/// let options = GroupOptions::new("billing")
///     .instance("billing-1")
///     .auto_commit(None)
///     .max_poll_interval(Duration::from_secs(60));
/// assert_eq!(options.protocol, GroupProtocol::Auto);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
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

setters! { GroupOptions {
    protocol: GroupProtocol,
    assignors: Vec<Assignor>,
    session_timeout: Duration,
    heartbeat: Duration,
    max_poll_interval: Duration,
    auto_commit: impl Into<Option<Duration>>,
    start: impl Into<Option<Start>>,
    stop_at_end: bool,
    consumer: ConsumerOptions,
} }

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
            consumer: ConsumerOptions::default().reset(Reset::Earliest),
        }
    }

    /// Sets [`instance`](#structfield.instance).
    #[must_use]
    pub fn instance(mut self, instance: impl Into<Text>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Sets [`server_assignor`](#structfield.server_assignor).
    #[must_use]
    pub fn server_assignor(mut self, assignor: impl Into<Text>) -> Self {
        self.server_assignor = Some(assignor.into());
        self
    }

    /// Whether these go together; [`GroupConsumer::join`](super::GroupConsumer::join) looks, too.
    ///
    /// # Errors
    /// [`ClientError::Options`] with the first that does not.
    pub fn check(&self) -> Result<(), ClientError> {
        const MILLISECOND: Duration = Duration::from_millis(1);
        if self.group.is_empty() {
            return Err(wrong("group (group.id)", "is empty: give the group a name"));
        }
        at_least("session_timeout (session.timeout.ms)", self.session_timeout, MILLISECOND)?;
        at_least("heartbeat (heartbeat.interval.ms)", self.heartbeat, MILLISECOND)?;
        at_least("max_poll_interval (max.poll.interval.ms)", self.max_poll_interval, MILLISECOND)?;
        if let Some(interval) = self.auto_commit {
            at_least("auto_commit (auto.commit.interval.ms)", interval, MILLISECOND)?;
        }
        // In a group of KIP-848 the coordinator shares out, and says how often to beat.
        if self.protocol != GroupProtocol::Consumer {
            if self.assignors.is_empty() {
                let words = "is empty, and without a way to share out no classic group is joined";
                return Err(wrong("assignors (partition.assignment.strategy)", words));
            }
            if self.heartbeat >= self.session_timeout {
                let (beat, session) = (self.heartbeat, self.session_timeout);
                let words = format!("is {beat:?}; it must be below session_timeout, {session:?}");
                return Err(wrong("heartbeat (heartbeat.interval.ms)", words));
            }
        }
        self.consumer.check()
    }

    /// Members read on during a rebalance only when every way to share out allows it.
    pub(super) fn is_cooperative(&self) -> bool {
        self.assignors.iter().all(|assignor| assignor.is_cooperative())
    }
}
