//! PURE. Groups, of either protocol. A group decides on what it is asked, and replays the records
//! that come of it.

pub(crate) mod classic;
pub(crate) mod consumer;
pub(crate) mod migration;

use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::list_groups::ListedGroup;
use duramen_protocol::text::Text;

use classic::ClassicGroup;
use consumer::ConsumerGroup;

/// A group's type and state.
pub(crate) type Label = (&'static str, &'static str);

/// A group.
#[derive(Debug)]
pub(crate) enum Group {
    /// Members agree among themselves (and all groups that only commit offsets).
    Classic(ClassicGroup),
    /// The coordinator assigns (KIP-848).
    Consumer(ConsumerGroup),
}

impl Group {
    /// Its name.
    pub(crate) fn id(&self) -> &Text {
        match self {
            Self::Classic(group) => group.id(),
            Self::Consumer(group) => group.id(),
        }
    }

    /// Type and state, in Kafka's words.
    pub(crate) fn label(&self) -> Label {
        match self {
            Self::Classic(group) => ("classic", group.state().name()),
            Self::Consumer(group) => ("consumer", group.state().name()),
        }
    }

    /// The group, when it is a classic one.
    pub(crate) fn classic(&mut self) -> Option<&mut ClassicGroup> {
        match self {
            Self::Classic(group) => Some(group),
            Self::Consumer(_) => None,
        }
    }

    /// The group, when it is one of KIP-848.
    pub(crate) fn consumer(&mut self) -> Option<&mut ConsumerGroup> {
        match self {
            Self::Classic(_) => None,
            Self::Consumer(group) => Some(group),
        }
    }

    /// When it wants to be woken.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        match self {
            Self::Classic(group) => group.wake_at(),
            Self::Consumer(group) => group.wake_at(),
        }
    }

    /// Whether anyone is in it, or has the promise of a place.
    pub(crate) fn is_vacant(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_vacant(),
            Self::Consumer(group) => group.is_empty(),
        }
    }

    /// Whether the log has a record of it.
    pub(crate) fn is_recorded(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_recorded(),
            Self::Consumer(group) => group.is_recorded(),
        }
    }

    /// As ListGroups shows it.
    pub(crate) fn list(&self) -> ListedGroup {
        match self {
            Self::Classic(group) => group.list(),
            Self::Consumer(group) => group.list(),
        }
    }

    /// Whether the group may be deleted.
    pub(crate) fn may_delete(&self) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(group) => group.may_delete(),
            Self::Consumer(group) => group.may_delete(),
        }
    }
}

/// A timeout of the wire; a negative one is over at once.
fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
