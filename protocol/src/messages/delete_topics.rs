//! DeleteTopics (key 20).

use crate::codec::declare;

declare! {
    /// Asks to delete topics.
    request DeleteTopicsRequest -> DeleteTopicsResponse, DeleteTopics 1-6 {
        /// The topics, by name or id.
        topics: [DeleteTopicState] (6+),
        /// The topics, by name.
        topic_names: [string] (0-5) ignorable,
        /// How long to wait until they are gone, in milliseconds.
        timeout_ms: int32 (0+),
    }

    /// A topic to delete.
    struct DeleteTopicState {
        /// Its name; null when the id is given.
        name: string (6+, nullable 6+, default null),
        /// Its id; nil when the name is given.
        topic_id: uuid (6+),
    }

    /// What became of each topic.
    response DeleteTopicsResponse, DeleteTopics 1-6 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (1+) ignorable,
        /// The outcomes.
        responses: [DeletableTopicResult] (0+),
    }

    /// The outcome of one topic.
    struct DeletableTopicResult {
        /// The topic's name; null when it was given by an id that is not known.
        name: string (0+, nullable 6+),
        /// The topic's id.
        topic_id: uuid (6+) ignorable,
        /// The error, or 0.
        error_code: int16 (0+),
        /// What is wrong, for a person.
        error_message: string (5+, nullable 5+, default null) ignorable,
    }
}
