//! The shards of this broker: one for each partition of `__consumer_offsets` that it leads. The
//! [`Coordinator`] finds the shard of a group and hands it what is asked.
//!
//! | file | what lives there |
//! |---|---|
//! | this one | the table of shards, kept as the metadata says |
//! | `asked.rs` | an answer that is awaited |
//! | `shard.rs` | a shard's task: commands, clock, commits |
//! | `batch.rs` | records on their way into the log |
//! | `load.rs` | the log read back into state |
//! | `topic.rs` | which partition has a group, and how the topic is made |

mod asked;
mod batch;
mod load;
mod shard;
mod topic;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;
use prometheus_client::metrics::counter::Counter;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::command::{Command, ConsumerLimits, Limits, ReplyTo, Survey};
use super::group::consumer::AssignorKind;
use crate::config::GroupsConfig;
use crate::env::Env;
use crate::metadata::{MetadataDelta, MetadataImage, PartitionImage};
use crate::replication::{Partition, Replicas, TopicKey};
use shard::{Shard, ShardTask};

pub(crate) use asked::Asked;
pub(crate) use topic::{OFFSETS_TOPIC, offsets_topic};

/// Ids that were given to members of one group and not used yet.
const PENDING_MAX: usize = 2_000;

/// Groups of one shard.
const GROUPS_MAX: usize = 100_000;

/// Bytes that one member may bring for the assignors.
const MEMBER_BYTES_MAX: usize = 1 << 20;

/// Shards that load at once: each reads a log.
const LOADING_AT_ONCE: usize = 4;

/// What a coordinator is made of.
#[derive(Debug)]
pub(crate) struct CoordinatorParts {
    /// Time and randomness.
    pub(crate) env: Env,
    /// This node.
    pub(crate) node_id: i32,
    /// The settings.
    pub(crate) config: GroupsConfig,
    /// The partitions on this broker.
    pub(crate) replicas: Arc<Replicas>,
}

/// The groups that this broker looks after.
#[derive(Debug)]
pub(crate) struct Coordinator {
    parts: CoordinatorParts,
    next_token: AtomicU64,
    loading: Arc<Semaphore>,
    figures: Arc<GroupFigures>,
    /// The cluster as of the last change; grows with each topic that goes.
    image: watch::Sender<Arc<MetadataImage>>,
    /// Where tasks are begun.
    tasks: Handle,
    table: Mutex<Table>,
}

/// What all shards count.
#[derive(Debug, Default)]
pub(crate) struct GroupFigures {
    /// Offsets committed.
    pub(crate) commits: Counter,
    /// Generations that began.
    pub(crate) rebalances: Counter,
}

/// The shards.
#[derive(Debug, Default)]
struct Table {
    /// Whether shards may be begun: not before the metadata was read to its end.
    open: bool,
    shards: BTreeMap<i32, Running>,
}

/// A shard that runs.
#[derive(Debug)]
struct Running {
    shard: Arc<Shard>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Coordinator {
    /// A coordinator without shards; [`Coordinator::open`] begins them. Call it inside a runtime.
    pub(crate) fn new(parts: CoordinatorParts) -> Self {
        Self {
            parts,
            next_token: AtomicU64::new(0),
            loading: Arc::new(Semaphore::new(LOADING_AT_ONCE)),
            figures: Arc::default(),
            image: watch::Sender::new(Arc::new(MetadataImage::default())),
            tasks: Handle::current(),
            table: Mutex::default(),
        }
    }

    /// What `config` allows.
    fn limits(&self) -> Limits {
        let config = &self.parts.config;
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Limits {
            initial_rebalance_delay: config.initial_rebalance_delay,
            session_timeout_min_ms: config.session_timeout_min_ms,
            session_timeout_max_ms: config.session_timeout_max_ms,
            members_max: size(config.members_max),
            offset_metadata_max: size(config.offset_metadata_max_bytes),
            offsets_retention_ms: config.offsets_retention_ms,
            expiry_interval: config.expiry_interval,
            member_bytes_max: MEMBER_BYTES_MAX,
            pending_max: PENDING_MAX,
            groups_max: GROUPS_MAX,
            consumer: ConsumerLimits {
                times: config.consumer_times,
                members_max: size(config.consumer_members_max),
                assignors: assignors(&config.consumer_assignors),
                migration: config.migration,
            },
        }
    }

    /// The metadata was read to its end: shards may be begun.
    pub(crate) fn open(&self) {
        let mut table = self.table();
        table.open = true;
        let image = Arc::clone(&self.image.borrow());
        self.follow(&mut table, &image);
    }

    /// Follows a change of the cluster, once the partitions have.
    pub(crate) fn apply(&self, delta: &MetadataDelta) {
        let mut table = self.table();
        let removed = delta.topics().any(|change| change.after.is_none());
        // Only the loss of a topic is news for the shards.
        self.image.send_if_modified(|image| {
            *image = Arc::clone(delta.after());
            removed
        });
        if table.open {
            self.follow(&mut table, delta.after());
        }
    }

    /// Begins and ends shards, so that there is one for each partition that this broker leads.
    fn follow(&self, table: &mut Table, image: &MetadataImage) {
        let topic = image.topics().by_name(OFFSETS_TOPIC);
        let leads = |partition: &PartitionImage| partition.leader == self.parts.node_id;
        let mut led: BTreeMap<i32, Arc<Partition>> = BTreeMap::new();
        for (index, _) in topic.iter().flat_map(|it| it.partitions()).filter(|it| leads(it.1)) {
            let key = topic.map(|topic| TopicKey::Id(topic.id()));
            let found = key.and_then(|key| self.parts.replicas.find(&key, index).ok());
            led.extend(found.map(|partition| (index, partition)));
        }
        table.shards.retain(|index, running| {
            let same = led.get(index).is_some_and(|it| running.shard.is_of(it));
            if !same {
                running.stop.cancel();
            }
            same
        });
        for (index, partition) in led {
            table.shards.entry(index).or_insert_with(|| self.begin(partition));
        }
    }

    fn begin(&self, partition: Arc<Partition>) -> Running {
        let stop = CancellationToken::new();
        let (shard, task) = ShardTask::new(shard::ShardParts {
            partition,
            limits: self.limits(),
            env: self.parts.env.clone(),
            image: self.image.subscribe(),
            loading: Arc::clone(&self.loading),
            figures: Arc::clone(&self.figures),
        });
        let task = self.tasks.spawn(task.run(stop.clone()));
        Running { shard, stop, task }
    }

    /// The broker that looks after a group; `None` while there is none.
    pub(crate) fn leader_of(&self, group: &str, image: &MetadataImage) -> Option<i32> {
        let topic = image.topics().by_name(OFFSETS_TOPIC)?;
        topic.partition(topic::partition_of(group, topic.partition_count())?)?.leader()
    }

    /// Asks the shard of a group; the answer has the type that goes with the command.
    pub(crate) fn ask<A>(&self, group: &Text, command: Command) -> Asked<A> {
        let partitions = {
            let image = self.image.borrow();
            image.topics().by_name(OFFSETS_TOPIC).map_or(0, |topic| topic.partition_count())
        };
        let shard = topic::partition_of(group, partitions);
        let shard =
            shard.and_then(|index| Some(Arc::clone(&self.table().shards.get(&index)?.shard)));
        match shard {
            Some(shard) => shard.ask(self.token(), group, command),
            None => Asked::refused(ErrorCode::NotCoordinator),
        }
    }

    /// Asks every shard of this broker.
    pub(crate) fn ask_all<A>(&self, command: &Command) -> Vec<Asked<A>> {
        let shards: Vec<Arc<Shard>> =
            self.table().shards.values().map(|running| Arc::clone(&running.shard)).collect();
        let ask = |shard: &Arc<Shard>| shard.ask(self.token(), &Text::EMPTY, command.clone());
        shards.iter().map(ask).collect()
    }

    /// What all shards count.
    pub(crate) fn figures(&self) -> &GroupFigures {
        &self.figures
    }

    /// What all shards of this broker have; those that are loading say nothing yet.
    pub(crate) async fn survey(&self) -> Survey {
        let mut whole = Survey::default();
        for asked in self.ask_all::<Survey>(&Command::Survey) {
            let Ok(survey) = asked.await else { continue };
            whole.offsets.extend(survey.offsets);
            for (label, count) in survey.groups {
                *whole.groups.entry(label).or_default() += count;
            }
        }
        whole
    }

    fn token(&self) -> ReplyTo {
        ReplyTo(self.next_token.fetch_add(1, Ordering::Relaxed))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all shards; who still waits is told to look for the coordinator anew.
    pub(crate) async fn stop(&self) {
        let running = {
            let mut table = self.table();
            table.open = false;
            std::mem::take(&mut table.shards)
        };
        for running in running.into_values() {
            running.stop.cancel();
            // A task that panicked has said so already.
            let _ = running.task.await;
        }
    }
}

/// The assignors of these names, in their order.
fn assignors(names: &[String]) -> [Option<AssignorKind>; 2] {
    let mut kinds = names.iter().filter_map(|name| AssignorKind::from_name(name));
    [kinds.next(), kinds.next()]
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        for running in self.table().shards.values() {
            running.stop.cancel();
        }
    }
}

#[cfg(test)]
mod tests;
