//! The content of a batch on its way: built once, when its sequence is known, and stamped anew if the
//! sequence changes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use duramen_protocol::records::builder::{BatchBuilder, BatchOptions, Producer};
use duramen_protocol::records::{BatchError, BatchView};

use super::accumulator::Filling;
use super::delivery::{BatchDelivery, Outcome};
use super::queue::Sequence;
use crate::error::ClientError;

/// Positions of the fields stamped here, in the header of a v2 batch.
const CRC: std::ops::Range<usize> = 17..21;
const PRODUCER: std::ops::Range<usize> = 43..57;

/// What the sender keeps of a batch beside its place in the queue.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) id: u64,
    /// Bytes to give back to the producer's buffer.
    pub(super) reserved: usize,
    pub(super) records: u64,
    /// Records of the batch as it was filled that are before these; 0 unless it was divided.
    first: i32,
    delivery: Arc<BatchDelivery>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Open(BatchBuilder),
    Built {
        bytes: Bytes,
        sequence: Option<Sequence>,
    },
    /// Building failed.
    Broken,
}

impl Content {
    pub(super) fn new(id: u64, filling: Filling) -> Self {
        let Filling { builder, delivery, reserved, .. } = filling;
        let records = u64::try_from(builder.record_count()).unwrap_or(0);
        Self { id, reserved, records, first: 0, delivery, form: Form::Open(builder) }
    }

    /// Two contents with about half of the bytes each, under these ids, and the bytes of the larger one
    /// before compression; back as it is when it holds one record only.
    pub(super) fn divided(self, ids: [u64; 2]) -> Result<([(Self, i32); 2], usize), Self> {
        let Form::Built { bytes, .. } = &self.form else { return Err(self) };
        let Ok(Some(halves)) = halves(bytes) else { return Err(self) };
        let size = halves.iter().map(BatchBuilder::size).max().unwrap_or(0);
        self.delivery.divide();
        let [first, second] = halves;
        let (before, reserved) = (first.record_count(), self.reserved / 2);
        let part = |id, reserved, first, builder: BatchBuilder| {
            let records = builder.record_count();
            let part = Self {
                id,
                reserved,
                records: u64::try_from(records).unwrap_or(0),
                first,
                delivery: Arc::clone(&self.delivery),
                form: Form::Open(builder),
            };
            (part, records)
        };
        let [id, other] = ids;
        let front = part(id, reserved, self.first, first);
        let back = part(other, self.reserved - reserved, self.first + before, second);
        Ok(([front, back], size))
    }

    /// The batch as it goes onto the wire, under this sequence; `room` is for codecs
    /// ([`BatchBuilder::build_within`]).
    pub(super) fn bytes(
        &mut self,
        options: &BatchOptions,
        producer_id: i64,
        sequence: Option<Sequence>,
        room: &mut Vec<u8>,
    ) -> Result<Bytes, BatchError> {
        let producer = sequence.map(|sequence| Producer {
            id: producer_id,
            epoch: sequence.epoch,
            base_sequence: sequence.first,
        });
        match std::mem::replace(&mut self.form, Form::Broken) {
            Form::Open(builder) => {
                let bytes = builder.build_within(&BatchOptions { producer, ..*options }, room)?;
                self.form = Form::Built { bytes, sequence };
            }
            Form::Built { bytes, sequence: stamped } if stamped != sequence => {
                self.form = Form::Built { bytes: restamped(&bytes, producer)?, sequence };
            }
            other => self.form = other,
        }
        match &self.form {
            Form::Built { bytes, .. } => Ok(bytes.clone()),
            _ => Err(BatchError::RecordCount { count: 0, available: 0 }),
        }
    }

    /// The memory of a batch that goes nowhere any more, unless somebody still reads it.
    pub(super) fn memory(&mut self) -> Option<BytesMut> {
        let Form::Built { bytes, .. } = std::mem::replace(&mut self.form, Form::Broken) else {
            return None;
        };
        let mut bytes = bytes.try_into_mut().ok()?;
        bytes.clear();
        Some(bytes)
    }

    pub(super) fn written(self, base_offset: i64, append_time: Option<i64>) {
        self.delivery.end(self.first, Outcome::Written { base_offset, append_time });
    }

    pub(super) fn failed(
        self,
        error: ClientError,
        records: Vec<(i32, Option<duramen_protocol::text::Text>)>,
    ) {
        self.delivery.end(self.first, Outcome::Failed { error, records });
    }
}

/// The records of a built batch in two, by bytes; `None` of a single one.
fn halves(batch: &[u8]) -> Result<Option<[BatchBuilder; 2]>, BatchError> {
    /// The bytes are this producer's own; no batch of the format has more.
    const MAX: usize = i32::MAX as usize;
    let (batch, _) = BatchView::split(batch)?;
    let mut scratch = Vec::new();
    let records = batch.records(&mut scratch, MAX)?;
    let [mut first, mut second] = [BatchBuilder::new(MAX), BatchBuilder::new(MAX)];
    let half = first.size() + records.rest().len() / 2;
    let last = batch.record_count() - 1;
    for (index, record) in (0..).zip(records) {
        let record = record?;
        let headers: Vec<_> = record.headers.clone().collect();
        // The last one is the second half by itself when it is larger than all before it.
        let full = index > 0 && (first.size() >= half || index == last);
        let into = if full { &mut second } else { &mut first };
        into.append(record.timestamp, record.key, record.value, &headers)?;
    }
    Ok(if second.is_empty() { None } else { Some([first, second]) })
}

/// A copy of a built batch in another producer's name.
fn restamped(batch: &Bytes, producer: Option<Producer>) -> Result<Bytes, BatchError> {
    let producer = producer.unwrap_or(Producer { id: -1, epoch: -1, base_sequence: -1 });
    let mut fields = [0_u8; 14];
    fields[..8].copy_from_slice(&producer.id.to_be_bytes());
    fields[8..10].copy_from_slice(&producer.epoch.to_be_bytes());
    fields[10..].copy_from_slice(&producer.base_sequence.to_be_bytes());
    let mut copy = BytesMut::from(&batch[..]);
    put(&mut copy, PRODUCER, &fields);
    let crc = BatchView::split(&copy)?.0.computed_crc();
    put(&mut copy, CRC, &crc.to_be_bytes());
    Ok(copy.freeze())
}

fn put(batch: &mut [u8], at: std::ops::Range<usize>, field: &[u8]) {
    if let Some(room) = batch.get_mut(at) {
        room.copy_from_slice(field);
    }
}

#[cfg(test)]
mod tests {
    use duramen_protocol::records::{Compression, HeaderView};

    use super::*;

    #[test]
    fn a_batch_stamped_anew_is_the_batch_built_so() {
        let build = |sequence| {
            let mut builder = BatchBuilder::new(1000);
            builder.append(5, Some(b"k"), Some(b"v"), &[]).unwrap();
            let options = BatchOptions {
                producer: Some(Producer { id: 9, epoch: 1, base_sequence: sequence }),
                ..BatchOptions::default()
            };
            builder.build(&options).unwrap()
        };
        let again = Some(Producer { id: 9, epoch: 1, base_sequence: 40 });
        let stamped = restamped(&build(7), again).unwrap();
        assert_eq!(stamped, build(40));
        assert!(BatchView::split(&stamped).unwrap().0.crc_is_valid());
    }

    fn built(records: usize, compression: Compression) -> Bytes {
        let mut builder = BatchBuilder::new(1 << 20);
        for number in 0..records {
            let value = format!("value {number:05}");
            let headers = [HeaderView { key: b"h", value: None }];
            builder.append(number as i64, None, Some(value.as_bytes()), &headers).unwrap();
        }
        builder.build(&BatchOptions { compression, ..BatchOptions::default() }).unwrap()
    }

    #[test]
    fn halves_hold_all_records_in_order() {
        for compression in Compression::ALL {
            for records in [2, 3, 100, 1001] {
                let halves = halves(&built(records, compression)).unwrap().unwrap();
                let (mut number, mut scratch) = (0, Vec::new());
                for half in halves {
                    let count = half.record_count();
                    assert!(records < 10 || usize::try_from(count).unwrap() > records / 3);
                    let bytes = half.build(&BatchOptions::default()).unwrap();
                    let (batch, _) = BatchView::split(&bytes).unwrap();
                    for record in batch.records(&mut scratch, 1 << 20).unwrap() {
                        let record = record.unwrap();
                        assert_eq!(record.value, Some(format!("value {number:05}").as_bytes()));
                        assert_eq!((record.timestamp, record.headers.clone().count()), (number, 1));
                        number += 1;
                    }
                }
                assert_eq!(number, records as i64, "{compression}");
            }
            assert!(halves(&built(1, compression)).unwrap().is_none());
        }
        let mut builder = BatchBuilder::new(1000);
        builder.append(0, None, Some(b"small"), &[]).unwrap();
        builder.append(0, None, Some(&[b'x'; 500]), &[]).unwrap();
        let uneven = builder.build(&BatchOptions::default()).unwrap();
        let counts = halves(&uneven).unwrap().unwrap().map(|half| half.record_count());
        assert_eq!(counts, [1, 1]);
    }
}
