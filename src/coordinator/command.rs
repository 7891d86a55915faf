//! PURE. What a coordinator is asked and what it answers. The messages are Kafka's own; beside them
//! stands only what a message does not say of its sender.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::GroupRecord;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::consumer_group_describe;
use duramen_protocol::messages::delete_groups::DeletableGroupResult;
use duramen_protocol::messages::describe_groups::DescribedGroup;
use duramen_protocol::messages::join_group::JoinGroupRequestProtocol;
use duramen_protocol::messages::offset_fetch::OffsetFetchResponseGroup;
use duramen_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    ListGroupsRequest, ListGroupsResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetDeleteRequest, OffsetDeleteResponse, SyncGroupRequest, SyncGroupResponse,
};
use duramen_protocol::text::Text;

use super::group::consumer::AssignorKind;
use super::group::{Group, Label};
use super::offsets::GroupOffset;
use crate::config::{ConsumerTimes, MigrationPolicy};
use crate::metadata::MetadataImage;

/// Stands for a request whose answer is awaited; the runtime knows who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ReplyTo(pub(crate) u64);

/// The moment of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Monotonic time, for all that runs out.
    pub(crate) at: Duration,
    /// Wall clock in ms since 1970, for what is kept in records.
    pub(crate) wall_ms: i64,
}

/// A member that joins, and what its request does not say.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    /// The request.
    pub(crate) request: JoinGroupRequest,
    /// The request's version.
    pub(crate) version: i16,
    /// The client id in the request's header.
    pub(crate) client_id: Text,
    /// Where the client is, as Kafka prints it: `/127.0.0.1`.
    pub(crate) client_host: Text,
    /// Random: it makes the id of a new member one that nobody has.
    pub(crate) unique: uuid::Uuid,
}

impl Join {
    /// Bytes that the member brings for the assignors.
    pub(crate) fn bytes(&self) -> usize {
        let protocols = self.request.protocols.iter();
        protocols.map(|protocol| protocol.name.len() + protocol.metadata.len()).sum()
    }

    /// How long the member may take to join again, in ms.
    pub(crate) fn rebalance_timeout_ms(&self) -> i32 {
        match self.request.rebalance_timeout_ms {
            // Version 0 has no such field.
            negative if negative < 0 || self.version == 0 => self.request.session_timeout_ms,
            ms => ms,
        }
    }

    /// The assignors that the member speaks, and what it has to say to each. It is copied: the buffer
    /// of a request must not live as long as a member.
    pub(crate) fn protocols(&self) -> impl Iterator<Item = (Text, Bytes)> {
        let kept = |protocol: &JoinGroupRequestProtocol| {
            (protocol.name.clone(), Bytes::copy_from_slice(&protocol.metadata))
        };
        self.request.protocols.iter().map(kept)
    }
}

/// A heartbeat of a member of a KIP-848 group, and what its request does not say.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerBeat {
    /// The request.
    pub(crate) request: ConsumerGroupHeartbeatRequest,
    /// The request's version.
    pub(crate) version: i16,
    /// The client id in the request's header.
    pub(crate) client_id: Text,
    /// Where the client is, as Kafka prints it: `/127.0.0.1`.
    pub(crate) client_host: Text,
    /// Random: the id of a member that has not made one itself.
    pub(crate) unique: uuid::Uuid,
}

/// Offsets to be committed; the topics have names.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    /// The request, without the topics that nobody knows.
    pub(crate) request: OffsetCommitRequest,
    /// The request's version.
    pub(crate) version: i16,
}

/// Partitions whose committed offsets are asked for, by topic.
pub(crate) type Wanted = Vec<(Text, Vec<i32>)>;

/// Something that a coordinator is asked.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Enter a classic group.
    Join(Box<Join>),
    /// Bring or get assignments.
    Sync(SyncGroupRequest),
    /// A member of a classic group lives.
    Heartbeat(HeartbeatRequest),
    /// Enter, stay in or leave a KIP-848 group.
    ConsumerBeat(Box<ConsumerBeat>),
    /// Members leave; always in the form of version 3.
    Leave(LeaveGroupRequest),
    /// Commit offsets.
    Commit(Commit),
    /// Tell committed offsets of one group; without `wanted`, all.
    FetchOffsets {
        /// The group.
        group: Text,
        /// The partitions.
        wanted: Option<Wanted>,
        /// The member of a KIP-848 group that asks, and its epoch.
        member: Option<(Text, i32)>,
    },
    /// Forget committed offsets; without the topics that nobody knows.
    DeleteOffsets(OffsetDeleteRequest),
    /// Describe a classic group.
    Describe {
        /// The group.
        group: Text,
        /// The request's version.
        version: i16,
    },
    /// Describe a KIP-848 group.
    DescribeConsumers {
        /// The group.
        group: Text,
    },
    /// List the groups of a shard.
    List(ListGroupsRequest),
    /// Tell what a shard has, to be watched.
    Survey,
    /// Delete a group.
    Delete {
        /// The group.
        group: Text,
    },
}

/// What a shard has.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Survey {
    /// How many groups there are, by type and state.
    pub(crate) groups: BTreeMap<Label, usize>,
    /// All committed offsets.
    pub(crate) offsets: Vec<GroupOffset>,
}

macro_rules! answers {
    ($( $(#[$meta:meta])* $name:ident($body:ty), )*) => {
        /// The answer to a [`Command`].
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) enum Answer {
            $( $(#[$meta])* $name($body), )*
        }

        $(
            impl From<$body> for Answer {
                fn from(body: $body) -> Self {
                    Self::$name(body)
                }
            }

            impl TryFrom<Answer> for $body {
                /// The answer to another question: a bug of ours.
                type Error = ErrorCode;

                fn try_from(answer: Answer) -> Result<Self, ErrorCode> {
                    match answer {
                        Answer::$name(body) => Ok(body),
                        _ => Err(ErrorCode::UnknownServerError),
                    }
                }
            }
        )*
    };
}

answers! {
    /// To `Join`.
    Join(JoinGroupResponse),
    /// To `Sync`.
    Sync(SyncGroupResponse),
    /// To `Heartbeat`.
    Heartbeat(HeartbeatResponse),
    /// To `ConsumerBeat`.
    ConsumerBeat(ConsumerGroupHeartbeatResponse),
    /// To `Leave`.
    Leave(LeaveGroupResponse),
    /// To `Commit`.
    Commit(OffsetCommitResponse),
    /// To `FetchOffsets`, by topic name.
    Offsets(OffsetFetchResponseGroup),
    /// To `DeleteOffsets`.
    DeletedOffsets(OffsetDeleteResponse),
    /// To `Describe`.
    Described(DescribedGroup),
    /// To `DescribeConsumers`.
    DescribedConsumers(consumer_group_describe::DescribedGroup),
    /// To `List`.
    Listed(ListGroupsResponse),
    /// To `Survey`.
    Surveyed(Survey),
    /// To `Delete`.
    Deleted(DeletableGroupResult),
}

/// An answer, or the error of the whole request.
pub(crate) type Outcome = Result<Answer, ErrorCode>;

/// What a decision comes to. The records must be in the log, and replayed, before anything else is
/// decided; the replies leave when the records are committed. When the log does not take them, the
/// replies become errors, and nothing that was durable has changed.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    /// What to append, as one batch.
    pub(crate) records: Vec<GroupRecord>,
    /// So many of them, from the first on, may go before the others where no batch can hold all: each is true by
    /// itself, and whoever meets only some of them may ask again.
    pub(crate) apart: usize,
    /// Who is answered what.
    pub(crate) replies: Vec<(ReplyTo, Outcome)>,
    /// Generations that began.
    pub(crate) rebalances: u64,
    /// The records stand or fall together, also when nobody waits for them.
    pub(crate) whole: bool,
}

/// One turn of a coordinator: when it is, within which limits, and what comes of it.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    /// The moment.
    pub(crate) now: Now,
    /// The limits.
    pub(crate) limits: &'a Limits,
    /// What comes of it.
    pub(crate) out: Decision,
    /// The group that comes to be with the records: what it knows beside them.
    pub(crate) becomes: Option<Group>,
}

impl<'a> Turn<'a> {
    /// A turn in which nothing has been decided.
    pub(crate) fn new(now: Now, limits: &'a Limits) -> Self {
        Self { now, limits, out: Decision::default(), becomes: None }
    }

    /// Answers.
    pub(crate) fn reply(&mut self, to: ReplyTo, answer: impl Into<Answer>) {
        self.out.replies.push((to, Ok(answer.into())));
    }

    /// Answers with an error.
    pub(crate) fn refuse(&mut self, to: ReplyTo, error: ErrorCode) {
        self.out.replies.push((to, Err(error)));
    }

    /// Writes a record.
    pub(crate) fn record(&mut self, record: GroupRecord) {
        self.out.records.push(record);
    }

    /// A group comes to be with the records.
    pub(crate) fn begin(&mut self, group: Group) {
        self.out.whole = true;
        self.becomes = Some(group);
    }
}

/// What the settings, and this program, allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `group.initial.rebalance.delay.ms`.
    pub(crate) initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`, in ms.
    pub(crate) session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`, in ms.
    pub(crate) session_timeout_max_ms: i32,
    /// `group.max.size`.
    pub(crate) members_max: usize,
    /// `offset.metadata.max.bytes`.
    pub(crate) offset_metadata_max: usize,
    /// `offsets.retention.minutes`, in ms.
    pub(crate) offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub(crate) expiry_interval: Duration,
    /// Bytes that a member may bring for the assignors: what does not fit into a batch can't be kept.
    pub(crate) member_bytes_max: usize,
    /// Ids that were given to members of one group and not used yet.
    pub(crate) pending_max: usize,
    /// Groups of one shard.
    pub(crate) groups_max: usize,
    /// Groups of KIP-848.
    pub(crate) consumer: ConsumerLimits,
}

/// What the settings say of groups of KIP-848.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConsumerLimits {
    /// Session timeout and heartbeat interval of groups that set nothing.
    pub(crate) times: ConsumerTimes,
    /// `group.consumer.max.size`.
    pub(crate) members_max: usize,
    /// `group.consumer.assignors`: the first is taken when members want none.
    pub(crate) assignors: [Option<AssignorKind>; 2],
    /// `group.consumer.migration.policy`.
    pub(crate) migration: MigrationPolicy,
}

impl ConsumerLimits {
    /// Session timeout and heartbeat interval of a group, which may have set its own.
    pub(crate) fn times_of(&self, group: &Text, image: &MetadataImage) -> ConsumerTimes {
        image.configs().group(group).map_or(self.times, |own| self.times.of_group(own))
    }
}

/// Whether a topic is still there: by id when one is given, by name otherwise.
pub(crate) type TopicExists<'a> = &'a dyn Fn(&str, TopicId) -> bool;
