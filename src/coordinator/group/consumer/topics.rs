//! PURE. The topics of the cluster, as groups see them.

use std::fmt::Debug;

use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

use crate::metadata::MetadataImage;

/// A topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicFacts {
    /// Its id.
    pub(crate) id: TopicId,
    /// How many partitions it has.
    pub(crate) partitions: i32,
}

/// The topics that there are.
pub(crate) trait Topics: Debug + Send + Sync {
    /// Another number whenever something may have changed.
    fn version(&self) -> i64;
    /// The topic of a name.
    fn by_name(&self, name: &str) -> Option<TopicFacts>;
    /// The name of a topic.
    fn name_of(&self, id: TopicId) -> Option<Text>;
    /// All names that a regular expression may match: not those of internal topics.
    fn names(&self) -> Vec<Text>;
}

impl Topics for MetadataImage {
    fn version(&self) -> i64 {
        self.offset()
    }

    fn by_name(&self, name: &str) -> Option<TopicFacts> {
        let topic = self.topics().by_name(name)?;
        Some(TopicFacts { id: topic.id(), partitions: topic.partition_count() })
    }

    fn name_of(&self, id: TopicId) -> Option<Text> {
        self.topics().by_id(id).map(|topic| topic.name().clone())
    }

    fn names(&self) -> Vec<Text> {
        let topics = self.topics().iter().filter(|topic| !topic.is_internal());
        topics.map(|topic| topic.name().clone()).collect()
    }
}
