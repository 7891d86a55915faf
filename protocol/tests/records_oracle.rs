//! Record batches against the `kafka-protocol` crate: what either writes, the other reads as the
//! same, in every codec; and without a codec both write the same bytes.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]

use bytes::{Bytes, BytesMut};
use duramen_protocol::records::{
    BatchBuilder, BatchOptions, BatchView, Compression, HeaderView, Producer, TimestampType,
};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as oracle;
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Case {
    records: Vec<Record>,
    producer: Option<Producer>,
    transactional: bool,
}

#[derive(Debug, Clone)]
struct Record {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    /// The oracle keeps headers in a map: no key twice.
    headers: std::collections::BTreeMap<String, Option<Vec<u8>>>,
}

fn field(len: usize) -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..len))
}

fn cases() -> impl Strategy<Value = Case> {
    let headers = prop::collection::btree_map("[a-zé]{0,12}", field(80), 0..4);
    let record = (0..1_i64 << 41, field(70), field(9000), headers)
        .prop_map(|(timestamp, key, value, headers)| Record { timestamp, key, value, headers });
    let producer = (0..i64::MAX, 0..i16::MAX, 0..i32::MAX / 2)
        .prop_map(|(id, epoch, base_sequence)| Producer { id, epoch, base_sequence });
    (prop::collection::vec(record, 1..12), prop::option::of(producer), any::<bool>()).prop_map(
        |(mut records, producer, transactional)| {
            // The oracle counts timestamps from the lowest, we (as Kafka) from the first.
            records.sort_by_key(|record| record.timestamp);
            Case { records, producer, transactional }
        },
    )
}

fn ours(case: &Case, compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(usize::MAX);
    for record in &case.records {
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|(key, value)| HeaderView { key: key.as_bytes(), value: value.as_deref() })
            .collect();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        assert!(builder.append(record.timestamp, key, value, &headers).unwrap());
    }
    let Case { producer, transactional, .. } = *case;
    builder.build(&BatchOptions { compression, level: None, producer, transactional }).unwrap()
}

fn theirs(case: &Case, compression: Compression) -> Bytes {
    let records = their_records(case);
    let mut out = BytesMut::new();
    let compression = match compression {
        Compression::None => oracle::Compression::None,
        Compression::Gzip => oracle::Compression::Gzip,
        Compression::Snappy => oracle::Compression::Snappy,
        Compression::Lz4 => oracle::Compression::Lz4,
        Compression::Zstd => oracle::Compression::Zstd,
    };
    let options = oracle::RecordEncodeOptions { version: 2, compression };
    oracle::RecordBatchEncoder::encode(&mut out, &records, &options).unwrap();
    out.freeze()
}

fn their_records(case: &Case) -> Vec<oracle::Record> {
    let no_producer = Producer { id: -1, epoch: -1, base_sequence: -1 };
    let producer = case.producer.unwrap_or(no_producer);
    (0_i32..)
        .zip(&case.records)
        .map(|(index, record)| oracle::Record {
            transactional: case.transactional,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            timestamp_type: oracle::TimestampType::Creation,
            offset: i64::from(index),
            sequence: producer.base_sequence.wrapping_add(index),
            timestamp: record.timestamp,
            key: record.key.clone().map(Bytes::from),
            value: record.value.clone().map(Bytes::from),
            headers: record
                .headers
                .iter()
                .map(|(key, value)| {
                    (StrBytes::from_string(key.clone()), value.clone().map(Bytes::from))
                })
                .collect::<IndexMap<_, _>>(),
        })
        .collect()
}

fn assert_we_read(bytes: &[u8], case: &Case, compression: Compression) {
    let (batch, rest) = BatchView::split(bytes).unwrap();
    assert!(rest.is_empty() && batch.crc_is_valid());
    assert_eq!(batch.compression(), Ok(compression));
    assert_eq!(batch.timestamp_type(), TimestampType::CreateTime);
    assert_eq!(batch.is_transactional(), case.transactional);
    assert_eq!(usize::try_from(batch.record_count()), Ok(case.records.len()));
    assert_eq!(batch.last_offset(), i64::from(batch.record_count()) - 1);
    assert_eq!(batch.producer_id(), case.producer.map_or(-1, |producer| producer.id));
    assert_eq!(batch.base_sequence(), case.producer.map_or(-1, |p| p.base_sequence));
    assert_eq!(Some(batch.max_timestamp()), case.records.last().map(|record| record.timestamp));
    let mut scratch = Vec::new();
    let mut read = batch.records(&mut scratch, 1 << 20).unwrap();
    for record in &case.records {
        let read = read.next().unwrap().unwrap();
        assert_eq!(read.timestamp, record.timestamp);
        assert_eq!(read.key, record.key.as_deref());
        assert_eq!(read.value, record.value.as_deref());
        assert!(
            read.headers.eq(record
                .headers
                .iter()
                .map(|(key, value)| HeaderView { key: key.as_bytes(), value: value.as_deref() }))
        );
    }
    assert!(read.next().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn without_a_codec_both_write_the_same_bytes(case in cases()) {
        prop_assert_eq!(ours(&case, Compression::None), theirs(&case, Compression::None));
    }

    #[test]
    fn we_read_what_they_write(case in cases()) {
        for compression in Compression::ALL {
            assert_we_read(&theirs(&case, compression), &case, compression);
        }
    }

    #[test]
    fn they_read_what_we_write(case in cases()) {
        for compression in Compression::ALL {
            let mut bytes = ours(&case, compression);
            assert_we_read(&bytes, &case, compression);
            let read = oracle::RecordBatchDecoder::decode(&mut bytes).unwrap();
            prop_assert_eq!(read.records, their_records(&case));
        }
    }
}
