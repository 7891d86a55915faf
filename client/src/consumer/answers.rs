//! The half of the fetcher that reads answers: records to the consumer, errors to their remedy.

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::FetchResponse;
use duramen_protocol::messages::fetch::PartitionData;
use duramen_protocol::records::BatchError;
use duramen_protocol::text::Text;

use super::accept::{Accepted, Refused, Wanted, accept};
use super::fetched::Fetched;
use super::fetcher::{Ended, Fetcher};
use super::options::Isolation;
use super::request::Wish;
use super::{Event, Moved, MovedWhy, unreadable};
use crate::error::ClientError;

impl Fetcher {
    /// Every partition of an answer.
    pub(super) fn take_response(
        &mut self,
        wishes: &[Wish],
        response: FetchResponse,
    ) -> Result<(), Ended> {
        if response.error_code != 0 {
            let code = ErrorCode::from_code(response.error_code);
            if !code.is_retriable() {
                return Err(self.fail(ClientError::refused("fetch", code, None)));
            }
            wishes.iter().for_each(|wish| self.retry_later(wish.index));
            return Ok(());
        }
        for topic in response.responses {
            for data in topic.partitions {
                let wish = wishes.iter().position(|wish| {
                    let named = wish.topic == topic.topic
                        || (!topic.topic_id.is_nil() && wish.topic_id == topic.topic_id);
                    named && wish.partition == data.partition_index
                });
                let Some(at) = wish else { continue };
                if let Some(wish) = wishes.get(at) {
                    self.take_partition(wish, data, at == 0)?;
                }
            }
        }
        Ok(())
    }

    fn take_partition(
        &mut self,
        wish: &Wish,
        data: PartitionData,
        first: bool,
    ) -> Result<(), Ended> {
        match ErrorCode::from_code(data.error_code) {
            ErrorCode::None => {}
            ErrorCode::OffsetOutOfRange => return self.reset(wish.index),
            code if code.is_retriable() && code != ErrorCode::CorruptMessage => {
                tracing::debug!(topic = %wish.topic, partition = wish.partition, code = code.name(), "fetch refused");
                self.retry_later(wish.index);
                return Ok(());
            }
            code => {
                let behind = data.snapshot_id.end_offset;
                if code == ErrorCode::CorruptMessage && behind > wish.offset {
                    return self.damaged(wish, behind, None);
                }
                let what = format!("partition {}-{}", wish.topic, wish.partition);
                return Err(self.fail(ClientError::refused(what, code, None)));
            }
        }
        if data.diverging_epoch.end_offset >= 0 {
            return self.truncated(wish, data.diverging_epoch.end_offset);
        }
        let Some(end) = self.partitions.get(wish.index).map(|state| state.end) else {
            return Ok(());
        };
        let wanted = Wanted {
            from: wish.offset,
            end,
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
        self.hand_out(wish, &data, &records, accepted)
    }

    fn advance(&mut self, wish: &Wish, data: &PartitionData, accepted: &Accepted, first: bool) {
        let Some(state) = self.partitions.get_mut(wish.index) else { return };
        let mut next = accepted.next;
        let visible = match self.options.isolation {
            Isolation::ReadCommitted if data.last_stable_offset >= 0 => data.last_stable_offset,
            _ => data.high_watermark,
        };
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

    fn hand_out(
        &self,
        wish: &Wish,
        data: &PartitionData,
        records: &Bytes,
        accepted: Accepted,
    ) -> Result<(), Ended> {
        // What is hidden is told too, so that a group can commit behind it.
        if accepted.content.to <= wish.offset {
            return Ok(());
        }
        let fetched = Fetched {
            topic: wish.topic.clone(),
            partition: wish.partition,
            high_watermark: data.high_watermark,
            last_stable_offset: data.last_stable_offset,
            log_start_offset: data.log_start_offset,
            content: accepted.content,
            unpacked_bytes: self.options.unpacked_bytes,
            _held: self.budget.hold(records.len()),
        };
        self.tell(Event::Records(fetched))
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
        let Some(state) = self.partitions.get_mut(wish.index) else { return Ok(()) };
        state.jump(next);
        let topic = topic.clone();
        let moved = Moved { topic, partition, from, to: next, why: MovedWhy::Damaged };
        tracing::warn!(?moved, "records are damaged");
        self.tell(Event::Moved(moved))
    }

    /// The leader's log was cut back below the position (KIP-320, KIP-595).
    fn truncated(&mut self, wish: &Wish, end_offset: i64) -> Result<(), Ended> {
        let Some(state) = self.partitions.get_mut(wish.index) else { return Ok(()) };
        let to = end_offset.min(wish.offset);
        state.jump(to);
        if to == wish.offset {
            // Nothing that was read is taken back.
            return Ok(());
        }
        let moved = Moved {
            topic: wish.topic.clone(),
            partition: wish.partition,
            from: wish.offset,
            to,
            why: MovedWhy::Truncated,
        };
        tracing::warn!(?moved, "the log was cut back");
        self.tell(Event::Moved(moved))
    }
}
