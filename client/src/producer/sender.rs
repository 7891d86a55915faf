//! The one task of a producer: takes batches that are ready, sends them to the leaders of their
//! partitions, and tells the waiting what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::produce::TopicProduceData;
use duramen_protocol::messages::{InitProducerIdRequest, ProduceResponse};
use duramen_protocol::records::builder::BatchOptions;
use duramen_protocol::text::Text;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::accumulator::{BufferId, Filling};
use super::content::Content;
use super::dispatch::poll_answers;
use super::lane::Lane;
use super::queue::{Batch, MAX_IN_FLIGHT, PartitionQueue};
use super::request::Part;
use crate::cluster::{Cluster, ClusterView, Topics};
use crate::connection::Connection;
use crate::error::ClientError;
use crate::trouble::Trying;

/// How long the sender sleeps when nothing at all is due.
const IDLE: Duration = Duration::from_secs(60);

/// Work done beside the sender's loop.
pub(super) enum Done {
    Connected(i32, Result<Connection, ClientError>),
    Metadata(Result<(), ClientError>),
    Identity(Result<(i64, i16), ClientError>),
}

/// The producer id, where one is needed.
pub(super) enum Identity {
    Unknown,
    Asking,
    Known { id: i64, epoch: i16 },
}

/// A partition with its unacknowledged batches.
pub(super) struct Route {
    topic: Text,
    partition: i32,
    pub(super) queue: PartitionQueue<Content>,
}

/// See the top of the file.
pub(super) struct Sender {
    pub(super) shared: Arc<Shared>,
    pub(super) cluster: Cluster,
    pub(super) batch_options: BatchOptions,
    pub(super) identity: Identity,
    identity_failures: u32,
    identity_at: Instant,
    pub(super) routes: BTreeMap<BufferId, Route>,
    /// Routes with something in their queue.
    pub(super) active: BTreeSet<BufferId>,
    pub(super) lanes: BTreeMap<i32, Lane>,
    pub(super) done: JoinSet<Done>,
    pub(super) next_batch: u64,
    /// There may be more to send at once.
    pub(super) again: bool,
    /// An error said that leaders have changed.
    pub(super) stale: bool,
    refreshing: bool,
    refresh_failures: u32,
    refresh_at: Instant,
    view: Arc<ClusterView>,
    trying: Trying,
    /// Something was delivered since it was last in trouble.
    pub(super) delivers: bool,
    /// What may go to each leader; kept for its memory, as it is made anew each time.
    pub(super) by_leader: BTreeMap<i32, Vec<Part>>,
    pub(super) memory: Memory,
}

/// Lists of parts, and answers, that are kept for requests to come.
const KEPT: usize = 16;
/// Partitions, and topics, that an answer has room for which is kept: what a broker sends is not bounded here.
const KEPT_PARTS: usize = 1024;

/// Memory that is used again, so that a request costs few allocations.
#[derive(Default)]
pub(super) struct Memory {
    /// Of requests that were answered.
    pub(super) parts: Vec<Vec<Part>>,
    /// What their answers were read into.
    answers: Vec<ProduceResponse>,
    /// Of the last request.
    pub(super) topics: Vec<TopicProduceData>,
    /// What codecs write into.
    pub(super) room: Vec<u8>,
    /// Of the batches that were ready last.
    ready: Vec<(BufferId, Filling)>,
}

impl Memory {
    /// Takes back the list of a request that is over.
    pub(super) fn keep(&mut self, mut parts: Vec<Part>) {
        if self.parts.len() < KEPT {
            parts.clear();
            self.parts.push(parts);
        }
    }

    /// Takes back an answer that was read.
    pub(super) fn keep_answer(&mut self, answer: ProduceResponse) {
        let topics = answer.responses.iter();
        let partitions: usize = topics.map(|topic| topic.partition_responses.capacity()).sum();
        if self.answers.len() < KEPT && partitions + answer.responses.capacity() <= KEPT_PARTS {
            self.answers.push(answer);
        }
    }
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>, cluster: Cluster) -> Self {
        let options = &shared.options;
        let batch_options = BatchOptions {
            compression: options.compression,
            level: options.compression_level,
            ..BatchOptions::default()
        };
        let identity = match (options.sequences(), &options.identity) {
            (true, None) => Identity::Unknown,
            (true, Some(fixed)) => Identity::Known { id: fixed.id, epoch: fixed.epoch },
            (false, _) => Identity::Known { id: -1, epoch: -1 },
        };
        Self {
            view: cluster.view(),
            trying: Trying::new(cluster.meter()),
            delivers: false,
            refresh_at: Instant::now() + cluster.options().metadata_max_age,
            shared,
            cluster,
            batch_options,
            identity,
            identity_failures: 0,
            identity_at: Instant::now(),
            routes: BTreeMap::new(),
            active: BTreeSet::new(),
            lanes: BTreeMap::new(),
            done: JoinSet::new(),
            next_batch: 0,
            again: false,
            stale: false,
            refreshing: false,
            refresh_failures: 0,
            by_leader: BTreeMap::new(),
            memory: Memory::default(),
        }
    }

    /// Works until the producer is closed and everything has met its fate.
    pub(super) async fn run(mut self) {
        let mut answered = Vec::new();
        loop {
            let now = Instant::now();
            self.view = self.cluster.view();
            let lingering = self.take_ready(now);
            self.expire(now);
            self.look_for_trouble();
            self.begin_identity(now);
            self.send_all(now);
            self.begin_refresh(now);
            if self.shared.closed.load(Ordering::Acquire) && self.is_idle() {
                return;
            }
            if std::mem::take(&mut self.again) {
                tokio::task::yield_now().await;
                continue;
            }
            let wake = self.next_wake(now, lingering);
            let shared = Arc::clone(&self.shared);
            tokio::select! {
                () = poll_answers(&mut self.lanes, &mut self.memory.answers, &mut answered) => {}
                () = shared.wake.notified() => {}
                Some(done) = self.done.join_next() => {
                    if let Ok(done) = done {
                        self.take_done(done);
                    }
                }
                () = sleep_until(wake) => {}
            }
            for (leader, (parts, result)) in answered.drain(..) {
                self.take_answer(leader, parts, result);
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.active.is_empty() && self.shared.accumulator().is_empty()
    }

    /// Moves ready batches from the accumulator into their queues; says when the next will be ready.
    fn take_ready(&mut self, now: Instant) -> Option<Instant> {
        let all = self.shared.wants_all();
        let limit = if self.shared.options.sequences() { MAX_IN_FLIGHT } else { 1 };
        let routes = &self.routes;
        let room = |buffer| {
            routes.get(&buffer).map_or(limit, |Route { queue, .. }| {
                if queue.has_room() { limit.saturating_sub(queue.len()) } else { 0 }
            })
        };
        let mut ready = std::mem::take(&mut self.memory.ready);
        let next = self.shared.accumulator().take_ready(now, all, room, &mut ready);
        for (buffer, filling) in ready.drain(..) {
            let records = filling.builder.record_count();
            let deadline = filling.created + self.shared.options.delivery_timeout;
            let content = Content::new(self.next_batch, filling);
            self.next_batch += 1;
            let (sequences, epoch) = (self.shared.options.sequences(), self.epoch());
            let route = self.routes.entry(buffer).or_insert_with(|| {
                let (topic, partition) =
                    self.shared.accumulator().place(buffer).unwrap_or_default();
                let queue = PartitionQueue::new(sequences, epoch);
                let queue = match &self.shared.options.identity {
                    Some(fixed) => {
                        let next = fixed.next.get(&(topic.clone(), partition));
                        queue.going_on_at(next.copied().unwrap_or(0))
                    }
                    None => queue,
                };
                Route { topic, partition, queue }
            });
            route.queue.push(Batch::new(content, records, deadline));
            self.active.insert(buffer);
        }
        self.memory.ready = ready;
        next
    }

    fn epoch(&self) -> i16 {
        match self.identity {
            Identity::Known { epoch, .. } => epoch,
            // Producer ids begin with epoch 0.
            Identity::Unknown | Identity::Asking => 0,
        }
    }

    /// Gives up what has waited for its whole time.
    fn expire(&mut self, now: Instant) {
        let timeout = self.shared.options.delivery_timeout;
        let mut given_up = Vec::new();
        for buffer in &self.active {
            let Some(route) = self.routes.get_mut(buffer) else { continue };
            while let Some(batch) = route.queue.expire(now) {
                given_up.push((*buffer, batch.payload));
            }
        }
        if let Some(limit) = now.checked_sub(timeout) {
            for filling in self.shared.accumulator().take_older(limit) {
                given_up.push((usize::MAX, Content::new(u64::MAX, filling)));
            }
        }
        for (buffer, content) in given_up {
            let last = self.shared.last_error().unwrap_or_else(|| "no answer came".to_owned());
            let what = "delivery".to_owned();
            let error = ClientError::Expired { what, after: timeout, last };
            self.cluster.meter().records_failed.add(content.records);
            self.finish(buffer, content, |content| content.failed(error, Vec::new()));
        }
    }

    /// Something went wrong that is tried again, or will be told as the fate of a batch.
    pub(super) fn met(&mut self, error: &ClientError) {
        self.shared.set_last_error(error.to_string());
        self.trying.failed(error);
        self.delivers = false;
    }

    /// A trouble is over when nothing is left of what waited when it was last met.
    fn look_for_trouble(&mut self) {
        let Some(last) = self.trying.last_failed() else { return };
        let from_then_on = last + self.shared.options.delivery_timeout;
        let waited = |queue: &PartitionQueue<Content>| {
            queue.first_deadline().is_some_and(|deadline| deadline <= from_then_on)
        };
        let mut routes = self.active.iter().filter_map(|buffer| self.routes.get(buffer));
        if !routes.any(|route| waited(&route.queue)) {
            match self.delivers {
                true => self.trying.is_well(),
                false => self.trying.is_given_up(),
            }
        }
    }

    /// Ends a batch and gives its bytes back.
    pub(super) fn finish(
        &mut self,
        buffer: BufferId,
        mut content: Content,
        end: impl FnOnce(Content),
    ) {
        let (reserved, memory) = (content.reserved, content.memory());
        end(content);
        if let Some(memory) = memory {
            self.shared.accumulator().recycle(memory);
        }
        self.shared.release(reserved);
        if self.routes.get(&buffer).is_some_and(|route| route.queue.is_empty()) {
            self.active.remove(&buffer);
        }
    }

    fn begin_identity(&mut self, now: Instant) {
        let due = matches!(self.identity, Identity::Unknown) && now >= self.identity_at;
        if due && !self.active.is_empty() {
            self.identity = Identity::Asking;
            let cluster = self.cluster.clone();
            self.done.spawn(async move { Done::Identity(ask_identity(&cluster).await) });
        }
    }

    /// Asks for metadata when an error said so, or it has grown old.
    fn begin_refresh(&mut self, now: Instant) {
        if self.refreshing || !(self.stale || now >= self.refresh_at) {
            return;
        }
        if self.stale && self.refresh_failures > 0 && now < self.refresh_at {
            return;
        }
        self.refreshing = true;
        let (cluster, names) = (self.cluster.clone(), self.shared.accumulator().topics());
        let wanted = match self.shared.options.allow_topic_creation {
            true => self.waiting_for(),
            false => BTreeSet::new(),
        };
        self.done.spawn(async move { Done::Metadata(look(&cluster, &names, wanted).await) });
    }

    /// The topics that have something to send.
    fn waiting_for(&self) -> BTreeSet<Text> {
        let routes = self.active.iter().filter_map(|buffer| self.routes.get(buffer));
        routes.map(|route| route.topic.clone()).collect()
    }

    fn take_done(&mut self, done: Done) {
        match done {
            Done::Identity(Ok((id, epoch))) => self.identity = Identity::Known { id, epoch },
            Done::Identity(Err(error)) => {
                self.identity = Identity::Unknown;
                self.identity_failures += 1;
                self.identity_at = Instant::now() + self.cluster.backoff(self.identity_failures);
                self.met(&error);
                if !error.is_retriable() {
                    self.fail_all(&error);
                }
            }
            Done::Metadata(result) => self.take_metadata(result),
            Done::Connected(id, result) => self.take_connection(id, result),
        }
    }

    fn take_connection(&mut self, id: i32, result: Result<Connection, ClientError>) {
        let lane = self.lanes.entry(id).or_default();
        lane.connecting = false;
        match result {
            Ok(connection) => {
                lane.connection = Some(connection);
                lane.not_before = None;
            }
            Err(error) => {
                lane.failures += 1;
                lane.not_before = Some(Instant::now() + self.cluster.backoff(lane.failures));
                self.stale = true;
                self.met(&error);
            }
        }
    }

    fn take_metadata(&mut self, result: Result<(), ClientError>) {
        self.refreshing = false;
        let now = Instant::now();
        match result {
            Ok(()) => {
                self.view = self.cluster.view();
                let mut accumulator = self.shared.accumulator();
                let topics = accumulator.topics();
                topics.iter().filter_map(|name| self.view.topic(name)).for_each(|topic| {
                    accumulator.learn(topic);
                });
                drop(accumulator);
                // Leaders that are still missing are asked for again, but not at once.
                let leaderless = self.leaderless();
                self.stale = leaderless.is_some();
                if let Some(error) = leaderless {
                    self.met(&error);
                }
                self.refresh_failures = if self.stale { self.refresh_failures + 1 } else { 0 };
            }
            Err(error) => {
                self.refresh_failures += 1;
                self.met(&error);
            }
        }
        self.refresh_at = match self.refresh_failures {
            0 => now + self.cluster.options().metadata_max_age,
            failures => now + self.cluster.backoff(failures),
        };
    }

    /// A partition that has something to send and no leader.
    fn leaderless(&self) -> Option<ClientError> {
        let buffer = self.active.iter().find(|buffer| self.leader_of(**buffer).is_none())?;
        let Route { topic, partition, .. } = self.routes.get(buffer)?;
        Some(refused(topic, *partition, ErrorCode::LeaderNotAvailable, None))
    }

    /// The leader of a buffer's partition, and what a request calls it.
    pub(super) fn leader_of(&self, buffer: BufferId) -> Option<(i32, Part)> {
        let route = self.routes.get(&buffer)?;
        let (topic, partition) = (route.topic.clone(), route.partition);
        let known = self.view.topic(&topic)?;
        let leader = known.partition(partition)?.leader?;
        let topic_id = known.id;
        Some((leader, Part { buffer, batch: 0, topic_id, topic, partition, records: Bytes::new() }))
    }

    /// Nothing can be sent any more, for this reason.
    fn fail_all(&mut self, error: &ClientError) {
        for (_, route) in std::mem::take(&mut self.routes) {
            for batch in route.queue.into_batches() {
                self.shared.release(batch.payload.reserved);
                batch.payload.failed(error.clone(), Vec::new());
            }
        }
        self.active.clear();
    }

    fn next_wake(&self, now: Instant, lingering: Option<Instant>) -> Instant {
        let queues = self.active.iter().filter_map(|id| self.routes.get(id)?.queue.next_wake(now));
        let identity = Some(self.identity_at).filter(|at| *at > now);
        let lanes = self.lanes.values().filter_map(|lane| lane.not_before).filter(|at| *at > now);
        let timeout = self.shared.options.delivery_timeout;
        let oldest = self.shared.accumulator().oldest().map(|at| at + timeout);
        let refresh = (!self.refreshing).then_some(self.refresh_at);
        queues
            .chain(lanes)
            .chain(lingering)
            .chain(identity)
            .chain(oldest)
            .chain(refresh)
            .chain([now + IDLE])
            .min()
            .unwrap_or(now + IDLE)
    }
}

/// A refusal of what was sent to a partition.
pub(super) fn refused(
    topic: &Text,
    partition: i32,
    code: ErrorCode,
    message: Option<Text>,
) -> ClientError {
    ClientError::refused(format!("partition {topic}-{partition}"), code, message)
}

/// A producer id of our own, from any broker.
pub(super) async fn ask_identity(cluster: &Cluster) -> Result<(i64, i16), ClientError> {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        ..InitProducerIdRequest::default()
    };
    let answer = cluster.any().await?.call(&request).await?;
    match ErrorCode::from_code(answer.error_code) {
        ErrorCode::None => Ok((answer.producer_id, answer.producer_epoch)),
        code => Err(ClientError::refused("producer id", code, None)),
    }
}

/// Asks about topics. Those that are missing may be made when there are records for them: one that was
/// deleted does not come back because it was written once.
async fn look(
    cluster: &Cluster,
    names: &[Text],
    mut wanted: BTreeSet<Text>,
) -> Result<(), ClientError> {
    cluster.fetch_metadata(Topics::Named(names)).await?;
    let view = cluster.view();
    wanted.retain(|name| view.topic(name).is_none());
    if !wanted.is_empty() {
        let missing: Vec<Text> = wanted.into_iter().collect();
        cluster.fetch_metadata(Topics::NamedOrMade(&missing)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use duramen_protocol::messages::produce::TopicProduceResponse;

    use super::*;

    #[test]
    fn the_memory_of_few_answers_is_kept_and_of_none_that_is_unusually_long() {
        let answer = |topics: usize, partitions: usize| {
            let partition_responses = Vec::with_capacity(partitions);
            let topic = TopicProduceResponse { partition_responses, ..Default::default() };
            let mut responses = Vec::with_capacity(topics);
            responses.push(topic);
            ProduceResponse { responses, ..ProduceResponse::default() }
        };
        let mut memory = Memory::default();
        memory.keep_answer(answer(1, KEPT_PARTS));
        memory.keep_answer(answer(KEPT_PARTS, 1));
        assert!(memory.answers.is_empty());
        (0..2 * KEPT).for_each(|_| memory.keep_answer(answer(1, 1)));
        assert_eq!(memory.answers.len(), KEPT);
    }
}
