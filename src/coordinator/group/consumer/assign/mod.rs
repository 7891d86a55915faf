//! PURE. Who is to read which partition: the assignors of the server.
//!
//! | file | what lives there |
//! |---|---|
//! | this one | what an assignor is given, and the choice of one |
//! | `uniform.rs` | as many partitions for everyone, moving as few as possible |
//! | `range.rs` | a contiguous range of each topic |

mod range;
#[cfg(test)]
mod tests;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

/// Partitions, by topic.
pub(crate) type Partitions = BTreeMap<TopicId, BTreeSet<i32>>;

/// A member, as an assignor sees it.
#[derive(Debug)]
pub(crate) struct Subscriber<'a> {
    /// Its id.
    pub(crate) id: &'a Text,
    /// The name of a static member: it keeps its place over restarts.
    pub(crate) instance_id: Option<&'a Text>,
    /// The topics it subscribes to, of those that are there.
    pub(crate) topics: BTreeSet<TopicId>,
    /// What it was to have until now.
    pub(crate) held: Option<&'a Partitions>,
}

/// An assignor of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assignor {
    /// The default.
    Uniform,
    /// By ranges.
    Range,
}

impl Assignor {
    /// All of them; the first is the default.
    pub(crate) const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// Kafka's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The assignor of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// Gives every partition of a topic that has subscribers to one of them. `counts` has the number
    /// of partitions of each topic; the answer is in the order of the members.
    pub(crate) fn assign(
        self,
        members: &[Subscriber<'_>],
        counts: &BTreeMap<TopicId, i32>,
    ) -> Vec<Partitions> {
        match self {
            Self::Uniform => uniform::assign(members, counts),
            Self::Range => range::assign(members, counts),
        }
    }
}
