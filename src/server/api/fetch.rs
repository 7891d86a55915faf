//! Fetch (key 1): record batches from an offset on, as slices of the log's map. Waits for
//! `min_bytes` up to `max_wait_ms`. What is not in memory, or was not checked since it came from the
//! disk, is brought in and checked on the blocking pool before the answer is written, so that no
//! connection's task waits for a disk.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::READ_COMMITTED;
use duramen_protocol::messages::fetch::{
    EpochEndOffset, FetchPartition, FetchRequest, FetchResponse, FetchTopic,
    FetchableTopicResponse, PartitionData, SnapshotId,
};
use tokio::sync::Notify;

use crate::env::{Patience, Populate};
use crate::replication::{FetchQuery, Fetched, Isolation, Partition, TopicKey};
use crate::server::context::RequestContext;
use crate::server::fetch_session::{FetchTarget, Found, Plan, SessionRequest, Wanted};
use crate::server::metrics::Waiting;
use crate::server::reply::Reply;

/// First version that names topics by id (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;
/// First version whose partitions have a snapshot id.
const SNAPSHOT_VERSION: i16 = 12;

/// One fetch request on its way: what to read and when it is enough.
struct Fetching {
    context: RequestContext,
    plan: Plan,
    isolation: Isolation,
    max_bytes: usize,
    min_bytes: usize,
    max_wait: Duration,
}

/// One partition as a pass found it.
struct Looked {
    target: FetchTarget,
    partition: Option<Arc<Partition>>,
    found: Result<Fetched, ErrorCode>,
}

/// What one pass over the partitions found.
struct Pass {
    partitions: Vec<Looked>,
    bytes: usize,
    /// Some partition has an error or a diverging epoch: the client should hear at once.
    urgent: bool,
    /// Some partition can only be read where the disk may be waited for.
    needs_disk: bool,
}

/// Serves a fetch request.
pub(crate) fn handle(context: &RequestContext, request: FetchRequest) -> Reply<FetchResponse> {
    if request.replica_id >= 0 || request.replica_state.replica_id >= 0 {
        return Reply::Now(failed(ErrorCode::InvalidRequest));
    }
    let fetching = match Fetching::begin(context, request) {
        Ok(fetching) => fetching,
        Err(error) => return Reply::Now(failed(error)),
    };
    let pass = fetching.read(Patience::Now);
    if pass.needs_disk {
        return Reply::overlapping(fetching.read_from_disk());
    }
    if fetching.is_enough(&pass) {
        return Reply::Now(fetching.answer(pass));
    }
    Reply::overlapping(fetching.wait())
}

fn failed(error: ErrorCode) -> FetchResponse {
    FetchResponse { error_code: error.code(), ..FetchResponse::default() }
}

impl Fetching {
    fn begin(context: &RequestContext, request: FetchRequest) -> Result<Self, ErrorCode> {
        let services = &context.services;
        let by_id = context.api_version >= TOPIC_ID_VERSION;
        let session = SessionRequest {
            id: request.session_id,
            epoch: request.session_epoch,
            targets: request.topics.into_iter().flat_map(|topic| targets(topic, by_id)).collect(),
            forgotten: request
                .forgotten_topics_data
                .into_iter()
                .flat_map(|topic| {
                    let key = topic_key(by_id, topic.topic_id, topic.topic);
                    topic.partitions.into_iter().map(move |partition| (key.clone(), partition))
                })
                .collect(),
        };
        let fresh_id = i32::try_from(services.env.random.below(1 << 31)).unwrap_or(0);
        let now = services.env.clock.now();
        let plan = services.sessions().begin(session, now, fresh_id)?;
        let at_most = services.config.network.fetch_max_bytes as usize;
        let isolation = match request.isolation_level {
            READ_COMMITTED => Isolation::ReadCommitted,
            _ => Isolation::ReadUncommitted,
        };
        Ok(Self {
            context: context.clone(),
            plan,
            isolation,
            max_bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(at_most),
            min_bytes: usize::try_from(request.min_bytes).unwrap_or(0).min(at_most),
            max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
        })
    }

    /// Reads every partition in order until `max_bytes` are found; the first batch comes whatever
    /// its size, so that a consumer never stands still before a large one (KIP-74).
    fn read(&self, patience: Patience) -> Pass {
        let mut pass = Pass {
            partitions: Vec::with_capacity(self.plan.targets.len()),
            bytes: 0,
            urgent: false,
            needs_disk: false,
        };
        for target in &self.plan.targets {
            let query = FetchQuery {
                offset: target.wanted.fetch_offset,
                max_bytes: usize::try_from(target.wanted.max_bytes)
                    .unwrap_or(0)
                    .min(self.max_bytes.saturating_sub(pass.bytes)),
                at_least_one: pass.bytes == 0,
                patience,
                isolation: self.isolation,
                current_leader_epoch: target.wanted.current_leader_epoch,
                last_fetched_epoch: target.wanted.last_fetched_epoch,
            };
            let partition = self.find(target);
            let found = match &partition {
                Ok(partition) => partition.fetch(&query),
                Err(error) => Err(*error),
            };
            match &found {
                Ok(fetched) => {
                    pass.bytes += fetched.records.len();
                    pass.urgent |= fetched.diverging.is_some() || fetched.damaged_up_to.is_some();
                    pass.needs_disk |= fetched.needs_disk;
                }
                Err(_) => pass.urgent = true,
            }
            let (target, partition) = (target.clone(), partition.ok());
            pass.partitions.push(Looked { target, partition, found });
        }
        pass
    }

    fn find(&self, target: &FetchTarget) -> Result<Arc<Partition>, ErrorCode> {
        self.context.services.replicas.find(&target.topic, target.partition)
    }

    fn is_enough(&self, pass: &Pass) -> bool {
        pass.urgent
            || pass.bytes >= self.min_bytes
            || self.max_wait.is_zero()
            || self.plan.targets.is_empty()
    }

    /// Waits for news of any partition and reads again, until there is enough, the time is over, or
    /// the broker stops.
    async fn wait(self) -> FetchResponse {
        let _waiting = Waiting::begin(&self.context.services, |metrics| &metrics.fetch_wait);
        let deadline = tokio::time::Instant::now() + self.max_wait;
        let news = Arc::new(Notify::new());
        let stop = self.context.peer.stop.clone();
        loop {
            let watches: Vec<_> = self
                .plan
                .targets
                .iter()
                .filter_map(|target| {
                    let partition = self.find(target).ok()?;
                    Some(partition.watch(target.wanted.fetch_offset, &news))
                })
                .collect();
            // What came between the last pass and these watches must not be missed.
            let pass = self.read(Patience::Now);
            if pass.needs_disk {
                drop(watches);
                return self.read_from_disk().await;
            }
            let over = tokio::time::Instant::now() >= deadline || stop.is_cancelled();
            if over || self.is_enough(&pass) {
                drop(watches);
                return self.answer(pass);
            }
            tokio::select! {
                () = news.notified() => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Reads on the blocking pool, and brings what was found into memory there. Whoever reads
    /// what was written long ago is behind, and gets what there is without a wait for more.
    async fn read_from_disk(self) -> FetchResponse {
        let cold_reads = self.context.services.cold_reads.clone();
        let read = cold_reads.run(move || {
            let mut pass = self.read(Patience::Wait);
            for looked in &mut pass.partitions {
                let Ok(found) = &mut looked.found else { continue };
                match found.cold.as_ref().map(Populate::run) {
                    Some(Ok(())) => {
                        self.context.services.metrics.cold_reads.inc();
                        found.keep_trusted();
                    }
                    // Nobody may touch the bytes then.
                    Some(Err(_)) => looked.found = Err(ErrorCode::KafkaStorageError),
                    None => {}
                }
            }
            (self, pass)
        });
        match read.await {
            Some((fetching, pass)) => fetching.answer(pass),
            None => failed(ErrorCode::UnknownServerError),
        }
    }

    fn answer(self, pass: Pass) -> FetchResponse {
        let services = &self.context.services;
        services.metrics.fetched_bytes.inc_by(pass.bytes as u64);
        let mut response =
            FetchResponse { session_id: self.plan.session_id, ..FetchResponse::default() };
        let mut sessions = services.sessions();
        for Looked { target, partition: from, found } in pass.partitions {
            if let (Some(from), Ok(fetched)) = (&from, &found) {
                from.traffic().fetched_bytes.inc_by(fetched.records.len() as u64);
            }
            let version = self.context.api_version;
            let partition = partition_data(target.partition, found, self.isolation, version);
            let news = Found {
                has_records: partition.records.as_ref().is_some_and(|records| !records.is_empty()),
                has_error: partition.error_code != 0 || partition.diverging_epoch.end_offset >= 0,
                high_watermark: partition.high_watermark,
                log_start_offset: partition.log_start_offset,
            };
            let key = (target.topic, target.partition);
            if sessions.tell(self.plan.session_id, self.plan.incremental, &key, news) {
                push(&mut response, key.0, partition);
            }
        }
        response
    }
}

fn topic_key(by_id: bool, id: uuid::Uuid, name: duramen_protocol::text::Text) -> TopicKey {
    if by_id { TopicKey::Id(id) } else { TopicKey::Name(name) }
}

fn targets(topic: FetchTopic, by_id: bool) -> impl Iterator<Item = FetchTarget> {
    let key = topic_key(by_id, topic.topic_id, topic.topic);
    topic.partitions.into_iter().map(move |partition: FetchPartition| FetchTarget {
        topic: key.clone(),
        partition: partition.partition,
        wanted: Wanted {
            fetch_offset: partition.fetch_offset,
            max_bytes: partition.partition_max_bytes,
            current_leader_epoch: partition.current_leader_epoch,
            last_fetched_epoch: partition.last_fetched_epoch,
        },
    })
}

fn partition_data(
    index: i32,
    found: Result<Fetched, ErrorCode>,
    isolation: Isolation,
    version: i16,
) -> PartitionData {
    let aborted = (isolation == Isolation::ReadCommitted).then(Vec::new);
    match found {
        Ok(fetched) => {
            let mut data = PartitionData {
                partition_index: index,
                high_watermark: fetched.high_watermark,
                last_stable_offset: fetched.last_stable_offset,
                log_start_offset: fetched.log_start_offset,
                aborted_transactions: aborted,
                records: Some(fetched.records),
                ..PartitionData::default()
            };
            // No field says where reading may go on; this one is ignored by who does not know.
            if let Some(next) = fetched.damaged_up_to {
                data.error_code = ErrorCode::CorruptMessage.code();
                if version >= SNAPSHOT_VERSION {
                    data.snapshot_id = SnapshotId { end_offset: next, epoch: -1 };
                }
            }
            if let Some(end) = fetched.diverging {
                data.diverging_epoch =
                    EpochEndOffset { epoch: end.epoch, end_offset: end.end_offset };
            }
            data
        }
        Err(error) => PartitionData {
            partition_index: index,
            error_code: error.code(),
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted_transactions: aborted,
            records: Some(Bytes::new()),
            ..PartitionData::default()
        },
    }
}

/// Adds a partition to the answer, in the topic entry at the end when it is of the same topic.
fn push(response: &mut FetchResponse, topic: TopicKey, partition: PartitionData) {
    let same = response.responses.last_mut().filter(|last| match &topic {
        TopicKey::Id(id) => last.topic_id == *id,
        TopicKey::Name(name) => last.topic == *name,
    });
    if let Some(last) = same {
        last.partitions.push(partition);
        return;
    }
    let mut entry = FetchableTopicResponse { partitions: vec![partition], ..Default::default() };
    match topic {
        TopicKey::Id(id) => entry.topic_id = id,
        TopicKey::Name(name) => entry.topic = name,
    }
    response.responses.push(entry);
}
