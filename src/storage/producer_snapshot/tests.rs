//! The file format, byte by byte, and its damage.

use super::super::producer_state::{BatchFacts, MarkerFacts};
use super::*;
use proptest::prelude::*;

const NOW: i64 = 1_700_000_000_000;
const DAY: i64 = 86_400_000;

fn sample() -> ProducerStates {
    let mut states = ProducerStates::default();
    let plain = BatchFacts {
        producer_id: 1,
        producer_epoch: 2,
        base_sequence: 3,
        first_offset: 10,
        last_offset: 14,
        max_timestamp: NOW,
        transactional: false,
    };
    states.apply(&plain, NOW);
    states.apply(&BatchFacts { base_sequence: 8, first_offset: 15, last_offset: 15, ..plain }, NOW);
    let open = BatchFacts {
        producer_id: 9,
        transactional: true,
        first_offset: 16,
        last_offset: 17,
        ..plain
    };
    states.apply(&open, NOW);
    let marker = MarkerFacts {
        producer_id: 5,
        producer_epoch: 1,
        coordinator_epoch: 4,
        offset: 18,
        timestamp: NOW,
        abort: false,
        transaction_version: 2,
    };
    states.apply_marker(&marker, NOW);
    states
}

fn read(bytes: &[u8]) -> Result<ProducerStates, SnapshotError> {
    decode(bytes, 19, NOW, DAY)
}

#[test]
fn the_bytes_are_kafkas() {
    let mut states = ProducerStates::default();
    let batch = BatchFacts {
        producer_id: 0x0102_0304_0506_0708,
        producer_epoch: 0x1112,
        base_sequence: 0x20,
        first_offset: 0x30,
        last_offset: 0x32,
        max_timestamp: 0x40,
        transactional: true,
    };
    states.apply(&batch, NOW);
    let bytes = encode(&states);
    let mut expected = vec![0, 0, 0, 1]; // count
    expected.extend([1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12]); // producer id, epoch
    expected.extend([0, 0, 0, 0x22, 0, 0, 0, 0, 0, 0, 0, 0x32]); // last sequence, last offset
    expected.extend([0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0x40]); // offset delta, timestamp
    expected.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0x30]); // coordinator, transaction
    assert_eq!(&bytes[..2], [0, 1], "version");
    assert_eq!(bytes[2..6], crc32c::crc32c(&expected).to_be_bytes());
    assert_eq!(bytes[6..], expected);
}

#[test]
fn what_was_written_is_read_back() {
    let states = read(&encode(&sample())).unwrap();
    assert_eq!(states.len(), 3);
    assert_eq!(states.end_offset(), 19);
    let plain = states.get(1).unwrap();
    assert_eq!((plain.epoch, plain.last_sequence(), plain.coordinator_epoch), (2, 8, -1));
    assert_eq!(plain.last_batch().unwrap().first_offset(), 15, "only the last batch is kept");
    assert_eq!(states.first_unstable_offset(), Some(16), "the open transaction is known again");
    let marked = states.get(5).unwrap();
    assert_eq!((marked.coordinator_epoch, marked.last_batch()), (4, None));
    assert_eq!(encode(&states), encode(&sample()));
}

#[test]
fn idle_producers_are_left_out() {
    let states = decode(&encode(&sample()), 19, NOW + DAY, DAY).unwrap();
    let left: Vec<i64> = states.iter().map(|(id, _)| id).collect();
    assert_eq!(left, [9], "only the one with an open transaction stays");
}

#[test]
fn every_cut_is_found() {
    let bytes = encode(&sample());
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err(), "cut at {end} was believed");
    }
    assert_eq!(read(&[]), Err(SnapshotError::Length { len: 0 }), "an empty file (KAFKA-5747)");
}

#[test]
fn every_flipped_bit_is_found() {
    let bytes = encode(&sample());
    for index in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[index] ^= 0x10;
        assert!(read(&damaged).is_err(), "a flip in byte {index} was believed");
    }
}

#[test]
fn a_hostile_count_takes_no_memory() {
    for count in [i32::MAX, -1, i32::MIN] {
        let entries = count.to_be_bytes();
        let crc = crc32c::crc32c(&entries).to_be_bytes();
        let bytes = [&[0, 1], &crc[..], &entries].concat();
        assert_eq!(read(&bytes), Err(SnapshotError::Length { len: 10 }));
    }
}

#[test]
fn snapshots_outside_the_log_go() {
    assert_eq!(out_of_range(&[0, 5, 10, 20, 25], 5, 20), [0, 5, 25]);
    assert_eq!(out_of_range(&[], 0, 9), Vec::<i64>::new());
}

#[test]
fn strays_go_except_the_one_of_the_clean_shutdown() {
    assert_eq!(strays(&[1, 2, 5, 10], &[5, 10]), [1, 2]);
    assert_eq!(strays(&[1, 5, 42, 45], &[5, 10]), [1, 42], "45 lies above all segments");
    assert_eq!(strays(&[5, 10], &[5, 10]), Vec::<i64>::new());
    assert_eq!(strays(&[3], &[]), Vec::<i64>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let entries = crc32c::crc32c(&bytes).to_be_bytes();
        let _ = read(&[&[0, 1], &entries[..], &bytes].concat());
    }
}
