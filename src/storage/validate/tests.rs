//! Every refusal with Kafka's code for it, and what is stored of what is taken.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::records::{Attributes, BatchBuilder, BatchOptions, Producer};
use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;

fn rules() -> BatchRules {
    BatchRules::from(&TopicConfig::default())
}

fn options() -> BatchOptions {
    BatchOptions {
        producer: Some(Producer { id: 7, epoch: 0, base_sequence: 0 }),
        ..BatchOptions::default()
    }
}

fn built(timestamps: &[i64], keyed: bool, options: &BatchOptions) -> Bytes {
    let mut builder = BatchBuilder::new(1 << 20);
    for timestamp in timestamps {
        let key = keyed.then_some(b"key".as_slice());
        assert!(builder.append(*timestamp, key, Some(&[b'v'; 100]), &[]).unwrap());
    }
    builder.build(options).unwrap()
}

fn batch() -> Bytes {
    built(&[NOW, NOW + 5, NOW + 3], true, &options())
}

/// The batch with a changed header and a right checksum.
fn with(change: impl Fn(&mut BatchHeader)) -> Bytes {
    let bytes = batch();
    let mut header = BatchHeader::parse(&bytes).unwrap();
    change(&mut header);
    let sealed = header.sealed(&bytes[HEADER_LEN..]).unwrap();
    [&sealed.to_bytes()[..], &bytes[HEADER_LEN..]].concat().into()
}

fn check(bytes: &Bytes) -> Result<ValidatedBatch, Refusal> {
    check_client_batch(bytes, &rules(), NOW)
}

fn code(bytes: impl Into<Bytes>) -> ErrorCode {
    check(&bytes.into()).unwrap_err().code()
}

fn code_under(rules: &BatchRules, bytes: &Bytes) -> ErrorCode {
    check_client_batch(bytes, rules, NOW).unwrap_err().code()
}

/// What would be stored, read back.
fn stored(batch: &ValidatedBatch) -> Vec<u8> {
    [&batch.header.to_bytes()[..], &batch.payload].concat()
}

fn values(bytes: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let (view, rest) = BatchView::split(bytes).unwrap();
    assert!(rest.is_empty() && view.crc_is_valid());
    let mut scratch = Vec::new();
    let records = view.records(&mut scratch, 1 << 20).unwrap();
    records.map(Result::unwrap).map(|r| (r.timestamp, r.value.unwrap().to_vec())).collect()
}

#[test]
fn a_good_batch_is_stored_as_it_came_without_a_copy() {
    let bytes = batch();
    let taken = check(&bytes).unwrap();
    assert_eq!(stored(&taken), bytes);
    assert_eq!(taken.payload.as_ptr(), bytes[HEADER_LEN..].as_ptr(), "the payload is a slice");
    assert_eq!((taken.size(), taken.log_append_time_ms), (bytes.len(), None));
    assert_eq!(taken.header.max_timestamp, NOW + 5);
}

#[test]
fn nothing_or_half_a_batch_is_no_batch() {
    let bytes = batch();
    assert_eq!(code(Bytes::new()), ErrorCode::InvalidRecord);
    for end in [1, 11, 12, 16, 17, 60, 61, bytes.len() - 1] {
        assert_eq!(check(&bytes.slice(..end)), Err(Refusal::NoBatch), "cut at {end}");
    }
}

#[test]
fn exactly_one_batch() {
    let two = [batch(), batch()].concat();
    assert_eq!(code(two), ErrorCode::InvalidRecord);
    let trailing = Bytes::from([&batch()[..], &batch()[..70]].concat());
    let taken = check(&trailing).unwrap();
    assert_eq!(stored(&taken), batch(), "a cut second one is ignored, as Kafka does");
    let garbage = [&batch()[..], &[0; 12]].concat();
    assert_eq!(code(garbage), ErrorCode::CorruptMessage);
}

#[test]
fn lengths_and_formats_that_cannot_be() {
    let changed = |place: std::ops::Range<usize>, value: &[u8]| {
        let mut bytes = batch().to_vec();
        bytes[place].copy_from_slice(value);
        code(bytes)
    };
    assert_eq!(changed(8..12, &(-1_i32).to_be_bytes()), ErrorCode::CorruptMessage);
    assert_eq!(changed(8..12, &13_i32.to_be_bytes()), ErrorCode::CorruptMessage);
    assert_eq!(changed(8..12, &48_i32.to_be_bytes()), ErrorCode::CorruptMessage);
    assert_eq!(changed(8..12, &i32::MAX.to_be_bytes()), ErrorCode::InvalidRecord, "not all there");
    assert_eq!(changed(16..17, &[0]), ErrorCode::InvalidRecord, "an old format");
    assert_eq!(changed(16..17, &[1]), ErrorCode::InvalidRecord, "an old format");
    assert_eq!(changed(16..17, &[3]), ErrorCode::CorruptMessage);
    assert_eq!(changed(16..17, &[0xff]), ErrorCode::CorruptMessage);
}

#[test]
fn a_wrong_checksum() {
    let mut bytes = batch().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(code(bytes), ErrorCode::CorruptMessage);
}

#[test]
fn the_offset_is_the_leaders() {
    assert_eq!(code(with(|header| header.base_offset = 1)), ErrorCode::InvalidRecord);
}

#[test]
fn sizes() {
    let size = u32::try_from(batch().len()).unwrap();
    let exact = BatchRules { max_message_bytes: size, ..rules() };
    assert!(check_client_batch(&batch(), &exact, NOW).is_ok());
    let small = BatchRules { max_message_bytes: size - 1, ..rules() };
    assert_eq!(code_under(&small, &batch()), ErrorCode::MessageTooLarge);
    let segment = BatchRules { segment_bytes: size - 1, ..rules() };
    assert_eq!(code_under(&segment, &batch()), ErrorCode::RecordListTooLarge);
}

#[test]
fn counts_must_agree() {
    assert_eq!(code(with(|header| header.record_count = 0)), ErrorCode::InvalidRecord);
    assert_eq!(code(with(|header| header.record_count = -3)), ErrorCode::InvalidRecord);
    assert_eq!(code(with(|header| header.record_count = 4)), ErrorCode::InvalidRecord);
    assert_eq!(code(with(|header| header.last_offset_delta = 1)), ErrorCode::InvalidRecord);
    assert_eq!(code(with(|header| header.last_offset_delta = i32::MAX)), ErrorCode::InvalidRecord);
}

#[test]
fn control_batches_are_the_brokers() {
    let control = with(|header| header.attributes = header.attributes.with_control(true));
    assert_eq!(check(&control), Err(Refusal::Control));
}

#[test]
fn a_producer_has_an_epoch_and_a_sequence() {
    assert_eq!(code(with(|header| header.base_sequence = -1)), ErrorCode::InvalidRecord);
    assert_eq!(code(with(|header| header.producer_epoch = -1)), ErrorCode::InvalidRecord);
    let without = built(&[NOW], true, &BatchOptions::default());
    assert!(check(&without).is_ok(), "no producer needs neither");
}

#[test]
fn codecs() {
    for unknown in 5..=7 {
        let bytes = with(|header| header.attributes = Attributes(unknown));
        assert_eq!(code(bytes), ErrorCode::UnsupportedCompressionType);
    }
    let zstd = built(&[NOW], true, &BatchOptions { compression: Compression::Zstd, ..options() });
    let too_early = check_codec_for_version(&zstd, 6).unwrap_err();
    assert_eq!(too_early.code(), ErrorCode::UnsupportedCompressionType);
    assert_eq!(check_codec_for_version(&zstd, 7), Ok(()));
    assert_eq!(check_codec_for_version(&batch(), 3), Ok(()));
}

#[test]
fn timestamps_too_far_from_the_clock() {
    let at = |timestamp| built(&[timestamp], true, &options());
    assert!(check(&at(NOW + HOUR)).is_ok());
    assert_eq!(code(at(NOW + HOUR + 1)), ErrorCode::InvalidTimestamp);
    assert!(check(&at(0)).is_ok(), "any age is taken by default");
    assert!(check(&at(-1)).is_ok(), "so is none");
    let recent = BatchRules { timestamp_before_max_ms: 1_000, ..rules() };
    assert!(check_client_batch(&at(NOW - 1_000), &recent, NOW).is_ok());
    assert_eq!(code_under(&recent, &at(NOW - 1_001)), ErrorCode::InvalidTimestamp);
    let first_is_old = built(&[NOW - 2_000, NOW], true, &options());
    assert_eq!(code_under(&recent, &first_is_old), ErrorCode::InvalidTimestamp);
}

#[test]
fn the_timestamp_type_is_the_topics() {
    let log_append = |header: &mut BatchHeader| {
        header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
    };
    assert_eq!(code(with(log_append)), ErrorCode::InvalidTimestamp);
}

#[test]
fn log_append_time_is_stamped_whatever_the_client_says() {
    let topic = BatchRules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
    let far = built(&[NOW + 99 * HOUR, 5], true, &options());
    let taken = check_client_batch(&far, &topic, NOW).unwrap();
    assert_eq!(taken.log_append_time_ms, Some(NOW));
    assert_eq!(taken.header.timestamp_type(), TimestampType::LogAppendTime);
    let times: Vec<i64> = values(&stored(&taken)).iter().map(|(time, _)| *time).collect();
    assert_eq!(times, [NOW, NOW], "readers see the broker's time, and the checksum is right");
}

#[test]
fn records_are_not_opened_without_need() {
    let broken = with(|header| header.attributes = header.attributes.with_codec(4));
    assert!(check(&broken).is_ok(), "the payload is no zstd, and nobody looks");
    let strict = BatchRules { validate_records: true, ..rules() };
    assert_eq!(code_under(&strict, &broken), ErrorCode::InvalidRecord);
}

#[test]
fn keys_on_a_compacted_topic() {
    let compacted = BatchRules { keys_required: true, ..rules() };
    for compression in Compression::ALL {
        let packed = BatchOptions { compression, ..options() };
        let keyed = built(&[NOW, NOW], true, &packed);
        assert_eq!(stored(&check_client_batch(&keyed, &compacted, NOW).unwrap()), keyed);
        let refused = check_client_batch(&built(&[NOW, NOW], false, &packed), &compacted, NOW);
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidRecord);
        let places: Vec<i32> = refused.records().iter().map(|record| record.index).collect();
        assert_eq!(places, [0, 1]);
        assert!(refused.to_string().contains("without key"), "{refused}");
    }
}

#[test]
fn a_header_that_lies_about_its_timestamps_is_found_when_opened() {
    let strict = BatchRules { validate_records: true, ..rules() };
    let far = built(&[NOW, NOW + 2 * HOUR], true, &options());
    let mut header = BatchHeader::parse(&far).unwrap();
    header.max_timestamp = NOW;
    let header = header.sealed(&far[HEADER_LEN..]).unwrap();
    let lie = Bytes::from([&header.to_bytes()[..], &far[HEADER_LEN..]].concat());
    assert!(check(&lie).is_ok());
    assert_eq!(code_under(&strict, &lie), ErrorCode::InvalidTimestamp);

    let low = with(|header| header.max_timestamp = 9);
    let taken = check_client_batch(&low, &strict, NOW).unwrap();
    assert_eq!(taken.header.max_timestamp, NOW + 5, "the truth is written down");
    assert_eq!(values(&stored(&taken)).len(), 3);
}

#[test]
fn another_codec_is_put_in() {
    let source = batch();
    for (target, codec) in [
        (TargetCompression::None, Compression::None),
        (TargetCompression::Gzip(-1), Compression::Gzip),
        (TargetCompression::Gzip(9), Compression::Gzip),
        (TargetCompression::Snappy, Compression::Snappy),
        (TargetCompression::Lz4(9), Compression::Lz4),
        (TargetCompression::Zstd(-5), Compression::Zstd),
    ] {
        let topic = BatchRules { compression: target, ..rules() };
        for from in Compression::ALL {
            let sent = built(
                &[NOW, NOW + 5, NOW + 3],
                true,
                &BatchOptions { compression: from, ..options() },
            );
            let taken = check_client_batch(&sent, &topic, NOW).unwrap();
            let kept = stored(&taken);
            assert_eq!(BatchView::split(&kept).unwrap().0.compression(), Ok(codec));
            assert_eq!(values(&kept), values(&source));
            assert_eq!(taken.header.base_sequence, 0);
            if from == codec {
                assert_eq!(kept, sent, "nothing to do");
            }
        }
    }
}

#[test]
fn the_limit_holds_for_what_is_stored() {
    let zipped = BatchOptions { compression: Compression::Gzip, ..options() };
    let sent = built(&[NOW; 50], true, &zipped);
    let topic = BatchRules {
        compression: TargetCompression::None,
        max_message_bytes: u32::try_from(sent.len()).unwrap() + 10,
        ..rules()
    };
    assert_eq!(code_under(&topic, &sent), ErrorCode::MessageTooLarge);
}

#[test]
fn a_bomb_is_refused_by_its_size() {
    let bomb = duramen_protocol::records::compression::compress(
        Compression::Zstd,
        None,
        &vec![0; UNFOLDED_MAX + 1],
    );
    let mut header = BatchHeader::parse(&batch()).unwrap();
    header.attributes = header.attributes.with_codec(Compression::Zstd.code());
    let payload = bomb.unwrap();
    let header = header.sealed(&payload).unwrap();
    let bytes = Bytes::from([&header.to_bytes()[..], &payload].concat());
    let strict = BatchRules { validate_records: true, ..rules() };
    assert_eq!(code_under(&strict, &bytes), ErrorCode::MessageTooLarge);
}

#[test]
fn many_refused_records_are_counted_but_not_all_told() {
    let compacted = BatchRules { keys_required: true, ..rules() };
    let refused = check_client_batch(&built(&[NOW; 500], false, &options()), &compacted, NOW);
    let Err(Refusal::Records { records, count, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((records.len(), count), (100, 500));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), strict: bool) {
        let rules = BatchRules { validate_records: strict, ..rules() };
        let _ = check_client_batch(&Bytes::from(bytes), &rules, NOW);
    }

    #[test]
    fn what_is_taken_is_one_whole_batch(
        place in 0..200_usize, value: u8, strict: bool, append_time: bool
    ) {
        let mut bytes = batch().to_vec();
        let place = place % bytes.len();
        bytes[place] = value;
        // Sealed again, so that the change gets past the checksum.
        if let Ok((view, _)) = BatchView::split(&bytes) {
            let header = view.header().sealed(view.payload()).unwrap();
            bytes[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        }
        let timestamp_type =
            if append_time { TimestampType::LogAppendTime } else { TimestampType::CreateTime };
        let rules = BatchRules { validate_records: strict, timestamp_type, ..rules() };
        if let Ok(taken) = check_client_batch(&Bytes::from(bytes), &rules, NOW) {
            let kept = stored(&taken);
            let (view, rest) = BatchView::split(&kept).unwrap();
            prop_assert!(rest.is_empty() && view.crc_is_valid());
            prop_assert_eq!(view.size(), taken.size());
        }
    }
}
