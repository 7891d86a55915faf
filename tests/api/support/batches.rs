//! Record batches as a producer makes them, and what a consumer gets out of them.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use duramen_protocol::records::{
    BatchBuilder, BatchError, BatchHeader, BatchOptions, BatchView, Compression, HEADER_LEN,
    Producer,
};

/// The wall clock, in ms since 1970.
pub fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A record: key, value, timestamp.
type Record = (Option<Vec<u8>>, Option<Vec<u8>>, i64);

/// A batch in the making.
#[derive(Clone)]
pub struct Batch {
    records: Vec<Record>,
    options: BatchOptions,
}

impl Batch {
    /// Records with these values, no keys, and the time of now.
    pub fn of<V: AsRef<[u8]>>(values: impl IntoIterator<Item = V>) -> Self {
        let now = now_ms();
        let records = values.into_iter().map(|value| (None, Some(value.as_ref().to_vec()), now));
        Self { records: records.collect(), options: BatchOptions::default() }
    }

    /// Records with keys, and the time of now; a value of `None` deletes the key.
    pub fn keyed(records: &[(&str, Option<&str>)]) -> Self {
        let now = now_ms();
        let record = |(key, value): &(&str, Option<&str>)| {
            (Some(key.as_bytes().to_vec()), value.map(|value| value.as_bytes().to_vec()), now)
        };
        Self { records: records.iter().map(record).collect(), options: BatchOptions::default() }
    }

    /// Records with these timestamps, and the timestamps as values.
    pub fn timed(timestamps: &[i64]) -> Self {
        let record = |at: &i64| (None, Some(at.to_string().into_bytes()), *at);
        Self { records: timestamps.iter().map(record).collect(), options: BatchOptions::default() }
    }

    /// One record of `len` bytes that no codec makes smaller.
    pub fn noise(len: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ len as u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        Self::of([(0..len).map(|_| next()).collect::<Vec<u8>>()])
    }

    #[must_use]
    pub fn codec(mut self, codec: Compression) -> Self {
        self.options.compression = codec;
        self
    }

    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.options.producer = Some(Producer { id, epoch, base_sequence });
        self
    }

    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.options.transactional = true;
        self
    }

    pub fn build(&self) -> Bytes {
        let mut builder = BatchBuilder::new(usize::MAX);
        for (key, value, timestamp) in &self.records {
            assert!(builder.append(*timestamp, key.as_deref(), value.as_deref(), &[]).unwrap());
        }
        builder.build(&self.options).unwrap()
    }

    /// The batch with a header changed by `change`, and a checksum that fits again.
    pub fn forged(&self, change: impl FnOnce(&mut BatchHeader)) -> Bytes {
        forge(&self.build(), change)
    }
}

/// A built batch with a header changed by `change`, and a checksum that fits again.
pub fn forge(batch: &Bytes, change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchView::split(batch).unwrap().0.header();
    change(&mut header);
    let payload = batch.slice(HEADER_LEN..);
    let header = header.sealed(&payload).unwrap().to_bytes();
    Bytes::from([&header[..], &payload].concat())
}

/// The whole batches in what was fetched. The last one may be cut off, as in Kafka, unless it is
/// the first one too.
pub fn whole_batches(fetched: &[u8]) -> Vec<BatchView<'_>> {
    let mut whole = Vec::new();
    for batch in BatchView::iter(fetched) {
        match batch {
            Ok(batch) => whole.push(batch),
            Err(BatchError::Truncated { .. }) if !whole.is_empty() => {}
            Err(error) => panic!("{error} behind {} whole batches", whole.len()),
        }
    }
    whole
}

/// Offset, timestamp and value of each record in what was fetched.
pub fn records_of(fetched: &[u8]) -> Vec<(i64, i64, String)> {
    let mut records = Vec::new();
    for batch in whole_batches(fetched) {
        assert!(batch.crc_is_valid(), "the batch at {} is damaged", batch.base_offset());
        let mut scratch = Vec::new();
        for record in batch.records(&mut scratch, 1 << 30).unwrap() {
            let record = record.unwrap();
            let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
            records.push((record.offset, record.timestamp, value));
        }
    }
    records
}

/// The values in what was fetched.
pub fn values_of(fetched: &[u8]) -> Vec<String> {
    records_of(fetched).into_iter().map(|(_, _, value)| value).collect()
}
