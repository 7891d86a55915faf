//! What a reader sees of a fetch.

use duramen_protocol::records::{BatchBuilder, BatchOptions, Producer};

use super::*;

/// A batch of `count` records from `base` on; `producer` makes it transactional.
fn batch(base: i64, count: u8, producer: Option<i64>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(10_000);
    for value in 0..count {
        builder.append(0, None, Some(&[value]), &[]).unwrap();
    }
    let options = BatchOptions {
        producer: producer.map(|id| Producer { id, epoch: 0, base_sequence: 0 }),
        transactional: producer.is_some(),
        ..BatchOptions::default()
    };
    placed(&builder.build(&options).unwrap(), base)
}

fn placed(batch: &[u8], base: i64) -> Vec<u8> {
    let mut bytes = batch.to_vec();
    bytes[..8].copy_from_slice(&base.to_be_bytes());
    bytes[12..16].copy_from_slice(&7_i32.to_be_bytes());
    bytes
}

fn marker(base: i64, producer: i64, commit: bool) -> Vec<u8> {
    placed(&EndTxnMarker { commit, coordinator_epoch: 0 }.to_batch(0, producer, 0).unwrap(), base)
}

fn wanted(from: i64, end: Option<i64>) -> Wanted {
    Wanted { from, end, committed_only: false, check_crc: true }
}

fn seen(accepted: &Accepted) -> Vec<i64> {
    let mut scratch = Vec::new();
    let mut offsets = Vec::new();
    for (_, batch) in accepted.content.batches() {
        let records = batch.records(&mut scratch, 1000).unwrap();
        let within = records.map(|r| r.unwrap().offset).filter(|o| accepted.content.contains(*o));
        offsets.extend(within);
    }
    offsets
}

#[test]
fn records_before_the_position_and_from_the_end_on_are_not_seen() {
    let bytes = Bytes::from([batch(0, 5, None), batch(5, 5, None), batch(10, 5, None)].concat());
    let all = accept(&bytes, &[], wanted(0, None)).unwrap();
    assert_eq!((seen(&all), all.next, all.last_epoch), ((0..15).collect(), 15, Some(7)));
    let part = accept(&bytes, &[], wanted(7, Some(12))).unwrap();
    assert_eq!((seen(&part), part.next), ((7..12).collect(), 15));
    let end = accept(&bytes, &[], wanted(5, Some(10))).unwrap();
    assert_eq!((seen(&end), end.next), ((5..10).collect(), 10));
    let nothing = accept(&Bytes::new(), &[], wanted(7, None)).unwrap();
    assert_eq!((seen(&nothing), nothing.next, nothing.last_epoch), (vec![], 7, None));
}

#[test]
fn a_batch_cut_off_at_the_end_is_left_for_the_next_fetch() {
    let whole = [batch(0, 5, None), batch(5, 5, None)].concat();
    let cut = Bytes::copy_from_slice(&whole[..whole.len() - 3]);
    let accepted = accept(&cut, &[], wanted(0, None)).unwrap();
    assert_eq!((seen(&accepted), accepted.next), ((0..5).collect(), 5));
    let first = Bytes::copy_from_slice(&whole[..40]);
    assert!(matches!(
        accept(&first, &[], wanted(0, None)),
        Err(Refused { first: 0, error: BatchError::Truncated { .. }, .. })
    ));
}

#[test]
fn a_flipped_bit_is_found_and_located() {
    let mut bytes = [batch(0, 5, None), batch(5, 5, None)].concat();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let bytes = Bytes::from(bytes);
    let before = accept(&bytes, &[], wanted(0, None)).unwrap();
    assert_eq!(before.next, 5, "what stands before it is not lost");
    let refused = accept(&bytes, &[], wanted(5, None)).unwrap_err();
    assert_eq!((refused.first, refused.next), (5, Some(10)));
    assert!(matches!(refused.error, BatchError::Crc { .. }));
    let unchecked = Wanted { check_crc: false, ..wanted(0, None) };
    assert_eq!(accept(&bytes, &[], unchecked).unwrap().next, 10);
}

#[test]
fn aborted_transactions_are_hidden_from_those_who_want_committed_records() {
    let bytes = Bytes::from(
        [
            batch(0, 2, Some(1)),
            batch(2, 2, Some(2)),
            marker(4, 1, false),
            batch(5, 2, Some(1)),
            marker(7, 1, true),
            marker(8, 2, true),
            batch(9, 1, None),
        ]
        .concat(),
    );
    let aborted = [AbortedTransaction { producer_id: 1, first_offset: 0 }];
    let everything = accept(&bytes, &aborted, wanted(0, None)).unwrap();
    assert_eq!(seen(&everything), [0, 1, 2, 3, 5, 6, 9], "but never the markers");
    let committed = Wanted { committed_only: true, ..wanted(0, None) };
    let committed = accept(&bytes, &aborted, committed).unwrap();
    assert_eq!((seen(&committed), committed.next), (vec![2, 3, 5, 6, 9], 10));
}
