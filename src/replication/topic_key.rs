//! How a request names a topic.

use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

/// A topic as a request names it: by id from Produce 13 and Fetch 13 on, by name before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    /// By id: one incarnation of a topic.
    Id(TopicId),
    /// By name: whichever topic has it now.
    Name(Text),
}
