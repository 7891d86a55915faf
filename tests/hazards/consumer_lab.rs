//! Members of KIP-848 groups as their hazards see them: they say each thing themselves.

use std::io;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::consumer_group_heartbeat::TopicPartitions;
use duramen_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use duramen_protocol::text::Text;

use crate::group_lab::{BY_NAME, GROUP, Ledger, TOPIC, commit_request, error};
use crate::support::wire::Wire;

/// The version in which members name themselves.
pub const BEAT: i16 = 1;

/// A member that does nothing by itself, and outlives its connection and its broker.
#[derive(Debug)]
pub struct Modern {
    pub id: Text,
    /// The last one that it was answered; 0 when it is to join.
    pub epoch: i32,
    /// What it reads.
    pub owned: Vec<i32>,
    topic: TopicId,
    /// The last heartbeat was sent, and its answer did not come.
    unanswered: bool,
}

impl Modern {
    pub fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            epoch: 0,
            owned: Vec::new(),
            topic: TopicId::nil(),
            unanswered: false,
        }
    }

    /// Says what it has, and takes what it is told; the outcome. Whoever joins or has lost an answer says
    /// all that there is, as Kafka's client does: only then is it told what it was told before.
    pub fn beat(
        &mut self,
        wire: &mut Wire,
        rebalance_timeout_ms: i32,
        ledger: &Ledger,
    ) -> io::Result<ErrorCode> {
        let says_all = self.epoch == 0 || self.unanswered;
        self.unanswered = true;
        let owned = TopicPartitions { topic_id: self.topic, partitions: self.owned.clone() };
        let request = ConsumerGroupHeartbeatRequest {
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: if says_all { rebalance_timeout_ms } else { -1 },
            subscribed_topic_names: says_all.then(|| vec![TOPIC.into()]),
            topic_partitions: Some(if self.owned.is_empty() { vec![] } else { vec![owned] }),
            ..request()
        };
        let answer = wire.ask(BEAT, &request)?;
        self.unanswered = false;
        if answer.error_code == 0 {
            self.took(&answer);
            ledger.told(self.epoch, &self.id, &self.owned);
        }
        Ok(error(answer.error_code))
    }

    fn took(&mut self, answer: &ConsumerGroupHeartbeatResponse) {
        self.epoch = answer.member_epoch;
        let Some(assignment) = &answer.assignment else { return };
        self.owned.clear();
        for topic in &assignment.topic_partitions {
            self.topic = topic.topic_id;
            self.owned.extend(&topic.partitions);
        }
    }

    /// Leaves; whatever is answered, it joins anew.
    pub fn leave(&mut self, wire: &mut Wire) -> io::Result<()> {
        self.epoch = 0;
        self.owned.clear();
        let request = ConsumerGroupHeartbeatRequest {
            member_id: self.id.clone(),
            member_epoch: -1,
            ..request()
        };
        wire.ask(BEAT, &request).map(|_| ())
    }

    /// Commits one offset in the epoch that it has.
    pub fn commit(&self, wire: &mut Wire, partition: i32, offset: i64) -> io::Result<ErrorCode> {
        let request = commit_request(&self.id, self.epoch, partition, offset, "");
        let answer = wire.ask(BY_NAME, &request)?;
        Ok(error(answer.topics[0].partitions[0].error_code))
    }
}

/// A heartbeat of the group that says nothing yet.
pub fn request() -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        rebalance_timeout_ms: -1,
        ..ConsumerGroupHeartbeatRequest::default()
    }
}
