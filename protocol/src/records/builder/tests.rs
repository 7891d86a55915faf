use super::super::batch::BatchView;
use super::*;

fn header(key: &'static str, value: Option<&'static str>) -> HeaderView<'static> {
    HeaderView { key: key.as_bytes(), value: value.map(str::as_bytes) }
}

/// What Kafka 1.0 wrote: one record `hello`/`world`, 1000 ms behind the base timestamp.
#[test]
fn a_record_is_laid_down_as_kafka_does() {
    let mut builder = BatchBuilder::new(1000);
    assert!(builder.append(5, None, None, &[]).unwrap());
    let start = builder.size();
    assert!(builder.append(1005, Some(b"hello"), Some(b"world"), &[]).unwrap());
    let expected = [
        0x22, 0x00, 0xd0, 0x0f, 0x02, 0x0a, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x0a, 0x77, 0x6f, 0x72,
        0x6c, 0x64, 0x00,
    ];
    assert_eq!(builder.bytes[start..], expected);
}

#[test]
fn what_was_appended_is_read_back() {
    for compression in Compression::ALL {
        let mut builder = BatchBuilder::new(1 << 20);
        let headers = [header("a", Some("1")), header("a", None), header("", Some(""))];
        assert!(builder.append(1000, Some(b"key"), Some(b"value"), &headers).unwrap());
        assert!(builder.append(900, None, None, &[]).unwrap());
        assert!(builder.append(i64::MAX, Some(b""), Some(b""), &headers[..1]).unwrap());
        let bytes = builder.build(&BatchOptions { compression, ..Default::default() }).unwrap();
        let (batch, rest) = BatchView::split(&bytes).unwrap();
        assert!(rest.is_empty() && batch.crc_is_valid());
        assert_eq!((batch.base_offset(), batch.last_offset(), batch.record_count()), (0, 2, 3));
        assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (1000, i64::MAX));
        assert_eq!((batch.producer_id(), batch.producer_epoch()), (-1, -1));
        assert_eq!((batch.base_sequence(), batch.partition_leader_epoch()), (-1, -1));

        let mut scratch = Vec::new();
        let records: Vec<_> =
            batch.records(&mut scratch, 1 << 20).unwrap().map(Result::unwrap).collect();
        let offsets: Vec<_> = records.iter().map(|r| (r.offset, r.timestamp)).collect();
        assert_eq!(offsets, [(0, 1000), (1, 900), (2, i64::MAX)]);
        assert_eq!((records[0].key, records[0].value), (Some(&b"key"[..]), Some(&b"value"[..])));
        assert_eq!((records[1].key, records[1].value), (None, None));
        assert_eq!((records[2].key, records[2].value), (Some(&b""[..]), Some(&b""[..])));
        assert_eq!(records[0].headers.clone().collect::<Vec<_>>(), headers);
        assert_eq!(records[1].headers.len(), 0);
        assert_eq!(records[2].headers.clone().collect::<Vec<_>>(), headers[..1]);
    }
}

#[test]
fn a_full_batch_takes_no_more_and_stays_as_it_is() {
    let mut builder = BatchBuilder::new(200);
    let mut appended = 0;
    while builder.append(7, None, Some(&[b'x'; 20]), &[]).unwrap() {
        appended += 1;
    }
    let size = builder.size();
    assert!(size <= 200 && builder.size_with(7, None, Some(&[b'x'; 20]), &[]) > 200);
    assert!(!builder.append(7, None, Some(&[b'x'; 20]), &[]).unwrap());
    assert_eq!((builder.size(), builder.record_count()), (size, appended));
    let bytes = builder.build(&BatchOptions::default()).unwrap();
    assert_eq!(bytes.len(), size);
    assert_eq!(BatchView::split(&bytes).unwrap().0.record_count(), appended);
}

#[test]
fn the_first_record_may_be_larger_than_the_batch() {
    let mut builder = BatchBuilder::new(100);
    assert!(builder.append(7, None, Some(&[b'x'; 500]), &[]).unwrap());
    assert!(!builder.append(7, None, None, &[]).unwrap());
}

#[test]
fn the_size_ahead_is_the_size_after() {
    let mut builder = BatchBuilder::new(usize::MAX);
    let headers = [header("some key", Some("some value")), header("k", None)];
    for (timestamp, value_len) in [(1000, 0), (1063, 63), (-5, 64), (1 << 40, 8192), (7, 100_000)] {
        let value = vec![b'v'; value_len];
        let ahead = builder.size_with(timestamp, Some(b"key"), Some(&value), &headers);
        assert!(builder.append(timestamp, Some(b"key"), Some(&value), &headers).unwrap());
        assert_eq!(builder.size(), ahead);
    }
}

#[test]
fn an_idempotent_producer_signs_its_batches() {
    let mut builder = BatchBuilder::new(1000);
    for _ in 0..3 {
        assert!(builder.append(7, None, Some(b"v"), &[]).unwrap());
    }
    let producer = Producer { id: 1 << 40, epoch: 12, base_sequence: 77 };
    let options =
        BatchOptions { producer: Some(producer), transactional: true, ..Default::default() };
    let bytes = builder.build(&options).unwrap();
    let (batch, _) = BatchView::split(&bytes).unwrap();
    assert!(batch.is_transactional() && !batch.is_control());
    assert_eq!((batch.producer_id(), batch.producer_epoch()), (1 << 40, 12));
    assert_eq!((batch.base_sequence(), batch.last_sequence()), (77, 79));
}

#[test]
fn a_batch_of_nothing_is_none() {
    let error = BatchBuilder::new(1000).build(&BatchOptions::default()).unwrap_err();
    assert!(matches!(error, BatchError::RecordCount { count: 0, .. }));
}

#[test]
fn a_wrong_level_is_told() {
    let mut builder = BatchBuilder::new(1000);
    assert!(builder.append(7, None, Some(b"v"), &[]).unwrap());
    let options =
        BatchOptions { compression: Compression::Zstd, level: Some(50), ..BatchOptions::default() };
    let error = builder.build(&options).unwrap_err();
    assert_eq!(error.to_string(), "zstd has no level 50, use -131072 to 22");
}
