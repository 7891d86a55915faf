use super::super::builder::{BatchBuilder, BatchOptions};
use super::super::header::{Attributes, BatchHeader};
use super::super::varint::put_i64;
use super::*;
use proptest::prelude::*;

fn header(record_count: i32) -> BatchHeader {
    BatchHeader {
        base_offset: 100,
        batch_length: 0,
        partition_leader_epoch: 0,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: record_count.wrapping_sub(1),
        base_timestamp: 1000,
        max_timestamp: 5000,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count,
    }
}

fn batch(header: BatchHeader, payload: &[u8]) -> Vec<u8> {
    [&header.sealed(payload).unwrap().to_bytes()[..], payload].concat()
}

/// A record of these fields, behind its length.
fn record(fields: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_i64(&mut out, i64::try_from(fields.len()).unwrap());
    out.extend(fields);
    out
}

fn read(bytes: &[u8]) -> Result<Vec<(i64, i64)>, BatchError> {
    let (batch, _) = BatchView::split(bytes)?;
    batch
        .records(&mut Vec::new(), 1 << 20)?
        .map(|record| record.map(|record| (record.offset, record.timestamp)))
        .collect()
}

fn fault(fields: &[u8]) -> RecordFault {
    match read(&batch(header(1), &record(fields))) {
        Err(BatchError::Record { index: 0, fault }) => fault,
        other => panic!("{other:?}"),
    }
}

/// attributes, timestamp delta 2, offset delta 0, no key, no value, no headers.
const PLAIN: [u8; 6] = [0, 4, 0, 1, 1, 0];

#[test]
fn offsets_and_timestamps_count_from_the_batch() {
    let payload = [record(&[0, 4, 0, 1, 1, 0]), record(&[0, 3, 10, 1, 1, 0])].concat();
    assert_eq!(read(&batch(header(2), &payload)), Ok(vec![(100, 1002), (105, 998)]));
}

#[test]
fn log_append_time_holds_for_every_record() {
    let mut header = header(1);
    header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
    assert_eq!(read(&batch(header, &record(&PLAIN))), Ok(vec![(100, 5000)]));
}

#[test]
fn a_count_the_payload_cannot_hold_is_refused_at_once() {
    for count in [i32::MIN, -1, 2, i32::MAX] {
        assert_eq!(
            read(&batch(header(count), &record(&PLAIN))),
            Err(BatchError::RecordCount { count, available: 7 })
        );
    }
}

#[test]
fn fewer_and_more_records_than_claimed_are_told() {
    let two = [record(&PLAIN), record(&[0, 4, 2, 1, 3, b'v', 0])].concat();
    assert!(matches!(read(&batch(header(1), &two)), Err(BatchError::Unread { bytes: 8 })));
    assert_eq!(read(&batch(header(0), &two)), Err(BatchError::Unread { bytes: 15 }));
    let long = record(&[0, 4, 2, 1, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
    assert_eq!(
        read(&batch(header(2), &long)),
        Err(BatchError::Record { index: 1, fault: RecordFault::Number { field: "record" } })
    );
}

#[test]
fn an_error_is_the_last_item() {
    let bytes = batch(header(2), &[record(&[0, 4]), record(&PLAIN), record(&PLAIN)].concat());
    let (batch, _) = BatchView::split(&bytes).unwrap();
    let mut scratch = Vec::new();
    let mut records = batch.records(&mut scratch, 0).unwrap();
    assert!(records.next().unwrap().is_err());
    assert!(records.next().is_none());
    assert!(records.next().is_none());
}

#[test]
fn a_batch_emptied_by_compaction_has_no_records() {
    for codec in 0..5 {
        let mut header = header(0);
        header.attributes = header.attributes.with_codec(codec);
        assert_eq!(read(&batch(header, &[])), Ok(vec![]), "codec {codec}");
    }
}

#[test]
fn an_unknown_codec_is_told() {
    for code in 5..8 {
        let mut header = header(1);
        header.attributes = header.attributes.with_codec(code);
        assert_eq!(read(&batch(header, &record(&PLAIN))), Err(BatchError::Codec { code }));
    }
}

#[test]
fn unfolding_stops_at_the_limit() {
    let mut header = header(1);
    header.attributes = header.attributes.with_codec(4);
    let records = record(&[&[0, 4, 0, 1, 0xd0, 0x0f][..], &[b'v'; 1000], &[0]].concat());
    let packed = super::super::compression::compress(Compression::Zstd, None, &records).unwrap();
    let bytes = batch(header, &packed);
    let (batch, _) = BatchView::split(&bytes).unwrap();
    let mut scratch = Vec::new();
    assert!(batch.records(&mut scratch, records.len()).is_ok());
    let error = batch.records(&mut scratch, records.len() - 1).unwrap_err();
    assert_eq!(error.to_string(), "decompressed data is larger than the limit of 1008 bytes");
}

#[test]
fn hostile_record_lengths_are_refused() {
    for (length, fault) in [
        (-1, RecordFault::Length { field: "record", length: -1 }),
        (i32::MIN, RecordFault::Length { field: "record", length: i32::MIN }),
        (8, RecordFault::Truncated { field: "record" }),
        (i32::MAX, RecordFault::Truncated { field: "record" }),
    ] {
        let mut payload = Vec::new();
        put_i64(&mut payload, i64::from(length));
        payload.extend([0; 7]);
        assert_eq!(
            read(&batch(header(1), &payload)),
            Err(BatchError::Record { index: 0, fault }),
            "{length}"
        );
    }
}

#[test]
fn hostile_key_and_value_lengths_are_refused() {
    assert_eq!(fault(&[0, 4, 0, 3, 1, 0, 0]), RecordFault::Length { field: "key", length: -2 });
    assert_eq!(fault(&[0, 4, 0, 8, 1, 0, 0]), RecordFault::Truncated { field: "key" });
    assert_eq!(fault(&[0, 4, 0, 1, 5, 0, 0]), RecordFault::Length { field: "value", length: -3 });
    let huge = [0, 4, 0, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0];
    assert_eq!(fault(&huge), RecordFault::Truncated { field: "value" });
    let above = [0, 4, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x1f, 0];
    assert_eq!(fault(&above), RecordFault::Number { field: "value" });
}

#[test]
fn hostile_header_counts_are_refused() {
    let negative = RecordFault::HeaderCount { count: -1, available: 1 };
    assert_eq!(fault(&[0, 4, 0, 1, 1, 1, 0]), negative);
    let huge = [0, 4, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(fault(&huge), RecordFault::HeaderCount { count: i32::MAX, available: 0 });
    // Two headers claimed, one there; and then a null header key.
    let one_of_two = [0, 4, 0, 1, 1, 4, 4, b'k', b'k', 1];
    assert_eq!(fault(&one_of_two), RecordFault::Number { field: "header key" });
    let null_key = RecordFault::Length { field: "header key", length: -1 };
    assert_eq!(fault(&[0, 4, 0, 1, 1, 2, 1, 1]), null_key);
}

#[test]
fn a_record_longer_than_its_fields_is_refused() {
    assert_eq!(fault(&[0, 4, 0, 1, 1, 0, 9, 9]), RecordFault::Unread { bytes: 2 });
}

#[test]
fn a_million_empty_headers_are_read_without_a_list() {
    let mut fields = vec![0, 4, 0, 1, 1];
    put_i64(&mut fields, 1_000_000);
    fields.extend([0, 1].repeat(1_000_000));
    let bytes = batch(header(1), &record(&fields));
    let (batch, _) = BatchView::split(&bytes).unwrap();
    let mut scratch = Vec::new();
    let record = batch.records(&mut scratch, 0).unwrap().next().unwrap().unwrap();
    assert_eq!(record.headers.len(), 1_000_000);
    assert!(
        record.headers.eq(std::iter::repeat_n(HeaderView { key: b"", value: None }, 1_000_000))
    );
}

type OwnedHeader = (Vec<u8>, Option<Vec<u8>>);

#[derive(Debug, Clone)]
struct OwnedRecord {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<OwnedHeader>,
}

fn bytes_up_to(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..len)
}

fn records() -> impl Strategy<Value = Vec<OwnedRecord>> {
    let header = (bytes_up_to(10), prop::option::of(bytes_up_to(100)));
    let record = (
        any::<i64>(),
        prop::option::of(bytes_up_to(70)),
        prop::option::of(bytes_up_to(300)),
        prop::collection::vec(header, 0..4),
    )
        .prop_map(|(timestamp, key, value, headers)| OwnedRecord {
            timestamp,
            key,
            value,
            headers,
        });
    prop::collection::vec(record, 1..20)
}

fn views(headers: &[OwnedHeader]) -> Vec<HeaderView<'_>> {
    headers.iter().map(|(key, value)| HeaderView { key, value: value.as_deref() }).collect()
}

fn built(records: &[OwnedRecord], compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(usize::MAX);
    for record in records {
        let headers = views(&record.headers);
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        assert!(builder.append(record.timestamp, key, value, &headers).unwrap());
    }
    builder.build(&BatchOptions { compression, ..Default::default() }).unwrap().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_records_round_trip(records in records(), codec in 0..5_u8) {
        let bytes = built(&records, Compression::from_code(codec).unwrap());
        let (batch, rest) = BatchView::split(&bytes).unwrap();
        prop_assert!(rest.is_empty() && batch.crc_is_valid());
        let mut scratch = Vec::new();
        let mut count = 0;
        for (index, (read, record)) in
            batch.records(&mut scratch, 1 << 20).unwrap().zip(&records).enumerate()
        {
            let read = read.unwrap();
            prop_assert_eq!(read.offset, i64::try_from(index).unwrap());
            prop_assert_eq!(read.timestamp, record.timestamp);
            prop_assert_eq!(read.key, record.key.as_deref());
            prop_assert_eq!(read.value, record.value.as_deref());
            prop_assert!(read.headers.eq(views(&record.headers)));
            count += 1;
        }
        prop_assert_eq!(count, records.len());
    }

    #[test]
    fn changed_bytes_give_records_or_an_error(
        records in records(),
        codec in 0..5_u8,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = built(&records, Compression::from_code(codec).unwrap());
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        // What is read, if anything is, lies within the batch; nothing panics.
        let _ = read(&bytes);
    }
}
