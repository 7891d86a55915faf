//! A client of one broker, with short words for what most tests do.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;
use duramen_client::Connection;
use duramen_protocol::api;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{RESOURCE_TOPIC, TopicId};
use duramen_protocol::messages::Request;
use duramen_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use duramen_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use duramen_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use duramen_protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use duramen_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use duramen_protocol::messages::init_producer_id::InitProducerIdRequest;
use duramen_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
};
use duramen_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use duramen_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};

use duramen_protocol::text::Text;

use super::{Batch, PATIENCE, values_of};

/// The newest versions that name topics by name.
pub const PRODUCE_BY_NAME: i16 = 12;
pub const FETCH_BY_NAME: i16 = 12;

/// Every version of an API that is served.
pub fn versions<R: Request>() -> RangeInclusive<i16> {
    api::spec(R::KEY).expect("a row in the table").versions().iter()
}

/// The error of an answer, by its name: reads well when a test fails.
pub fn error(code: i16) -> ErrorCode {
    ErrorCode::from_code(code)
}

#[derive(Clone)]
pub struct Client {
    pub connection: Connection,
}

impl Client {
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Sends a request in one version.
    pub async fn call<R: Request>(&self, version: i16, request: &R) -> R::Response {
        match self.connection.call_version(version, request, PATIENCE).await {
            Ok(response) => response,
            Err(error) => panic!("{} v{version}: {error}", std::any::type_name::<R>()),
        }
    }

    /// Sends a request in the newest version that is served.
    pub async fn ask<R: Request>(&self, request: &R) -> R::Response {
        self.call(*versions::<R>().end(), request).await
    }

    /// Makes a topic.
    pub async fn create(&self, name: &str, partitions: i32) -> TopicId {
        self.create_with(name, partitions, &[]).await
    }

    /// Makes a topic with settings of its own.
    pub async fn create_with(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> TopicId {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: (*name).into(),
            value: Some((*value).into()),
            ..Default::default()
        };
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: -1,
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let response = self.ask(&request).await;
        let topic = &response.topics[0];
        assert_eq!(error(topic.error_code), ErrorCode::None, "{:?}", topic.error_message);
        topic.topic_id
    }

    /// Deletes a topic.
    pub async fn delete(&self, name: &str) {
        let topic = DeleteTopicState { name: Some(name.into()), ..Default::default() };
        let request =
            DeleteTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
        let response = self.ask(&request).await;
        assert_eq!(error(response.responses[0].error_code), ErrorCode::None);
    }

    /// Sets settings of a resource.
    pub async fn configure(&self, kind: i8, resource: &str, configs: &[(&str, &str)]) {
        let config = |(name, value): &(&str, &str)| AlterableConfig {
            name: (*name).into(),
            config_operation: 0,
            value: Some((*value).into()),
            ..Default::default()
        };
        let resource = AlterConfigsResource {
            resource_type: kind,
            resource_name: resource.into(),
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
        let request =
            IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
        let response = self.ask(&request).await;
        let response = &response.responses[0];
        assert_eq!(error(response.error_code), ErrorCode::None, "{:?}", response.error_message);
    }

    /// Produces with `acks=all`; the outcome of the one partition.
    pub async fn produce(
        &self,
        topic: &str,
        partition: i32,
        records: &Bytes,
    ) -> PartitionProduceResponse {
        let request = produce_request(topic, partition, records);
        self.call(PRODUCE_BY_NAME, &request).await.responses.remove(0).partition_responses.remove(0)
    }

    /// Produces with `acks=all` and expects success; the first offset.
    pub async fn send(&self, topic: &str, partition: i32, batch: &Batch) -> i64 {
        let outcome = self.produce(topic, partition, &batch.build()).await;
        assert_eq!(error(outcome.error_code), ErrorCode::None, "{:?}", outcome.error_message);
        outcome.base_offset
    }

    /// Produces and expects this error.
    pub async fn refused(&self, topic: &str, records: &Bytes, expected: ErrorCode) -> String {
        let outcome = self.produce(topic, 0, records).await;
        let message = outcome.error_message.map(String::from).unwrap_or_default();
        assert_eq!(error(outcome.error_code), expected, "{message}");
        assert_eq!(outcome.base_offset, -1);
        message
    }

    /// Reads what is there from an offset on, without waiting.
    pub async fn fetch(&self, topic: &str, partition: i32, offset: i64) -> PartitionData {
        let request = fetch_request(topic, partition, offset);
        partition_of(self.call(FETCH_BY_NAME, &request).await)
    }

    /// Every value of a partition from an offset on, up to the high watermark.
    pub async fn read(&self, topic: &str, partition: i32, offset: i64) -> Vec<String> {
        let mut values = Vec::new();
        let mut next = offset;
        loop {
            let data = self.fetch(topic, partition, next).await;
            assert_eq!(error(data.error_code), ErrorCode::None);
            let records = super::batches::records_of(&data.records.unwrap_or_default());
            let Some((last, ..)) = records.last() else {
                assert_eq!(next.max(data.high_watermark), next, "records are missing");
                return values;
            };
            // A fetch begins with the batch that holds the offset.
            values.extend(records.iter().filter(|record| record.0 >= next).map(|r| r.2.clone()));
            next = last + 1;
        }
    }

    /// ListOffsets of one partition.
    pub async fn list(
        &self,
        topic: &str,
        partition: i32,
        timestamp: i64,
    ) -> ListOffsetsPartitionResponse {
        let partition =
            ListOffsetsPartition { partition_index: partition, timestamp, ..Default::default() };
        let topic = ListOffsetsTopic {
            name: topic.into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request =
            ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        self.ask(&request).await.topics.remove(0).partitions.remove(0)
    }

    /// The first offset of a partition.
    pub async fn start(&self, topic: &str, partition: i32) -> i64 {
        self.list(topic, partition, duramen_protocol::ids::EARLIEST).await.offset
    }

    /// The offset after the last record that may be read.
    pub async fn end(&self, topic: &str, partition: i32) -> i64 {
        self.list(topic, partition, duramen_protocol::ids::LATEST).await.offset
    }

    /// The id of a topic.
    pub async fn topic_id(&self, name: &str) -> TopicId {
        let topic = MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        self.ask(&request).await.topics[0].topic_id
    }

    /// The settings of a topic.
    pub async fn configs_of(&self, topic: &str) -> BTreeMap<String, String> {
        let resource = DescribeConfigsResource {
            resource_type: RESOURCE_TOPIC,
            resource_name: topic.into(),
            configuration_keys: None,
        };
        let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
        let configs = self.ask(&request).await.results.remove(0).configs.into_iter();
        let text = |value: Option<Text>| value.map(String::from).unwrap_or_default();
        configs.map(|config| (config.name.into(), text(config.value))).collect()
    }

    /// A new producer's id and epoch.
    pub async fn producer_id(&self) -> (i64, i16) {
        let response = self.ask(&InitProducerIdRequest::default_idempotent()).await;
        assert_eq!(error(response.error_code), ErrorCode::None);
        (response.producer_id, response.producer_epoch)
    }
}

/// The request of an idempotent producer without transactions.
pub trait Idempotent {
    fn default_idempotent() -> Self;
}

impl Idempotent for InitProducerIdRequest {
    fn default_idempotent() -> Self {
        Self { transactional_id: None, transaction_timeout_ms: i32::MAX, ..Self::default() }
    }
}

/// One batch for one partition, with `acks=all`.
pub fn produce_request(topic: &str, partition: i32, records: &Bytes) -> ProduceRequest {
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic_data(topic, vec![(partition, records.clone())])],
        ..Default::default()
    }
}

/// Batches for partitions of one topic.
pub fn topic_data(topic: &str, batches: Vec<(i32, Bytes)>) -> TopicProduceData {
    let data = |(index, records)| PartitionProduceData {
        index,
        records: Some(records),
        ..Default::default()
    };
    TopicProduceData {
        name: topic.into(),
        partition_data: batches.into_iter().map(data).collect(),
        ..Default::default()
    }
}

/// A fetch of one partition that does not wait, without a session.
pub fn fetch_request(topic: &str, partition: i32, offset: i64) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: i32::MAX,
        topics: vec![fetch_topic(topic, &[(partition, offset)])],
        ..Default::default()
    }
}

/// Partitions of one topic to read, each from an offset.
pub fn fetch_topic(topic: &str, partitions: &[(i32, i64)]) -> FetchTopic {
    let partition = |&(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchTopic {
        topic: topic.into(),
        partitions: partitions.iter().map(partition).collect(),
        ..Default::default()
    }
}

/// The one partition of an answer.
pub fn partition_of(mut response: FetchResponse) -> PartitionData {
    assert_eq!(error(response.error_code), ErrorCode::None);
    assert_eq!(response.responses.len(), 1, "{response:?}");
    assert_eq!(response.responses[0].partitions.len(), 1, "{response:?}");
    response.responses.remove(0).partitions.remove(0)
}

/// The values in what was fetched.
pub fn fetched(data: &PartitionData) -> Vec<String> {
    values_of(data.records.as_deref().unwrap_or_default())
}
