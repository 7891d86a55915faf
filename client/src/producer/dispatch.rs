//! The half of the sender that talks to brokers: requests out, answers in, batches to their fate.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::{ProduceRequest, ProduceResponse};
use tokio::time::Instant;

use super::lane::{Answered, Lane};
use super::options::Acks;
use super::queue::{Attempt, Fate};
use super::request::{
    Part, PartAnswer, is_stale_metadata, lists, request, take_answers, version_cap,
};
use super::sender::{Done, Identity, Sender, refused};
use crate::connection::{CallError, Connection};

impl Sender {
    /// Fills the lanes: requests of one batch per partition, until nothing more may go.
    pub(super) fn send_all(&mut self, now: Instant) {
        let Identity::Known { id, .. } = self.identity else { return };
        let mut by_leader = std::mem::take(&mut self.by_leader);
        for buffer in &self.active {
            match self.leader_of(*buffer) {
                Some((leader, part)) => by_leader.entry(leader).or_default().push(part),
                None => self.stale = true,
            }
        }
        for (leader, parts) in by_leader.iter_mut().filter(|(_, parts)| !parts.is_empty()) {
            if self.is_ready(*leader, now) {
                self.fill(*leader, parts, id, now);
            }
            parts.clear();
        }
        self.by_leader = by_leader;
    }

    /// Sends to a leader what may be in flight there.
    fn fill(&mut self, leader: i32, parts: &mut [Part], id: i64, now: Instant) {
        while self.lanes.get(&leader).is_some_and(|l| l.in_flight() < self.max_in_flight()) {
            if !self.send_one(leader, parts, id, now) {
                break;
            }
        }
    }

    fn max_in_flight(&self) -> usize {
        self.shared.options.max_in_flight
    }

    /// True when the leader's lane can take a request; begins to connect it otherwise.
    fn is_ready(&mut self, leader: i32, now: Instant) -> bool {
        let lane = self.lanes.entry(leader).or_default();
        if lane.usable(now).is_some() {
            return true;
        }
        let waits = lane.not_before.is_some_and(|at| now < at);
        if lane.connection.is_none() && !lane.connecting && !waits {
            lane.connecting = true;
            let cluster = self.cluster.clone();
            self.done.spawn(async move { Done::Connected(leader, cluster.broker(leader).await) });
        }
        false
    }

    /// Sends one request to a leader; false when nothing could go.
    fn send_one(&mut self, leader: i32, parts: &mut [Part], id: i64, now: Instant) -> bool {
        let lane = self.lanes.get(&leader);
        let Some(connection) = lane.and_then(|lane| lane.connection.clone()) else { return false };
        let mut sent = self.memory.parts.pop().unwrap_or_default();
        let mut bytes = 0;
        let limit = self.shared.options.request_bytes;
        for part in parts.iter() {
            let Some(route) = self.routes.get_mut(&part.buffer) else { continue };
            let queue = &mut route.queue;
            let Some(at) = queue.next_to_send(now) else { continue };
            let Some(batch) = queue.get_mut(at) else { continue };
            let room = &mut self.memory.room;
            match batch.payload.bytes(&self.batch_options, id, batch.sequence, room) {
                Ok(encoded) if bytes > 0 && bytes + encoded.len() > limit => break,
                Ok(records) => {
                    bytes += records.len();
                    sent.push(Part { batch: batch.payload.id, records, ..part.clone() });
                    queue.sent(at);
                }
                Err(error) => {
                    // It can never be sent, so it ends as if the broker had refused it.
                    self.shared.set_last_error(error.to_string());
                    let part = Part { batch: batch.payload.id, ..part.clone() };
                    queue.sent(at);
                    self.settle(&part, Attempt::Refused(ErrorCode::InvalidRecord), None);
                }
            }
        }
        if sent.is_empty() {
            self.memory.keep(sent);
            return false;
        }
        // The next request begins with other partitions, so that none starves.
        let turn = sent.len() % parts.len().max(1);
        parts.rotate_left(turn);
        self.transmit(leader, &connection, sent)
    }

    fn transmit(&mut self, leader: i32, connection: &Connection, mut parts: Vec<Part>) -> bool {
        let (options, former) = (&self.shared.options, &mut self.memory.topics);
        let begun =
            connection.version_of::<ProduceRequest>(version_cap(&parts)).and_then(|version| {
                let message = request(options, version, &mut parts, former);
                let begun = match options.acks {
                    Acks::None => connection.begin_unanswered(version, &message).map(|()| None),
                    _ => connection.begin(version, &message, options.request_timeout).map(Some),
                };
                *former = lists(message);
                begun
            });
        match begun {
            Ok(Some(pending)) => {
                self.lanes.entry(leader).or_default().sent(parts, pending);
                true
            }
            Ok(None) => {
                // No answer will wake the sender for what waits behind this.
                self.again = true;
                for part in parts.drain(..) {
                    self.settle(&part, Attempt::Written, None);
                }
                self.memory.keep(parts);
                true
            }
            Err(error) => {
                self.call_failed(leader, &parts, &error, true);
                false
            }
        }
    }

    /// A request was answered, or its connection ended.
    pub(super) fn take_answer(
        &mut self,
        leader: i32,
        mut parts: Vec<Part>,
        result: Result<ProduceResponse, CallError>,
    ) {
        let mut response = match result {
            Ok(response) => response,
            Err(error) => return self.call_failed(leader, &parts, &error, false),
        };
        if let Some(lane) = self.lanes.get_mut(&leader) {
            lane.failures = 0;
            let throttle = u64::try_from(response.throttle_time_ms).unwrap_or(0);
            if throttle > 0 {
                lane.not_before = Some(Instant::now() + Duration::from_millis(throttle));
            }
        }
        take_answers(&mut parts, &mut response, |part, answer| {
            let attempt = match answer.code {
                ErrorCode::None => Attempt::Written,
                code => Attempt::Refused(code),
            };
            self.settle(part, attempt, Some(answer));
        });
        for silent in parts.drain(..) {
            self.settle(&silent, Attempt::Lost, None);
        }
        self.memory.keep(parts);
        self.memory.keep_answer(response);
    }

    /// A whole request met its end below Kafka's own errors.
    fn call_failed(&mut self, leader: i32, parts: &[Part], error: &CallError, unsent: bool) {
        match error {
            // That it waits its turn is no trouble: it is the order of things where no answer is waited for.
            CallError::Busy => self.shared.set_last_error(error.to_string()),
            _ => self.met(&error.clone().into()),
        }
        let broken = matches!(error, CallError::Connection(_));
        if let Some(lane) = self.lanes.get_mut(&leader).filter(|_| broken) {
            // Requests that failed together count once.
            if lane.connection.take().is_some() {
                lane.failures += 1;
                lane.not_before = Some(Instant::now() + self.cluster.backoff(lane.failures));
            }
        }
        let attempt = match error {
            CallError::Connection(_) if !unsent => Attempt::Lost,
            CallError::Connection(_) => Attempt::NotSent,
            CallError::Busy => Attempt::Busy,
            CallError::Decode(_) => Attempt::Refused(ErrorCode::UnknownServerError),
            CallError::Encode(_) => Attempt::Refused(ErrorCode::InvalidRequest),
            CallError::Unsupported { .. } => Attempt::Refused(ErrorCode::UnsupportedVersion),
        };
        self.stale |= broken;
        for part in parts {
            self.settle(part, attempt, None);
        }
    }

    /// A batch is larger than the topic takes: it goes in two parts, and those to come are smaller.
    /// False when that is no way out.
    fn divide(&mut self, part: &Part) -> bool {
        let ids = [self.next_batch, self.next_batch + 1];
        let Some(route) = self.routes.get_mut(&part.buffer) else { return false };
        let mut larger = None;
        let divided = route.queue.divide(
            |content| content.id == part.batch,
            |content| {
                let (halves, size) = content.divided(ids)?;
                larger = Some(size);
                Ok(halves)
            },
        );
        if let Some(size) = larger {
            self.next_batch += 2;
            self.cluster.meter().batches_retried.add(1);
            self.shared.accumulator().lower(part.buffer, size);
        }
        divided
    }

    /// One batch came back.
    fn settle(&mut self, part: &Part, attempt: Attempt, answer: Option<PartAnswer>) {
        if let Attempt::Refused(code) = attempt {
            self.stale |= is_stale_metadata(code);
            // Behind a batch that the broker refused, others meet this: it is no cause.
            let is_echo = code == ErrorCode::OutOfOrderSequenceNumber;
            if !is_echo || self.shared.last_error().is_none() {
                let message = answer.as_ref().and_then(|answer| answer.message.clone());
                self.met(&refused(&part.topic, part.partition, code, message));
            }
        }
        let too_large = matches!(
            attempt,
            Attempt::Refused(ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge)
        );
        if too_large && self.divide(part) {
            return;
        }
        let sent = !matches!(attempt, Attempt::NotSent | Attempt::Busy);
        let cluster = &self.cluster;
        let Some(route) = self.routes.get_mut(&part.buffer) else { return };
        let fate = route.queue.came_back(
            |content| content.id == part.batch,
            attempt,
            Instant::now(),
            |failures| cluster.backoff(failures),
        );
        match fate {
            Some(Fate::Delivered(batch)) => {
                self.delivers = true;
                let (base, time) = match &answer {
                    Some(answer) => (answer.base_offset, answer.append_time),
                    None => (-1, None),
                };
                let meter = self.cluster.meter();
                meter.records_delivered.add(batch.payload.records);
                meter.batches_delivered.add(1);
                self.finish(part.buffer, batch.payload, |content| content.written(base, time));
            }
            Some(Fate::Failed(batch, code)) => {
                let (message, records) =
                    answer.map_or((None, Vec::new()), |answer| (answer.message, answer.records));
                let error = refused(&part.topic, part.partition, code, message);
                self.cluster.meter().records_failed.add(batch.payload.records);
                self.finish(part.buffer, batch.payload, |c| c.failed(error, records));
            }
            Some(Fate::Retried) if sent => self.cluster.meter().batches_retried.add(1),
            Some(Fate::Retried) | None => {}
        }
    }
}

/// Waits until at least one request in flight has been answered, and puts what was into `all`.
pub(super) async fn poll_answers(
    lanes: &mut BTreeMap<i32, Lane>,
    former: &mut Vec<ProduceResponse>,
    all: &mut Vec<(i32, Answered)>,
) {
    poll_fn(|cx| {
        for (leader, lane) in lanes.iter_mut() {
            lane.poll_answers(cx, former, |answered| all.push((*leader, answered)));
        }
        if all.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}
