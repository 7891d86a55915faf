//! What is made of properties.

use std::fmt;

/// What a property belongs to, and what is made of properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Any client.
    Client,
    /// A producer.
    Producer,
    /// A consumer, in a group or not.
    Consumer,
    /// A member of a group.
    Group,
}

impl Kind {
    /// Whether what is `wanted` has the properties of this kind.
    pub(super) fn is_part_of(self, wanted: Self) -> bool {
        match self {
            Self::Client => true,
            Self::Consumer => matches!(wanted, Self::Consumer | Self::Group),
            Self::Producer | Self::Group => self == wanted,
        }
    }

    /// All of them, for a table.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Client => "all",
            Self::Producer => "producers",
            Self::Consumer => "consumers",
            Self::Group => "members",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "a client that only asks",
            Self::Producer => "a producer",
            Self::Consumer => "a consumer without a group",
            Self::Group => "a member of a group",
        })
    }
}
