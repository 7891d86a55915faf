//! Records on their way into batches, one open batch per partition; pure, but for the batch cells that
//! callers wait on. The sender takes batches out when they are full, old enough, or wanted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use duramen_protocol::ids::TopicId;
use duramen_protocol::records::BatchError;
use duramen_protocol::records::builder::BatchBuilder;
use duramen_protocol::text::Text;
use tokio::time::Instant;

use super::delivery::{BatchDelivery, Delivery};
use super::options::{ProducerOptions, ProducerRecord};
use super::partitioner::{Partitioner, Sticky};
use crate::cluster::Topic;
use crate::random::Random;

/// A batch that is open or waits to be taken.
#[derive(Debug)]
pub(super) struct Filling {
    pub(super) builder: BatchBuilder,
    pub(super) delivery: Arc<BatchDelivery>,
    /// Bytes taken of the producer's buffer.
    pub(super) reserved: usize,
    pub(super) created: Instant,
}

/// Why a record was not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The topic's partitions are not known yet.
    UnknownTopic,
    /// The topic has no such partition, as far as known.
    UnknownPartition { partition: i32, count: usize },
    /// No partition has a leader, or there is none.
    NoPartition,
    /// Too large for the format.
    Batch(BatchError),
}

/// Where a record went, and whether the sender should look.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) delivery: Delivery,
    pub(super) wake_sender: bool,
}

/// A partition's place in the accumulator, stable for the producer's life.
pub(super) type BufferId = usize;

/// Bytes of memory that a partition's first batch begins with.
const ROOM_MIN: usize = 4 * 1024;

/// Batches whose memory is kept, and the bytes of all of it: they come on top of the producer's buffer.
const SPARES: usize = 256;
const SPARE_BYTES: usize = 4 * 1024 * 1024;
/// Places for the fate of batches that are kept: more than there are full batches in the usual buffer.
const CELLS: usize = 1024;
/// How many of them are looked at for a new batch.
const CELL_LOOKS: usize = 4;
/// How many times the memory that a batch would get anew may be that of a former one: the producer's buffer
/// counts records.
const SPARE_ROOM: usize = 4;

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Accumulator {
    batch_bytes: usize,
    linger: Duration,
    partitioner: Partitioner,
    topics: Vec<TopicBuffers>,
    topic_index: HashMap<Text, usize>,
    buffers: Vec<Buffer>,
    /// Buffers with something in them, in the order in which they got it.
    filled: Vec<BufferId>,
    /// Batches whose fate is open, and some of which it is known.
    open: VecDeque<Arc<BatchDelivery>>,
    /// Memory of batches that were delivered.
    spare: Vec<BytesMut>,
    spare_bytes: usize,
    random: Random,
    last_topic: usize,
}

#[derive(Debug)]
struct TopicBuffers {
    name: Text,
    id: TopicId,
    /// Partitions that there are: fewer than buffers once it was made again with less.
    count: usize,
    /// Partitions that have a leader, ascending.
    available: Vec<i32>,
    buffers: Vec<BufferId>,
    sticky: Sticky,
}

#[derive(Debug)]
struct Buffer {
    topic: Text,
    partition: i32,
    /// Bytes of a batch here: less than elsewhere once the broker found one too large.
    batch_bytes: usize,
    /// Bytes of memory that a new batch begins with: what the last ones came to.
    room: usize,
    batches: VecDeque<Filling>,
}

impl Buffer {
    fn pop(&mut self) -> Option<Filling> {
        let batch = self.batches.pop_front()?;
        // One small batch says little of the next.
        self.room = batch.builder.size().next_power_of_two().max(self.room / 2);
        Some(batch)
    }
}

impl Accumulator {
    pub(super) fn new(options: &ProducerOptions, random: Random) -> Self {
        Self {
            batch_bytes: options.batch_bytes,
            linger: options.linger,
            partitioner: options.partitioner.clone(),
            topics: Vec::new(),
            topic_index: HashMap::new(),
            buffers: Vec::new(),
            filled: Vec::new(),
            open: VecDeque::new(),
            spare: Vec::new(),
            spare_bytes: 0,
            random,
            last_topic: 0,
        }
    }

    /// Takes in what is known of a topic; to the same one, partitions are only ever added.
    pub(super) fn learn(&mut self, topic: &Topic) {
        let at = *self.topic_index.entry(topic.name.clone()).or_insert_with(|| {
            self.topics.push(TopicBuffers {
                name: topic.name.clone(),
                id: topic.id,
                count: 0,
                available: Vec::new(),
                buffers: Vec::new(),
                sticky: Sticky::default(),
            });
            self.topics.len() - 1
        });
        let Some(known) = self.topics.get_mut(at) else { return };
        let count = topic.partitions.len();
        known.count = if known.id == topic.id { known.count.max(count) } else { count };
        known.id = topic.id;
        known.available =
            topic.partitions.iter().filter(|p| p.leader.is_some()).map(|p| p.id).collect();
        for partition in topic.partitions.iter().skip(known.buffers.len()) {
            known.buffers.push(self.buffers.len());
            self.buffers.push(Buffer {
                topic: topic.name.clone(),
                partition: partition.id,
                batch_bytes: self.batch_bytes,
                room: ROOM_MIN,
                batches: VecDeque::new(),
            });
        }
    }

    /// Batches of this partition are to be of these bytes at most from now on.
    pub(super) fn lower(&mut self, id: BufferId, batch_bytes: usize) {
        if let Some(buffer) = self.buffers.get_mut(id) {
            buffer.batch_bytes = buffer.batch_bytes.min(batch_bytes);
        }
    }

    /// Names of the topics known.
    pub(super) fn topics(&self) -> Vec<Text> {
        self.topics.iter().map(|topic| topic.name.clone()).collect()
    }

    /// Topic and partition of a buffer.
    pub(super) fn place(&self, id: BufferId) -> Option<(Text, i32)> {
        self.buffers.get(id).map(|buffer| (buffer.topic.clone(), buffer.partition))
    }

    /// Puts a record into its partition's open batch; `reserved` bytes of the buffer are its own.
    pub(super) fn append(
        &mut self,
        record: &ProducerRecord<'_>,
        timestamp: i64,
        reserved: usize,
    ) -> Result<Appended, Refusal> {
        let topic = self.topic_at(record.topic).ok_or(Refusal::UnknownTopic)?;
        let id = self.choose(topic, record, reserved)?;
        let Some(buffer) = self.buffers.get_mut(id) else { return Err(Refusal::UnknownTopic) };
        let was_empty = buffer.batches.is_empty();
        if let Some(last) = buffer.batches.back_mut() {
            if let Some(delivery) = last.add(record, timestamp, reserved)? {
                return Ok(Appended { delivery, wake_sender: false });
            }
            buffer.room = last.builder.size().next_power_of_two();
        }
        let cell = cell(&mut self.open, BatchDelivery::new(buffer.topic.clone(), buffer.partition));
        let mut fresh = Filling {
            builder: match fitting(&mut self.spare, buffer.room) {
                Some(memory) => {
                    self.spare_bytes -= memory.capacity();
                    BatchBuilder::within(buffer.batch_bytes, memory)
                }
                None => BatchBuilder::with_room(buffer.batch_bytes, buffer.room),
            },
            delivery: Arc::clone(&cell),
            reserved: 0,
            created: Instant::now(),
        };
        // The first record is taken at any size.
        let added = fresh.add(record, timestamp, reserved)?;
        let delivery = added.ok_or(Refusal::UnknownTopic)?;
        buffer.batches.push_back(fresh);
        if was_empty {
            self.filled.push(id);
        }
        self.open.push_back(cell);
        // A new batch starts a linger, or means that the one before it is full.
        Ok(Appended { delivery, wake_sender: true })
    }

    fn topic_at(&mut self, name: &str) -> Option<usize> {
        // Records of one topic mostly come in a row.
        if self.topics.get(self.last_topic).is_some_and(|topic| topic.name == *name) {
            return Some(self.last_topic);
        }
        self.last_topic = *self.topic_index.get(name)?;
        Some(self.last_topic)
    }

    fn choose(
        &mut self,
        topic: usize,
        record: &ProducerRecord<'_>,
        bytes: usize,
    ) -> Result<BufferId, Refusal> {
        let known = self.topics.get_mut(topic).ok_or(Refusal::UnknownTopic)?;
        let count = known.count;
        let wanted = match record.partition {
            None if count > 0 => self.partitioner.choose(record, count),
            named => named,
        };
        let partition = match wanted {
            Some(partition) => partition,
            None => {
                let chosen =
                    known.sticky.choose(&known.available, self.batch_bytes, &mut self.random);
                known.sticky.sent(bytes);
                chosen.ok_or(Refusal::NoPartition)?
            }
        };
        usize::try_from(partition)
            .ok()
            .filter(|at| *at < count)
            .and_then(|at| known.buffers.get(at).copied())
            .ok_or(Refusal::UnknownPartition { partition, count })
    }

    /// Puts into `taken` the batches that are ready, at most what `room` allows each buffer; `all` takes open
    /// ones too, whatever their age. Also says when the next one will be ready by itself.
    pub(super) fn take_ready(
        &mut self,
        now: Instant,
        all: bool,
        mut room: impl FnMut(BufferId) -> usize,
        taken: &mut Vec<(BufferId, Filling)>,
    ) -> Option<Instant> {
        let mut next = None::<Instant>;
        let (linger, buffers) = (self.linger, &mut self.buffers);
        self.filled.retain(|id| {
            let Some(buffer) = buffers.get_mut(*id) else { return false };
            let mut room = room(*id);
            while let Some(first) = buffer.batches.front() {
                let ripe = first.created + linger;
                if room == 0 {
                    break;
                }
                if !(all || buffer.batches.len() > 1 || ripe <= now) {
                    next = Some(next.map_or(ripe, |at| at.min(ripe)));
                    break;
                }
                room -= 1;
                taken.extend(buffer.pop().map(|batch| (*id, batch)));
            }
            !buffer.batches.is_empty()
        });
        next
    }

    /// Takes out the batches made before `limit`: their time is over.
    pub(super) fn take_older(&mut self, limit: Instant) -> Vec<Filling> {
        let mut taken = Vec::new();
        let buffers = &mut self.buffers;
        self.filled.retain(|id| {
            let Some(buffer) = buffers.get_mut(*id) else { return false };
            while buffer.batches.front().is_some_and(|batch| batch.created <= limit) {
                taken.extend(buffer.pop());
            }
            !buffer.batches.is_empty()
        });
        taken
    }

    /// The time of the oldest batch still here.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let fronts = self.filled.iter().filter_map(|id| self.buffers.get(*id)?.batches.front());
        fronts.map(|batch| batch.created).min()
    }

    /// Takes the memory of a batch that was delivered, for those to come.
    pub(super) fn recycle(&mut self, memory: BytesMut) {
        let bytes = memory.capacity();
        let usual = bytes <= 2 * self.batch_bytes.max(ROOM_MIN);
        if usual && self.spare.len() < SPARES && self.spare_bytes + bytes <= SPARE_BYTES {
            self.spare_bytes += bytes;
            self.spare.push(memory);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    /// The batches whose fate is open now.
    pub(super) fn undelivered(&self) -> Vec<Arc<BatchDelivery>> {
        self.open.iter().filter(|delivery| !delivery.is_complete()).cloned().collect()
    }
}

/// Memory for a batch that would begin with `room` bytes: a small batch does not hold that of a large one.
fn fitting(spare: &mut Vec<BytesMut>, room: usize) -> Option<BytesMut> {
    let most = room.saturating_mul(SPARE_ROOM);
    let at = spare.iter().rposition(|memory| memory.capacity() <= most)?;
    Some(spare.swap_remove(at))
}

/// A place for the fate of a new batch: that of one whose fate is known and asked about by nobody, if one is
/// found soon. Where many are kept two of those known go for each that comes.
fn cell(open: &mut VecDeque<Arc<BatchDelivery>>, new: BatchDelivery) -> Arc<BatchDelivery> {
    let many = open.len() > CELLS;
    let mut known = || {
        for _ in 0..CELL_LOOKS {
            let first = open.pop_front()?;
            if first.is_complete() {
                return Some(first);
            }
            // Its partition is behind the others, which is no reason to wait for it.
            open.push_back(first);
        }
        None
    };
    if many {
        drop(known());
    }
    let Some(mut former) = known() else { return Arc::new(new) };
    match Arc::get_mut(&mut former) {
        Some(place) => {
            *place = new;
            former
        }
        None => Arc::new(new),
    }
}

impl Filling {
    /// `None` when the batch is full.
    fn add(
        &mut self,
        record: &ProducerRecord<'_>,
        timestamp: i64,
        reserved: usize,
    ) -> Result<Option<Delivery>, Refusal> {
        let index = self.builder.record_count();
        let took = self
            .builder
            .append(timestamp, record.key, record.value, record.headers)
            .map_err(Refusal::Batch)?;
        if !took {
            return Ok(None);
        }
        self.reserved += reserved;
        Ok(Some(Delivery { batch: Arc::clone(&self.delivery), index, timestamp }))
    }
}

#[cfg(test)]
#[path = "accumulator_tests.rs"]
mod tests;
