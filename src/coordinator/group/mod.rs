//! PURE. Groups, of either protocol. A group decides on what it is asked, and replays the records
//! that come of it.

pub(crate) mod classic;

use classic::ClassicGroup;

/// A group's type and state.
pub(crate) type Label = (&'static str, &'static str);

/// A group.
#[derive(Debug)]
pub(crate) enum Group {
    /// Members agree among themselves (and all groups that only commit offsets).
    Classic(ClassicGroup),
}

impl Group {
    /// Type and state, in Kafka's words.
    pub(crate) fn label(&self) -> Label {
        match self {
            Self::Classic(group) => ("classic", group.state().name()),
        }
    }

    /// The group, when it is a classic one.
    pub(crate) fn classic(&mut self) -> Option<&mut ClassicGroup> {
        match self {
            Self::Classic(group) => Some(group),
        }
    }
}
