//! What the tests of decisions share: a cluster that decisions are made on and replayed into.

use std::sync::Arc;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::metadata::MetadataRecord;
use duramen_protocol::text::Text;
use uuid::Uuid;

use super::{Settings, View, decide};
use crate::config;
use crate::controller::command::{Command, CreateTopics, NewTopic, Refusal, RegisterBroker, Reply};
use crate::metadata::{MetadataImage, Provenance, Replay};

/// A cluster in memory: each command is decided, and what it changes is replayed at once.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) image: Arc<MetadataImage>,
    pub(crate) settings: Settings,
    /// All metadata records there ever were.
    pub(crate) log: Vec<MetadataRecord>,
    seed: u64,
}

impl Cluster {
    /// A cluster of the brokers `ids`, all active.
    pub(crate) fn of(ids: &[i32]) -> Self {
        let settings = Settings {
            num_partitions: 3,
            default_replication_factor: 1,
            delete_topic_enable: true,
            node_id: ids.first().copied().unwrap_or(0),
            broker: config::Settings::default(),
        };
        let mut cluster = Self { image: Arc::default(), settings, log: Vec::new(), seed: 0 };
        for &id in ids {
            cluster.run(Command::RegisterBroker(registration(id, 1)));
        }
        cluster
    }

    /// Carries out `command`.
    pub(crate) fn run(&mut self, command: Command) -> Reply {
        let mut seed = self.seed;
        let mut dice = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
            seed ^ (seed >> 29)
        };
        let view = View { image: &self.image, settings: &self.settings };
        let decision = decide(view, &command, &mut dice);
        self.seed = seed;
        if !decision.records.is_empty() {
            let mut replay = Replay::new(&self.image);
            replay.apply_all(&decision.records).unwrap();
            let count = i64::try_from(decision.records.len()).unwrap();
            let at = self.image.provenance();
            let delta = replay.finish(Provenance { offset: at.offset + count, epoch: 1, ..at });
            assert_eq!(delta.ignored(), 0, "{:?}", decision.records);
            self.image = Arc::clone(delta.after());
            self.log.extend(decision.records);
        }
        decision.reply
    }

    /// Creates a topic of `partitions` partitions with one replica each.
    pub(crate) fn with_topic(mut self, name: &str, partitions: i32) -> Self {
        let topic = NewTopic { partitions, ..NewTopic::with_defaults(name) };
        let command = CreateTopics { topics: vec![topic], validate_only: false };
        let Reply::CreateTopics(results) = self.run(Command::CreateTopics(command)) else {
            unreachable!()
        };
        assert!(results[0].1.is_ok(), "{results:?}");
        self
    }
}

/// The registration of broker `id` by its `incarnation`th process.
pub(crate) fn registration(id: i32, incarnation: u128) -> RegisterBroker {
    RegisterBroker {
        id,
        cluster_id: Text::EMPTY,
        incarnation_id: Uuid::from_u128(incarnation),
        endpoints: Vec::new(),
        features: [].into(),
        rack: None,
        log_dirs: Vec::new(),
    }
}

/// What a client sees of a result.
pub(crate) fn seen<T>(result: &Result<T, Refusal>) -> (ErrorCode, &str) {
    match result {
        Ok(_) => (ErrorCode::None, ""),
        Err(refusal) => (refusal.code, &refusal.message),
    }
}
