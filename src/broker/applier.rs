//! Applies metadata changes to this broker, one delta after another, before the image that holds
//! them is published: a handler never sees a partition that is not there yet.

use std::sync::{Arc, RwLock};

use duramen_protocol::text::Text;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::config::{Settings, Texts, TopicConfig};
use crate::coordinator::Coordinator;
use crate::metadata::loader::Apply;
use crate::metadata::{ConfigResource, MetadataDelta, MetadataImage};
use crate::replication::Replicas;

/// The one task that applies deltas.
pub(super) struct Applier {
    pub(super) node_id: i32,
    pub(super) replicas: Arc<Replicas>,
    /// The broker's settings with what was changed at run time.
    pub(super) settings: Arc<RwLock<Settings>>,
    /// The groups that this broker looks after.
    pub(super) groups: Arc<Coordinator>,
    /// What a topic has whose own settings can't be used.
    pub(super) fallback: TopicConfig,
}

impl Applier {
    /// Applies what comes until `stop` says so or nothing more can come.
    pub(super) async fn run(self, mut deltas: mpsc::Receiver<Apply>, stop: CancellationToken) {
        let applier = Arc::new(self);
        while let Some(Some(apply)) = stop.run_until_cancelled(deltas.recv()).await {
            let worker = Arc::clone(&applier);
            // Opening and deleting logs waits for the disk.
            let applied = tokio::task::spawn_blocking(move || {
                worker.apply(&apply.delta);
                apply
            });
            match applied.await {
                Ok(apply) => apply.done(),
                Err(error) => {
                    error!(%error, "a metadata change could not be applied; no further one is");
                    return;
                }
            }
        }
    }

    fn apply(&self, delta: &MetadataDelta) {
        let image = delta.after();
        let settings = self.take_settings(delta);
        let config_of = |topic: &str| self.config_of(&settings, image, topic);
        self.replicas.apply(delta, &config_of);
        self.replicas.reconfigure(changed_topics(delta, self.node_id).into_iter(), &config_of);
        self.replicas.set_strays_aside();
        self.groups.apply(delta);
    }

    /// The broker's settings as of the image, for everyone.
    fn take_settings(&self, delta: &MetadataDelta) -> Settings {
        let configs = delta.after().configs();
        let texts = |resource: &ConfigResource| -> Texts { (*configs.of(resource)).clone() };
        let mut shared = self.settings.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *shared = shared.with_dynamic(
            texts(&ConfigResource::cluster()),
            texts(&ConfigResource::broker(self.node_id)),
        );
        shared.clone()
    }

    fn config_of(&self, settings: &Settings, image: &MetadataImage, topic: &str) -> TopicConfig {
        let own = image.configs().topic(topic);
        TopicConfig::resolve(settings, &own).unwrap_or_else(|error| {
            error!(topic, %error, "the settings of a topic can't be used; it has the broker's");
            self.fallback.clone()
        })
    }
}

/// Topics whose settings a delta may have changed: those named, or all when the broker's changed.
fn changed_topics(delta: &MetadataDelta, node_id: i32) -> Vec<Text> {
    let topics = delta.after().topics();
    let own = [ConfigResource::cluster(), ConfigResource::broker(node_id)];
    if delta.configs().any(|resource| own.contains(resource)) {
        return topics.iter().map(|topic| topic.name().clone()).collect();
    }
    let changed = delta
        .configs()
        .filter(|resource| **resource == ConfigResource::topic(resource.name.clone()));
    changed.map(|resource| resource.name.clone()).collect()
}
