//! Control batches: what brokers, not producers, write between the records of a log. A consumer
//! steps over them.
//!
//! A control record's key is `version i16 = 0 | type i16`; the value depends on the type.
//! Transaction markers are of KIP-98, the rest belongs to the metadata log (KIP-595, 630, 853).

use bytes::Bytes;
use uuid::Uuid;

use super::builder::{BatchBuilder, BatchOptions, Producer};
use super::error::BatchError;
use super::header::Attributes;
use super::record::RecordView;
use super::stamp::{stamp_base_offset, stamp_leader_epoch};

/// Version of the keys and of the transaction marker that we write.
const VERSION: i16 = 0;

/// Version of the leader change message that has voter directory ids (KIP-853).
const LEADER_CHANGE_VERSION: i16 = 1;

/// What a control record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlType {
    /// A transaction ended, and its records do not count.
    Abort,
    /// A transaction ended, and its records count.
    Commit,
    /// The metadata log has a new leader.
    LeaderChange,
    /// First record of a metadata snapshot.
    SnapshotHeader,
    /// Last record of a metadata snapshot.
    SnapshotFooter,
    /// The `kraft.version` in use from here on.
    KRaftVersion,
    /// The voters from here on.
    KRaftVoters,
    /// A type of a later Kafka, which readers ignore.
    Unknown(i16),
}

impl ControlType {
    /// The type in the key of a control record; `None` when the key is too short to have one.
    /// Keys of later versions begin the same.
    pub fn of_key(key: &[u8]) -> Option<Self> {
        let (_version, rest) = key.split_first_chunk::<2>()?;
        Some(Self::from_code(i16::from_be_bytes(*rest.first_chunk()?)))
    }

    /// The type of this code.
    pub fn from_code(code: i16) -> Self {
        match code {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KRaftVersion,
            6 => Self::KRaftVoters,
            code => Self::Unknown(code),
        }
    }

    /// The code of this type.
    pub fn code(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KRaftVersion => 5,
            Self::KRaftVoters => 6,
            Self::Unknown(code) => code,
        }
    }

    /// The key of a control record of this type.
    pub fn key(self) -> [u8; 4] {
        let [version_high, version_low] = VERSION.to_be_bytes();
        let [type_high, type_low] = self.code().to_be_bytes();
        [version_high, version_low, type_high, type_low]
    }
}

/// The end of a transaction, as the coordinator has it written into each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTxnMarker {
    /// The records count (COMMIT) or do not (ABORT).
    pub commit: bool,
    /// Epoch of the coordinator's partition, which fences off coordinators of before.
    pub coordinator_epoch: i32,
}

impl EndTxnMarker {
    /// The marker in a record of a control batch; `None` when the record is about something else
    /// or has no whole marker.
    pub fn of_record(record: &RecordView<'_>) -> Option<Self> {
        let commit = match ControlType::of_key(record.key?)? {
            ControlType::Commit => true,
            ControlType::Abort => false,
            _ => return None,
        };
        let (_version, rest) = record.value?.split_first_chunk::<2>()?;
        Some(Self { commit, coordinator_epoch: i32::from_be_bytes(*rest.first_chunk()?) })
    }

    /// The control batch for a producer's partition; the timestamp is in milliseconds.
    ///
    /// # Errors
    /// None that these few bytes can cause.
    pub fn to_batch(
        self,
        timestamp: i64,
        producer_id: i64,
        producer_epoch: i16,
    ) -> Result<Bytes, BatchError> {
        let kind = if self.commit { ControlType::Commit } else { ControlType::Abort };
        let mut value = VERSION.to_be_bytes().to_vec();
        value.extend(self.coordinator_epoch.to_be_bytes());
        let producer = Producer { id: producer_id, epoch: producer_epoch, base_sequence: -1 };
        let attributes = Attributes::default().with_control(true).with_transactional(true);
        control_batch(kind, timestamp, &value, attributes, Some(producer))
    }
}

/// A new leader of the metadata log, which each term begins with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaderChange {
    /// The leader's node id.
    pub leader_id: i32,
    /// All voters.
    pub voters: Vec<Voter>,
    /// The voters that voted for the leader.
    pub granting_voters: Vec<Voter>,
}

/// A voter of the metadata quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Voter {
    /// The node id.
    pub id: i32,
    /// Id of the node's metadata directory; nil when it is not known.
    pub directory_id: Uuid,
}

impl LeaderChange {
    /// The control batch that begins the term; the timestamp is in milliseconds.
    ///
    /// # Errors
    /// None that these few bytes can cause.
    pub fn to_batch(
        &self,
        base_offset: i64,
        leader_epoch: i32,
        timestamp: i64,
    ) -> Result<Bytes, BatchError> {
        let mut value = LEADER_CHANGE_VERSION.to_be_bytes().to_vec();
        value.extend(self.leader_id.to_be_bytes());
        put_voters(&mut value, &self.voters);
        put_voters(&mut value, &self.granting_voters);
        value.push(0);
        let attributes = Attributes::default().with_control(true);
        let batch = control_batch(ControlType::LeaderChange, timestamp, &value, attributes, None)?;
        let mut batch = Vec::from(batch);
        stamp_base_offset(&mut batch, base_offset)?;
        stamp_leader_epoch(&mut batch, leader_epoch)?;
        Ok(Bytes::from(batch))
    }
}

/// A compact array: the count and one more, as an unsigned varint; each voter ends with its
/// (empty) tagged fields.
fn put_voters(out: &mut Vec<u8>, voters: &[Voter]) {
    let mut count = voters.len() + 1;
    while count >= 0x80 {
        out.push((count & 0x7f) as u8 | 0x80);
        count >>= 7;
    }
    out.push(count as u8);
    for voter in voters {
        out.extend(voter.id.to_be_bytes());
        out.extend(voter.directory_id.as_bytes());
        out.push(0);
    }
}

fn control_batch(
    kind: ControlType,
    timestamp: i64,
    value: &[u8],
    attributes: Attributes,
    producer: Option<Producer>,
) -> Result<Bytes, BatchError> {
    let mut builder = BatchBuilder::new(0);
    builder.append(timestamp, Some(&kind.key()), Some(value), &[])?;
    let options = BatchOptions { producer, ..BatchOptions::default() };
    builder.finish(attributes, &options, &mut Vec::new())
}

#[cfg(test)]
mod tests {
    use super::super::batch::BatchView;
    use super::*;
    use kafka_protocol::messages as oracle;
    use kafka_protocol::protocol::{Decodable, Encodable};

    fn only_record(batch: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (batch, rest) = BatchView::split(batch).unwrap();
        assert!(batch.crc_is_valid() && batch.is_control() && rest.is_empty());
        let mut scratch = Vec::new();
        let records: Vec<_> = batch.records(&mut scratch, 0).unwrap().map(Result::unwrap).collect();
        assert_eq!(records.len(), 1);
        (records[0].key.unwrap().to_vec(), records[0].value.unwrap().to_vec())
    }

    #[test]
    fn a_marker_reads_back() {
        for commit in [true, false] {
            let marker = EndTxnMarker { commit, coordinator_epoch: 17 };
            let bytes = marker.to_batch(1_700_000_000_000, 4000, 3).unwrap();
            let (batch, _) = BatchView::split(&bytes).unwrap();
            assert!(batch.is_transactional());
            assert_eq!((batch.producer_id(), batch.producer_epoch()), (4000, 3));
            assert_eq!((batch.base_sequence(), batch.last_sequence()), (-1, -1));
            assert_eq!(batch.max_timestamp(), 1_700_000_000_000);
            let mut scratch = Vec::new();
            let record = batch.records(&mut scratch, 0).unwrap().next().unwrap().unwrap();
            assert_eq!(EndTxnMarker::of_record(&record), Some(marker));
        }
    }

    #[test]
    fn a_marker_is_what_kafka_writes() {
        let bytes = EndTxnMarker { commit: true, coordinator_epoch: 17 }.to_batch(0, 1, 0).unwrap();
        // Kafka's transaction markers have 78 bytes.
        assert_eq!(bytes.len(), 78);
        let (key, value) = only_record(&bytes);
        assert_eq!(key, [0, 0, 0, 1]);
        let mut expected = bytes::BytesMut::new();
        expected.extend([0, 0]);
        oracle::EndTxnMarker::default()
            .with_coordinator_epoch(17)
            .encode(&mut expected, 0)
            .unwrap();
        assert_eq!(value, expected);
    }

    #[test]
    fn a_leader_change_is_what_kafka_reads() {
        let voters: Vec<_> = (0..200)
            .map(|id| Voter { id, directory_id: Uuid::from_u128(u128::from(id.unsigned_abs())) })
            .collect();
        let change = LeaderChange { leader_id: 5, granting_voters: voters[3..6].to_vec(), voters };
        let bytes = change.to_batch(1000, 8, 1_700_000_000_000).unwrap();
        let (batch, _) = BatchView::split(&bytes).unwrap();
        assert!(!batch.is_transactional());
        assert_eq!((batch.base_offset(), batch.partition_leader_epoch()), (1000, 8));
        let (key, value) = only_record(&bytes);
        assert_eq!(ControlType::of_key(&key), Some(ControlType::LeaderChange));
        let read = oracle::LeaderChangeMessage::decode(&mut Bytes::from(value.clone()), 1).unwrap();
        assert_eq!((read.version, read.leader_id.0), (1, 5));
        assert_eq!((read.voters.len(), read.granting_voters.len()), (200, 3));
        assert_eq!(read.granting_voters[2].voter_id, 5);
        assert_eq!(read.granting_voters[2].voter_directory_id, Uuid::from_u128(5));
        let mut expected = bytes::BytesMut::new();
        read.encode(&mut expected, 1).unwrap();
        assert_eq!(value, expected);
    }

    #[test]
    fn keys_that_are_no_control_keys_have_no_type() {
        assert_eq!(ControlType::of_key(&[]), None);
        assert_eq!(ControlType::of_key(&[0, 0, 0]), None);
        assert_eq!(ControlType::of_key(&[0, 0, 0, 9]), Some(ControlType::Unknown(9)));
        for code in 0..8 {
            assert_eq!(ControlType::from_code(code).code(), code);
        }
    }
}
