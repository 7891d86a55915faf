//! When batches open, close and leave.

use proptest::prelude::*;

use duramen_protocol::records::builder::BatchOptions;

use super::*;
use crate::cluster::Partition;
use crate::producer::content::Content;
use crate::producer::delivery::Outcome;
use crate::producer::partitioner::partition_of_key;

fn topic(name: &str, leaders: &[Option<i32>]) -> Topic {
    Topic {
        name: name.into(),
        id: duramen_protocol::ids::TopicId::from_u128(1),
        internal: false,
        partitions: leaders
            .iter()
            .enumerate()
            .map(|(id, leader)| Partition {
                id: i32::try_from(id).unwrap(),
                leader: *leader,
                leader_epoch: 0,
                replicas: Vec::new(),
                in_sync: Vec::new(),
                offline: Vec::new(),
            })
            .collect(),
    }
}

fn accumulator(leaders: &[Option<i32>]) -> Accumulator {
    let options = ProducerOptions {
        batch_bytes: 1000,
        linger: Duration::from_millis(5),
        ..ProducerOptions::default()
    };
    let mut accumulator = Accumulator::new(&options, Random::seeded(1));
    accumulator.learn(&topic("t", leaders));
    accumulator
}

fn put(accumulator: &mut Accumulator, partition: i32, bytes: usize) -> Result<Appended, Refusal> {
    let value = vec![7; bytes];
    let record = ProducerRecord { partition: Some(partition), ..ProducerRecord::new("t", &value) };
    accumulator.append(&record, 0, bytes)
}

fn ready(
    accumulator: &mut Accumulator,
    now: Instant,
    all: bool,
    room: impl FnMut(BufferId) -> usize,
) -> (Vec<(BufferId, Filling)>, Option<Instant>) {
    let mut taken = Vec::new();
    let next = accumulator.take_ready(now, all, room, &mut taken);
    (taken, next)
}

#[test]
fn a_batch_is_made_of_what_one_before_it_left() {
    let mut accumulator = accumulator(&[Some(1)]);
    let first = put(&mut accumulator, 0, 500).unwrap().delivery;
    let (mut taken, _) = ready(&mut accumulator, Instant::now(), true, |_| 1);
    let mut content = Content::new(1, taken.remove(0).1);
    let mut bytes = || content.bytes(&BatchOptions::default(), -1, None, &mut Vec::new()).unwrap();
    let (sent, again) = (bytes(), bytes());
    drop(again);
    assert!(content.memory().is_none(), "it is still on its way");
    drop(sent);
    // Larger than what would be made anew.
    accumulator.recycle(BytesMut::with_capacity(1900));
    content.written(7, None);
    let place = Arc::as_ptr(&first.batch);
    assert_eq!(first.result().unwrap().unwrap().offset, 7);
    drop(first);

    let second = put(&mut accumulator, 0, 500).unwrap().delivery;
    assert_eq!(Arc::as_ptr(&second.batch), place);
    assert!(second.result().is_none(), "nothing is left of the former fate");
    let (mut taken, _) = ready(&mut accumulator, Instant::now(), true, |_| 1);
    let mut content = Content::new(2, taken.remove(0).1);
    drop(content.bytes(&BatchOptions::default(), -1, None, &mut Vec::new()).unwrap());
    assert_eq!(content.memory().unwrap().capacity(), 1900);
    content.written(8, None);

    // A fate that somebody still asks about stays.
    let third = put(&mut accumulator, 0, 500).unwrap().delivery;
    assert_ne!(Arc::as_ptr(&third.batch), place);
    assert_eq!(second.result().unwrap().unwrap().offset, 8);
}

#[test]
fn what_is_kept_of_former_batches_is_bounded() {
    let mut accumulator = accumulator(&[Some(1)]);
    accumulator.recycle(BytesMut::with_capacity(1 << 20));
    assert!(accumulator.spare.is_empty(), "of one record that was larger than a batch");
    (0..2 * SPARES).for_each(|_| accumulator.recycle(BytesMut::with_capacity(1000)));
    assert_eq!(accumulator.spare.len(), SPARES);
    accumulator.batch_bytes = SPARE_BYTES;
    accumulator.recycle(BytesMut::with_capacity(SPARE_BYTES));
    assert_eq!(accumulator.spare_bytes, SPARES * 1000, "all of it together is bounded, too");
    accumulator.batch_bytes = 1000;
    for _ in 0..1000 {
        let delivery = put(&mut accumulator, 0, 900).unwrap().delivery;
        delivery.batch.end(0, Outcome::Written { base_offset: 0, append_time: None });
        assert!(accumulator.open.len() < 3);
    }
}

#[test]
fn a_partition_that_is_behind_keeps_no_place_from_the_others() {
    let mut accumulator = accumulator(&[Some(1), Some(1)]);
    let slow = put(&mut accumulator, 0, 900).unwrap().delivery;
    for _ in 0..2 * CELLS {
        let delivery = put(&mut accumulator, 1, 900).unwrap().delivery;
        delivery.batch.end(0, Outcome::Written { base_offset: 0, append_time: None });
    }
    assert!(accumulator.open.len() < 4, "{}", accumulator.open.len());
    let undelivered = accumulator.undelivered();
    assert!(undelivered.len() == 1 && Arc::ptr_eq(&undelivered[0], &slow.batch));
}

#[test]
fn a_small_batch_does_not_hold_the_memory_of_a_large_one() {
    let mut accumulator = accumulator(&[Some(1), Some(1)]);
    accumulator.batch_bytes = 1 << 20;
    accumulator.recycle(BytesMut::with_capacity(1 << 20));
    accumulator.recycle(BytesMut::with_capacity(ROOM_MIN));
    accumulator.recycle(BytesMut::with_capacity(1 << 20));
    let mut memory = |partition| {
        put(&mut accumulator, partition, 10).unwrap();
        let (mut taken, _) = ready(&mut accumulator, Instant::now(), true, |_| 1);
        let mut content = Content::new(1, taken.remove(0).1);
        drop(content.bytes(&BatchOptions::default(), -1, None, &mut Vec::new()).unwrap());
        content.memory().unwrap().capacity()
    };
    assert_eq!((memory(0), memory(1)), (ROOM_MIN, 1000), "that of another small one, or its own");
    assert_eq!(accumulator.spare.len(), 2);
}

#[test]
fn a_batch_leaves_when_it_is_full_or_old_or_wanted() {
    let mut accumulator = accumulator(&[Some(1), Some(1)]);
    let now = Instant::now();
    assert!(put(&mut accumulator, 0, 400).unwrap().wake_sender, "a new batch starts a linger");
    assert!(!put(&mut accumulator, 0, 400).unwrap().wake_sender);
    let (taken, next) = ready(&mut accumulator, now, false, |_| 5);
    assert!(taken.is_empty() && next.is_some());
    assert!(put(&mut accumulator, 0, 400).unwrap().wake_sender, "the first one is full");
    let (taken, _) = ready(&mut accumulator, now, false, |_| 5);
    assert_eq!(taken.iter().map(|(id, b)| (*id, b.reserved)).collect::<Vec<_>>(), [(0, 800)]);
    let (taken, next) = ready(&mut accumulator, now + Duration::from_secs(3600), false, |_| 5);
    assert_eq!((taken.len(), next), (1, None));
    put(&mut accumulator, 1, 10).unwrap();
    assert_eq!(ready(&mut accumulator, now, true, |_| 0).0.len(), 0, "no room");
    assert_eq!(ready(&mut accumulator, now, true, |_| 5).0.len(), 1);
    assert!(accumulator.is_empty());
}

#[test]
fn a_record_above_the_batch_size_goes_alone() {
    let mut accumulator = accumulator(&[Some(1)]);
    put(&mut accumulator, 0, 10).unwrap();
    put(&mut accumulator, 0, 5000).unwrap();
    put(&mut accumulator, 0, 10).unwrap();
    let (taken, _) = ready(&mut accumulator, Instant::now(), true, |_| 5);
    let sizes: Vec<_> = taken.iter().map(|(_, batch)| batch.builder.record_count()).collect();
    assert_eq!(sizes, [1, 1, 1]);
}

#[test]
fn partitions_are_chosen_by_number_by_key_or_by_turns() {
    let mut accumulator = accumulator(&[Some(1), None, Some(1)]);
    let mut place = |record: ProducerRecord<'_>| accumulator.append(&record, 0, 100).map(|_| ());
    assert_eq!(
        place(ProducerRecord { partition: Some(3), ..ProducerRecord::new("t", b"v") }),
        Err(Refusal::UnknownPartition { partition: 3, count: 3 })
    );
    assert_eq!(place(ProducerRecord::new("other", b"v")), Err(Refusal::UnknownTopic));
    for _ in 0..60 {
        place(ProducerRecord::new("t", b"v")).unwrap();
    }
    let (taken, _) = ready(&mut accumulator, Instant::now(), true, |_| 100);
    let used: std::collections::BTreeSet<_> = taken.iter().map(|(id, _)| *id).collect();
    assert_eq!(used.into_iter().collect::<Vec<_>>(), [0, 2], "not the one without a leader");
    let key = b"foobar";
    accumulator.append(&ProducerRecord::new("t", b"v").with_key(key), 0, 1).unwrap();
    let (taken, _) = ready(&mut accumulator, Instant::now(), true, |_| 1);
    let want = usize::try_from(partition_of_key(key, 3)).unwrap();
    assert_eq!(taken[0].0, want, "a key stays with its partition, leader or not");
}

#[test]
fn a_topic_that_grows_keeps_its_buffers() {
    let mut accumulator = accumulator(&[Some(1)]);
    put(&mut accumulator, 0, 10).unwrap();
    accumulator.learn(&topic("t", &[Some(1), Some(2)]));
    put(&mut accumulator, 1, 10).unwrap();
    assert_eq!(accumulator.place(1), Some(("t".into(), 1)));
    assert_eq!(ready(&mut accumulator, Instant::now(), true, |_| 5).0.len(), 2);
}

#[test]
fn what_waits_too_long_is_taken_out_and_only_the_open_are_waited_for() {
    let mut accumulator = accumulator(&[Some(1)]);
    let first = put(&mut accumulator, 0, 10).unwrap().delivery;
    assert_eq!(accumulator.undelivered().len(), 1);
    assert_eq!(accumulator.take_older(Instant::now()).len(), 1);
    assert!(accumulator.is_empty());
    first
        .batch
        .end(0, super::super::delivery::Outcome::Written { base_offset: 7, append_time: None });
    assert_eq!(accumulator.undelivered().len(), 0);
    assert_eq!(first.result().unwrap().unwrap().offset, 7);
}

#[test]
fn a_partitioner_of_ones_own_is_asked_unless_the_record_names_its_partition() {
    let options = ProducerOptions {
        partitioner: Partitioner::by(|record, partitions| match record.key? {
            b"last" => i32::try_from(partitions - 1).ok(),
            _ => Some(99),
        }),
        ..ProducerOptions::default()
    };
    let mut accumulator = Accumulator::new(&options, Random::seeded(1));
    accumulator.learn(&topic("t", &[Some(1); 3]));
    let record = ProducerRecord::new("t", b"v");
    let mut put = |record: &ProducerRecord<'_>| accumulator.append(record, 0, 100).map(|_| ());
    put(&record).unwrap();
    put(&record.with_key(b"last")).unwrap();
    let beyond = Refusal::UnknownPartition { partition: 99, count: 3 };
    assert_eq!(put(&record.with_key(b"other")).unwrap_err(), beyond);
    put(&ProducerRecord { partition: Some(0), ..record.with_key(b"other") }).unwrap();
    let (taken, _) = ready(&mut accumulator, Instant::now(), true, |_| 5);
    let places = taken.iter().filter_map(|(id, _)| accumulator.place(*id));
    let partitions: Vec<i32> = places.map(|(_, partition)| partition).collect();
    assert!(partitions.contains(&2) && partitions.contains(&0), "{partitions:?}");
}

#[derive(Debug, Clone)]
enum Step {
    /// A record of so many bytes for a partition, or for any.
    Append(Option<i32>, usize),
    /// The sender comes after so many milliseconds, with room for so many batches a partition.
    Take { after_ms: u64, all: bool, room: usize },
    /// The broker finds batches of a partition too large.
    Lower(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let partition = prop::option::weighted(0.7, 0..3_i32);
    let bytes = prop_oneof![5 => 0..300_usize, 1 => 300..3_000_usize];
    prop_oneof![
        8 => (partition, bytes).prop_map(|(partition, bytes)| Step::Append(partition, bytes)),
        2 => (0..8_u64, prop::bool::weighted(0.2), 0..3_usize)
            .prop_map(|(after_ms, all, room)| Step::Take { after_ms, all, room }),
        1 => (0..3_usize, 200..1_000_usize).prop_map(|(at, bytes)| Step::Lower(at, bytes)),
    ]
}

/// What was put in and not yet taken out, by partition: the bytes of each record, and those that a batch
/// begun with it may have.
type Inside = [VecDeque<(usize, usize)>; 3];

/// A batch holds the oldest records of its partition, in order, and no more than fit.
fn check_batch(inside: &mut Inside, id: BufferId, batch: &Filling) {
    let count = usize::try_from(batch.builder.record_count()).unwrap();
    let taken: Vec<_> = inside[id].drain(..count).collect();
    let limit = taken.first().expect("nothing is sent for nothing").1;
    assert!(count == 1 || batch.builder.size() <= limit, "{} bytes", batch.builder.size());
    assert_eq!(batch.reserved, taken.iter().map(|(bytes, _)| bytes).sum::<usize>());
}

/// The buffer that took the record in.
fn whereabouts(accumulator: &Accumulator, delivery: &Delivery) -> BufferId {
    let holds = |batch: &Filling| Arc::ptr_eq(&batch.delivery, &delivery.batch);
    accumulator.buffers.iter().position(|buffer| buffer.batches.iter().any(holds)).unwrap()
}

proptest! {
    #[test]
    fn batches_hold_each_record_once_and_in_order(steps in prop::collection::vec(step(), 1..200)) {
        let mut accumulator = accumulator(&[Some(1), Some(1), None]);
        let (mut inside, mut now, mut limits) = (Inside::default(), Instant::now(), [1000; 3]);
        for step in steps {
            match step {
                Step::Append(partition, bytes) => {
                    let value = vec![7; bytes];
                    let record = ProducerRecord { partition, ..ProducerRecord::new("t", &value) };
                    let delivery = accumulator.append(&record, 0, bytes).unwrap().delivery;
                    let to = whereabouts(&accumulator, &delivery);
                    match partition {
                        Some(wanted) => prop_assert_eq!(usize::try_from(wanted).unwrap(), to),
                        None => prop_assert!(to != 2, "it has no leader"),
                    }
                    inside[to].push_back((bytes, limits[to]));
                }
                Step::Take { after_ms, all, room } => {
                    now += Duration::from_millis(after_ms);
                    let (taken, next) = ready(&mut accumulator, now, all, |_| room);
                    for id in 0..3 {
                        prop_assert!(taken.iter().filter(|(at, _)| *at == id).count() <= room);
                    }
                    taken.iter().for_each(|(id, batch)| check_batch(&mut inside, *id, batch));
                    prop_assert!(next.is_none_or(|at| at > now), "ready, and yet not taken");
                }
                Step::Lower(at, bytes) => {
                    accumulator.lower(at, bytes);
                    limits[at] = limits[at].min(bytes);
                }
            }
            prop_assert_eq!(accumulator.is_empty(), inside.iter().all(VecDeque::is_empty));
        }
        let (taken, _) = ready(&mut accumulator, now, true, |_| usize::MAX);
        taken.iter().for_each(|(id, batch)| check_batch(&mut inside, *id, batch));
        prop_assert!(accumulator.is_empty() && inside.iter().all(VecDeque::is_empty));
    }
}

#[test]
fn a_topic_made_again_with_fewer_partitions_gets_records_in_those_only() {
    let mut accumulator = accumulator(&[Some(1); 8]);
    // A broker that lags behind takes nothing back.
    accumulator.learn(&topic("t", &[Some(1); 2]));
    assert!(put(&mut accumulator, 7, 10).is_ok());
    let id = duramen_protocol::ids::TopicId::from_u128(2);
    accumulator.learn(&Topic { id, ..topic("t", &[Some(1); 2]) });
    let refusal = put(&mut accumulator, 7, 10).unwrap_err();
    assert_eq!(refusal, Refusal::UnknownPartition { partition: 7, count: 2 });
    for key in 0..50_u8 {
        let key = [key];
        let record = ProducerRecord::new("t", b"v").with_key(&key);
        let appended = accumulator.append(&record, 0, 10).unwrap();
        appended.delivery.batch.end(0, Outcome::Written { base_offset: 0, append_time: None });
        let partition = appended.delivery.result().unwrap().unwrap().partition;
        assert_eq!(partition, partition_of_key(&key, 2));
    }
}
