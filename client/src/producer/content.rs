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
        Self { id, reserved, records, delivery, form: Form::Open(builder) }
    }

    /// The batch as it goes onto the wire, under this sequence.
    pub(super) fn bytes(
        &mut self,
        options: &BatchOptions,
        producer_id: i64,
        sequence: Option<Sequence>,
    ) -> Result<Bytes, BatchError> {
        let producer = sequence.map(|sequence| Producer {
            id: producer_id,
            epoch: sequence.epoch,
            base_sequence: sequence.first,
        });
        match std::mem::replace(&mut self.form, Form::Broken) {
            Form::Open(builder) => {
                let bytes = builder.build(&BatchOptions { producer, ..*options })?;
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

    pub(super) fn written(self, base_offset: i64, append_time: Option<i64>) {
        self.delivery.complete(Outcome::Written { base_offset, append_time });
    }

    pub(super) fn failed(
        self,
        error: ClientError,
        records: Vec<(i32, Option<duramen_protocol::text::Text>)>,
    ) {
        self.delivery.complete(Outcome::Failed { error, records });
    }
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
}
