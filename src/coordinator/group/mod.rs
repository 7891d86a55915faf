//! PURE. Groups, of either protocol. A group decides on what it is asked, and replays the records
//! that come of it.

pub(crate) mod classic;
pub(crate) mod consumer;

use std::time::Duration;

use classic::ClassicGroup;
use consumer::ConsumerGroup;
use duramen_protocol::messages::list_groups::ListedGroup;

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
    /// Type and state, in Kafka's words.
    pub(crate) fn label(&self) -> Label {
        match self {
            Self::Classic(group) => ("classic", group.state().name()),
            Self::Consumer(group) => ("consumer", group.state()),
        }
    }

    /// The group, when it is a classic one.
    pub(crate) fn classic(&mut self) -> Option<&mut ClassicGroup> {
        match self {
            Self::Classic(group) => Some(group),
            Self::Consumer(_) => None,
        }
    }

    /// When it wants to be woken.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        match self {
            Self::Classic(group) => group.wake_at(),
            Self::Consumer(group) => group.wake_at(),
        }
    }

    /// Whether nothing is left of it.
    pub(crate) fn is_nothing(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_vacant() && !group.is_recorded(),
            Self::Consumer(group) => group.is_nothing(),
        }
    }

    /// As ListGroups shows it.
    pub(crate) fn list(&self) -> ListedGroup {
        match self {
            Self::Classic(group) => group.list(),
            Self::Consumer(group) => group.list(),
        }
    }
}
