//! The half of the fetcher that reads answers: records to the consumer, errors to their remedy.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::FetchResponse;
use duramen_protocol::messages::fetch::PartitionData;
use duramen_protocol::records::BatchError;
use duramen_protocol::text::Text;
use tokio::time::Instant;

use super::accept::{Accepted, Refused, Wanted, accept};
use super::command::Reading;
use super::fetched::Fetched;
use super::fetcher::{Ended, Fetcher};
use super::options::Isolation;
use super::position::{PartitionState, Position};
use super::request::Wish;
use super::{Event, MovedWhy, unreadable};
use crate::error::ClientError;

/// Errors of a session, not of what was fetched in it.
const OF_SESSIONS: [ErrorCode; 3] = [
    ErrorCode::FetchSessionIdNotFound,
    ErrorCode::InvalidFetchSessionEpoch,
    ErrorCode::FetchSessionTopicIdError,
];

impl Fetcher {
    /// A trouble is over when all that is read was heard of since.
    pub(super) fn look_for_trouble(&mut self) {
        let Some(last) = self.trying.last_failed() else { return };
        // What is fetched ahead as far as there is room waits for its reader, and for no broker.
        let mut waiting = self.partitions.values().filter(|state| self.has_room(state));
        if waiting.any(|state| state.is_unheard_since(last)) {
            return;
        }
        let heard = |state: &PartitionState| state.heard.is_some_and(|at| at > last);
        match self.partitions.values().any(heard) {
            true => self.trying.is_well(),
            false => self.trying.is_given_up(),
        }
    }

    /// Where reading of a partition begins.
    pub(super) fn take_offset(
        &mut self,
        reading: Reading,
        result: Result<i64, ClientError>,
    ) -> Result<(), Ended> {
        let Some(state) = self.partitions.get_mut(&reading) else { return Ok(()) };
        match (result, state.position) {
            (Ok(offset), _) => {
                state.jump(offset);
                if let Some((from, why)) = state.moved_from.take() {
                    self.tell_moved(reading, (from, offset), why);
                }
                self.tell_if_done(reading);
                Ok(())
            }
            (Err(error), Position::Asking(timestamp)) if is_missing(&error) => {
                state.wait(Instant::now(), |failures| self.cluster.backoff(failures));
                state.position = Position::Ask(timestamp);
                self.trying.failed(&error);
                self.missing(reading, error).map_err(|error| self.fail(error))
            }
            (Err(error), Position::Asking(timestamp))
                if error.is_retriable() || !self.fails_without_topic =>
            {
                state.wait(Instant::now(), |failures| self.cluster.backoff(failures));
                state.position = Position::Ask(timestamp);
                tracing::debug!(topic = %state.topic, partition = state.partition, %error, "no offset");
                self.trying.failed(&error);
                Ok(())
            }
            (Err(error), _) => Err(self.fail(error)),
        }
    }

    /// Every partition of an answer.
    pub(super) fn take_response(
        &mut self,
        broker: i32,
        wishes: &[Wish],
        response: FetchResponse,
    ) -> Result<(), Ended> {
        if response.error_code != 0 {
            let code = ErrorCode::from_code(response.error_code);
            if OF_SESSIONS.contains(&code) {
                // The next one begins anew, at once.
                return Ok(());
            }
            let error = ClientError::refused("fetch", code, None);
            if !code.is_retriable() {
                return Err(self.fail(error));
            }
            wishes.iter().for_each(|wish| self.retry_later(wish.reading, &error));
            return Ok(());
        }
        let mut asked: HashMap<(&Text, i32), usize> = HashMap::with_capacity(wishes.len());
        let mut names: HashMap<TopicId, &Text> = HashMap::new();
        for (at, wish) in wishes.iter().enumerate() {
            asked.insert((&wish.topic, wish.partition), at);
            names.insert(wish.topic_id, &wish.topic);
        }
        for topic in response.responses {
            let name = match topic.topic_id.is_nil() {
                true => Some(&topic.topic),
                false => names.get(&topic.topic_id).copied(),
            };
            for data in topic.partitions {
                let at = name.and_then(|name| asked.get(&(name, data.partition_index)).copied());
                let Some(at) = at else { continue };
                if let Some(wish) = wishes.get(at) {
                    self.take_partition(broker, wish, data, at == 0)?;
                    self.tell_if_done(wish.reading);
                }
            }
        }
        Ok(())
    }

    fn take_partition(
        &mut self,
        broker: i32,
        wish: &Wish,
        data: PartitionData,
        first: bool,
    ) -> Result<(), Ended> {
        // Paused meanwhile, it is fetched again; gone elsewhere, it has another reading.
        let Some(state) = self.partitions.get_mut(&wish.reading).filter(|state| !state.paused)
        else {
            return Ok(());
        };
        let from_other = state.replica.is_some_and(|(replica, _)| replica == broker);
        match ErrorCode::from_code(data.error_code) {
            ErrorCode::None => {}
            // A replica may lag behind its leader, which knows.
            ErrorCode::OffsetOutOfRange if from_other => {
                state.replica = None;
                return Ok(());
            }
            ErrorCode::OffsetOutOfRange => return self.reset(wish.reading),
            code if code.is_retriable() && code != ErrorCode::CorruptMessage => {
                tracing::debug!(topic = %wish.topic, partition = wish.partition, code = code.name(), "fetch refused");
                self.retry_later(wish.reading, &refused(&wish.topic, wish.partition, code));
                return Ok(());
            }
            code => {
                let behind = data.snapshot_id.end_offset;
                if code == ErrorCode::CorruptMessage && behind > wish.offset {
                    return self.damaged(wish, behind, None);
                }
                return Err(self.fail(refused(&wish.topic, wish.partition, code)));
            }
        }
        if data.preferred_read_replica >= 0 && data.preferred_read_replica != broker {
            let until = Instant::now() + self.cluster.options().metadata_max_age;
            state.replica = Some((data.preferred_read_replica, until));
            return Ok(());
        }
        if data.diverging_epoch.end_offset >= 0 {
            self.truncated(wish, data.diverging_epoch.end_offset);
            return Ok(());
        }
        let wanted = Wanted {
            from: wish.offset,
            end: state.end,
            committed_only: self.options.isolation == Isolation::ReadCommitted,
            check_crc: self.options.check_crc,
        };
        let records = data.records.clone().unwrap_or_default();
        let aborted = data.aborted_transactions.as_deref().unwrap_or_default();
        let accepted = match accept(&records, aborted, wanted) {
            Ok(accepted) => accepted,
            Err(Refused { next: Some(next), error, .. })
                if next > wish.offset && next <= data.high_watermark =>
            {
                return self.damaged(wish, next, Some(&error));
            }
            Err(Refused { error, .. }) => {
                return Err(self.fail(unreadable(&wish.topic, wish.partition, &error)));
            }
        };
        self.advance(wish, &data, &accepted, first);
        self.hand_out(wish, &data, &records, accepted);
        Ok(())
    }

    fn advance(&mut self, wish: &Wish, data: &PartitionData, accepted: &Accepted, first: bool) {
        let Some(state) = self.partitions.get_mut(&wish.reading) else { return };
        let mut next = accepted.next;
        let visible = match self.options.isolation {
            Isolation::ReadCommitted if data.last_stable_offset >= 0 => data.last_stable_offset,
            _ => data.high_watermark,
        };
        state.reading.told_end(visible, wish.offset);
        // The first partition of a request gets a batch if there is one. None came, though the end lies
        // below what may be read: compaction has left nothing between.
        if let Some(end) = state.end.filter(|end| *end <= visible)
            && first
            && accepted.last_epoch.is_none()
        {
            next = next.max(end);
        }
        state.advance(next, accepted.last_epoch);
    }

    fn hand_out(&mut self, wish: &Wish, data: &PartitionData, records: &Bytes, accepted: Accepted) {
        // What is hidden is told too, so that a group can commit behind it.
        if accepted.content.to <= wish.offset {
            return;
        }
        let Some(state) = self.partitions.get(&wish.reading) else { return };
        let fetched = Fetched {
            topic: wish.topic.clone(),
            partition: wish.partition,
            high_watermark: data.high_watermark,
            last_stable_offset: data.last_stable_offset,
            log_start_offset: data.log_start_offset,
            content: accepted.content,
            unpacked_bytes: self.options.unpacked_bytes,
            held: state.budget.hold(records.len()),
            reading: Arc::downgrade(&state.reading),
        };
        self.cluster.meter().fetched_bytes.add(u64::try_from(fetched.bytes()).unwrap_or(u64::MAX));
        self.tell_event(wish.reading, Event::Records(fetched));
    }

    /// What lies from the position up to offset `next` can't be read: goes on behind it if that is
    /// wanted, and says where that is otherwise.
    fn damaged(&mut self, wish: &Wish, next: i64, error: Option<&BatchError>) -> Result<(), Ended> {
        let (topic, partition, from) = (&wish.topic, wish.partition, wish.offset);
        if !self.options.skip_damage {
            let reason = error
                .map_or_else(|| "damaged on the broker's disk".to_owned(), ToString::to_string);
            let what = format!("partition {topic}-{partition}");
            let words = format!(
                "{reason}: offsets {from} to {}; offset {next} can be read again: begin there, or skip damage",
                next - 1
            );
            let words = Some(Text::from(words));
            return Err(self.fail(ClientError::refused(what, ErrorCode::CorruptMessage, words)));
        }
        let Some(state) = self.partitions.get_mut(&wish.reading) else { return Ok(()) };
        state.jump(next);
        tracing::warn!(%topic, partition, from, next, "records are damaged");
        self.tell_moved(wish.reading, (from, next), MovedWhy::Damaged);
        Ok(())
    }

    /// The leader's log was cut back below the position (KIP-320, KIP-595).
    fn truncated(&mut self, wish: &Wish, end_offset: i64) {
        let Some(state) = self.partitions.get_mut(&wish.reading) else { return };
        let (from, to) = (wish.offset, end_offset.min(wish.offset));
        state.jump(to);
        // Otherwise nothing that was read is taken back.
        if to < from {
            tracing::warn!(topic = %wish.topic, partition = wish.partition, from, to, "the log was cut back");
            self.tell_moved(wish.reading, (from, to), MovedWhy::Truncated);
        }
    }
}

/// Whether there is no such topic or partition, as far as a broker knows.
fn is_missing(error: &ClientError) -> bool {
    let of_topics = [ErrorCode::UnknownTopicOrPartition, ErrorCode::UnknownTopicId];
    matches!(error, ClientError::NoPartition { .. })
        || error.code().is_some_and(|code| of_topics.contains(&code))
}

/// A refusal of what was asked of a partition.
pub(super) fn refused(topic: &Text, partition: i32, code: ErrorCode) -> ClientError {
    ClientError::refused(format!("partition {topic}-{partition}"), code, None)
}
