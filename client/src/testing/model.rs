//! A broker of a few lines for the tests: one topic `t` in memory, Kafka's sequence rules, and a place for
//! tests to misbehave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use duramen_protocol::api::ApiKey;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{EARLIEST, LATEST, TopicId};
use duramen_protocol::messages::fetch::{
    EpochEndOffset, FetchPartition, FetchRequest, FetchResponse, FetchableTopicResponse,
    PartitionData,
};
use duramen_protocol::messages::init_producer_id::InitProducerIdResponse;
use duramen_protocol::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use duramen_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use duramen_protocol::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use duramen_protocol::records::BatchView;

use super::{Answer, Asked, eventually, played};
use crate::cluster::{Cluster, ClusterOptions};

/// What a test lets the broker do instead of answering properly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Answers as it should.
    No,
    /// Does the work, and the connection breaks before the answer.
    CutAfter,
    /// The connection breaks before anything is done.
    CutBefore,
    /// Refuses every partition of the request with this.
    Refuse(ErrorCode),
    /// Never answers.
    Silence,
}

/// First sequence, count and first offset of a batch.
type Sequenced = (i32, i32, i64);

/// One partition.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) batches: Vec<Bytes>,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// By producer: its epoch and its last five batches.
    producers: BTreeMap<i64, (i16, Vec<Sequenced>)>,
    /// Told instead of records when a fetch names an epoch above it.
    pub(crate) diverging: Option<EpochEndOffset>,
}

/// The id of a topic `t` that the broker made by itself.
pub(crate) const MADE: u128 = 6;

/// The broker's state.
pub(crate) struct State {
    pub(crate) logs: Vec<Log>,
    pub(crate) leader: i32,
    /// The replica that a consumer of some rack is sent to by the leader.
    pub(crate) follower: Option<i32>,
    /// Of topic `t`; none when it does not exist.
    pub(crate) topic_id: Option<u128>,
    pub(crate) asked: Vec<ApiKey>,
    /// Partitions that each fetch named, by broker.
    pub(crate) fetches: Vec<(i32, usize)>,
    /// By session id: its epoch, the topic's id, and what is fetched in it.
    sessions: BTreeMap<i32, (i32, TopicId, Vec<FetchPartition>)>,
    next_producer: i64,
}

/// A handle on the broker.
#[derive(Clone)]
pub(crate) struct Model(Arc<Mutex<State>>);

impl Model {
    /// A cluster of brokers 1 and 2 with one topic `t`; `fault` is asked before each request is served.
    pub(crate) fn start(
        partitions: usize,
        mut fault: impl FnMut(ApiKey, &Asked) -> Fault + Send + 'static,
    ) -> (Self, Cluster) {
        let state = State {
            logs: (0..partitions).map(|_| Log::default()).collect(),
            leader: 1,
            follower: None,
            topic_id: Some(5),
            asked: Vec::new(),
            fetches: Vec::new(),
            sessions: BTreeMap::new(),
            next_producer: 1000,
        };
        let model = Self(Arc::new(Mutex::new(state)));
        let served = model.clone();
        let cluster = played(ClusterOptions::default(), move |port, asked| {
            let api = asked.header.api;
            let broker = i32::from(port);
            match fault(api, asked) {
                Fault::No => served.lock().serve(broker, asked, None),
                Fault::Refuse(code) => served.lock().serve(broker, asked, Some(code)),
                Fault::CutAfter => {
                    served.lock().serve(broker, asked, None);
                    Answer::Close
                }
                Fault::CutBefore => Answer::Close,
                Fault::Silence => Answer::Silence,
            }
        });
        (model, cluster)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Another partition, when metadata was asked for so many times.
    pub(crate) async fn grow_after(self, looks: usize) {
        let is_metadata = |api: &&ApiKey| **api == ApiKey::Metadata;
        let asked = || self.lock().asked.iter().filter(is_metadata).count();
        eventually("metadata is asked for", || asked() >= looks).await;
        self.lock().logs.push(Log::default());
    }

    /// The values of a partition in order.
    pub(crate) fn values(&self, partition: usize) -> Vec<String> {
        let mut scratch = Vec::new();
        let mut values = Vec::new();
        for bytes in &self.lock().logs[partition].batches {
            let (batch, _) = BatchView::split(bytes).unwrap();
            assert!(batch.crc_is_valid());
            for record in batch.records(&mut scratch, 1 << 20).unwrap() {
                values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
            }
        }
        values
    }
}

impl State {
    /// Forgets all fetch sessions.
    pub(crate) fn drop_sessions(&mut self) {
        self.sessions.clear();
    }

    pub(crate) fn serve(
        &mut self,
        broker: i32,
        asked: &Asked,
        refuse: Option<ErrorCode>,
    ) -> Answer {
        self.asked.push(asked.header.api);
        let refuse = match asked.header.api {
            ApiKey::Fetch if self.follower == Some(broker) => refuse,
            ApiKey::Produce | ApiKey::Fetch | ApiKey::ListOffsets if broker != self.leader => {
                Some(ErrorCode::NotLeaderOrFollower)
            }
            _ => refuse,
        };
        match asked.header.api {
            ApiKey::Metadata => asked.answer(&self.metadata(&asked.read())),
            ApiKey::InitProducerId => {
                self.next_producer += 1;
                asked.answer(&InitProducerIdResponse {
                    error_code: refuse.unwrap_or(ErrorCode::None).code(),
                    producer_id: self.next_producer,
                    ..InitProducerIdResponse::default()
                })
            }
            ApiKey::Produce => {
                let request: ProduceRequest = asked.read();
                let answer = self.produce(&request, refuse);
                if request.acks == 0 { Answer::Silence } else { asked.answer(&answer) }
            }
            ApiKey::Fetch => {
                let request: FetchRequest = asked.read();
                let answer = self.fetch(broker, &request, refuse);
                let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
                let news = answer.error_code != 0 || partitions.clone().any(is_news);
                match asked.answer(&answer) {
                    Answer::Send(bytes) if !news => {
                        let wait = u64::try_from(request.max_wait_ms).unwrap();
                        Answer::Later(Duration::from_millis(wait), bytes)
                    }
                    answer => answer,
                }
            }
            ApiKey::ListOffsets => asked.answer(&self.list_offsets(&asked.read(), refuse)),
            other => panic!("the model does not serve {other:?}"),
        }
    }

    fn metadata(&mut self, request: &MetadataRequest) -> MetadataResponse {
        let is_t = |topic: &MetadataRequestTopic| topic.name.as_deref() == Some("t");
        if request.allow_auto_topic_creation && request.topics.iter().flatten().any(is_t) {
            self.topic_id.get_or_insert(MADE);
        }
        let broker = |id: i32| MetadataResponseBroker {
            node_id: id,
            host: "played".into(),
            port: id,
            ..MetadataResponseBroker::default()
        };
        let partitions = (0..).zip(&self.logs).map(|(index, _)| MetadataResponsePartition {
            partition_index: index,
            leader_id: self.leader,
            leader_epoch: self.leader,
            ..MetadataResponsePartition::default()
        });
        let partitions: Vec<_> = partitions.collect();
        let names = request.topics.iter().flatten().filter_map(|topic| topic.name.clone());
        let topics = names.map(|name| {
            let id = self.topic_id.filter(|_| name == "t");
            let known = id.is_some();
            let code = if known { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition };
            MetadataResponseTopic {
                error_code: code.code(),
                name: Some(name),
                topic_id: TopicId::from_u128(id.unwrap_or(0)),
                partitions: if known { partitions.clone() } else { Vec::new() },
                ..MetadataResponseTopic::default()
            }
        });
        MetadataResponse {
            brokers: vec![broker(1), broker(2)],
            controller_id: 1,
            topics: topics.collect(),
            ..MetadataResponse::default()
        }
    }

    fn produce(&mut self, request: &ProduceRequest, refuse: Option<ErrorCode>) -> ProduceResponse {
        let mut responses = Vec::new();
        for topic in &request.topic_data {
            let mut partition_responses = Vec::new();
            for data in &topic.partition_data {
                let log = &mut self.logs[usize::try_from(data.index).unwrap()];
                let result = match refuse {
                    Some(code) => Err(code),
                    None => log.append(data.records.as_ref().unwrap()),
                };
                partition_responses.push(PartitionProduceResponse {
                    index: data.index,
                    error_code: result.err().unwrap_or(ErrorCode::None).code(),
                    base_offset: result.unwrap_or(-1),
                    ..PartitionProduceResponse::default()
                });
            }
            responses.push(TopicProduceResponse {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partition_responses,
            });
        }
        ProduceResponse { responses, ..ProduceResponse::default() }
    }

    /// The topic and partitions of a fetch within its session, and the session's id; the rules of Kafka.
    fn session(
        &mut self,
        request: &FetchRequest,
    ) -> Result<(i32, TopicId, Vec<FetchPartition>), ErrorCode> {
        let named: Vec<FetchPartition> =
            request.topics.iter().flat_map(|topic| topic.partitions.clone()).collect();
        let topic_id = request.topics.first().map(|topic| topic.topic_id);
        if request.session_epoch <= 0 {
            self.sessions.remove(&request.session_id);
            let id =
                if request.session_epoch < 0 { 0 } else { self.asked.len().try_into().unwrap() };
            let topic_id = topic_id.unwrap_or_default();
            if id > 0 {
                self.sessions.insert(id, (1, topic_id, named.clone()));
            }
            return Ok((id, topic_id, named));
        }
        let session = self.sessions.get_mut(&request.session_id);
        let (epoch, topic, wanted) = session.ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if *epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        *epoch += 1;
        *topic = topic_id.unwrap_or(*topic);
        let forgotten: Vec<i32> =
            request.forgotten_topics_data.iter().flat_map(|it| it.partitions.clone()).collect();
        wanted.retain(|it| {
            !forgotten.contains(&it.partition)
                && named.iter().all(|named| named.partition != it.partition)
        });
        wanted.extend(named);
        Ok((request.session_id, *topic, wanted.clone()))
    }

    fn fetch(
        &mut self,
        broker: i32,
        request: &FetchRequest,
        refuse: Option<ErrorCode>,
    ) -> FetchResponse {
        let named = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        self.fetches.push((broker, named));
        let (session_id, topic_id, wanted) = match self.session(request) {
            Ok(session) => session,
            Err(code) => {
                return FetchResponse { error_code: code.code(), ..FetchResponse::default() };
            }
        };
        let refuse = match Some(topic_id.as_u128()) == self.topic_id {
            true => refuse,
            false => Some(ErrorCode::UnknownTopicId),
        };
        let sent_away =
            self.follower.filter(|_| broker == self.leader && !request.rack_id.is_empty());
        let mut left = usize::try_from(request.max_bytes).unwrap();
        let mut partitions = Vec::new();
        for wish in &wanted {
            let log = &self.logs[usize::try_from(wish.partition).unwrap()];
            let mut data = PartitionData {
                partition_index: wish.partition,
                high_watermark: log.end,
                last_stable_offset: log.end,
                log_start_offset: log.start,
                ..PartitionData::default()
            };
            let diverging =
                log.diverging.clone().filter(|told| wish.last_fetched_epoch > told.epoch);
            match (refuse, diverging) {
                (Some(code), _) => data.error_code = code.code(),
                (None, _) if wish.fetch_offset < log.start || wish.fetch_offset > log.end => {
                    data.error_code = ErrorCode::OffsetOutOfRange.code();
                }
                (None, _) if sent_away.is_some() => {
                    data.preferred_read_replica = sent_away.unwrap_or(-1);
                }
                (None, Some(diverging)) => data.diverging_epoch = diverging,
                (None, None) => {
                    let limit = usize::try_from(wish.partition_max_bytes).unwrap().min(left);
                    let records = log.read(wish.fetch_offset, limit);
                    left = left.saturating_sub(records.len());
                    data.records = Some(records);
                }
            }
            // In a session only news is told.
            if is_news(&data) || request.session_epoch <= 0 {
                partitions.push(data);
            }
        }
        let response = FetchableTopicResponse { topic: "t".into(), topic_id, partitions };
        FetchResponse { session_id, responses: vec![response], ..FetchResponse::default() }
    }

    fn list_offsets(
        &self,
        request: &ListOffsetsRequest,
        refuse: Option<ErrorCode>,
    ) -> ListOffsetsResponse {
        let topic = &request.topics[0];
        let partitions = topic.partitions.iter().map(|asked| {
            let log = &self.logs[usize::try_from(asked.partition_index).unwrap()];
            ListOffsetsPartitionResponse {
                partition_index: asked.partition_index,
                error_code: refuse.unwrap_or(ErrorCode::None).code(),
                offset: match asked.timestamp {
                    EARLIEST => log.start,
                    LATEST => log.end,
                    _ => -1,
                },
                ..ListOffsetsPartitionResponse::default()
            }
        });
        ListOffsetsResponse {
            topics: vec![ListOffsetsTopicResponse {
                name: topic.name.clone(),
                partitions: partitions.collect(),
            }],
            ..ListOffsetsResponse::default()
        }
    }
}

fn is_news(data: &PartitionData) -> bool {
    data.error_code != 0
        || data.diverging_epoch.end_offset >= 0
        || data.preferred_read_replica >= 0
        || data.records.as_ref().is_some_and(|records| !records.is_empty())
}

impl Log {
    /// Kafka's rules for a client's batch.
    pub(crate) fn append(&mut self, bytes: &Bytes) -> Result<i64, ErrorCode> {
        let (batch, rest) = BatchView::split(bytes).unwrap();
        assert!(rest.is_empty() && batch.crc_is_valid());
        let base = self.end;
        let (sequence, count) = (batch.base_sequence(), batch.record_count());
        if batch.producer_id() >= 0 {
            let entry = self.producers.entry(batch.producer_id()).or_default();
            if batch.producer_epoch() > entry.0 {
                if sequence != 0 {
                    return Err(ErrorCode::OutOfOrderSequenceNumber);
                }
                *entry = (batch.producer_epoch(), Vec::new());
            } else if batch.producer_epoch() < entry.0 {
                return Err(ErrorCode::InvalidProducerEpoch);
            }
            let seen = &mut entry.1;
            if let Some((_, _, at)) = seen.iter().find(|(s, c, _)| (*s, *c) == (sequence, count)) {
                return Ok(*at);
            }
            let next = seen.last().map_or(sequence, |(last, count, _)| last + count);
            if sequence != next {
                return Err(ErrorCode::OutOfOrderSequenceNumber);
            }
            seen.push((sequence, count, base));
            if seen.len() > 5 {
                seen.remove(0);
            }
        }
        let mut stored = BytesMut::from(&bytes[..]);
        stored[..8].copy_from_slice(&base.to_be_bytes());
        stored[12..16].copy_from_slice(&1_i32.to_be_bytes());
        self.batches.push(stored.freeze());
        self.end += i64::from(count);
        Ok(base)
    }

    fn read(&self, from: i64, limit: usize) -> Bytes {
        let mut out = BytesMut::new();
        for bytes in &self.batches {
            let (batch, _) = BatchView::split(bytes).unwrap();
            if batch.next_offset() > from && (out.is_empty() || out.len() + bytes.len() <= limit) {
                out.extend_from_slice(bytes);
            }
        }
        out.freeze()
    }
}
