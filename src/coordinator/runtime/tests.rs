//! A shard on a simulated disk: answers wait for the disk, commits share batches, and what the log
//! did not take has not happened.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicPartition;
use duramen_protocol::messages::delete_groups::DeletableGroupResult;
use duramen_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
};
use duramen_protocol::messages::offset_fetch::OffsetFetchResponseGroup;
use duramen_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupResponse, OffsetCommitResponse,
};
use duramen_protocol::records::BatchView;
use duramen_protocol::text::Text;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::asked::Asked;
use super::shard::{Shard, ShardParts, ShardTask};
use crate::config::TopicConfig;
use crate::coordinator::command::{Answer, Command, ReplyTo};
use crate::coordinator::tests::world::{GROUP, commit, joining, limits};
use crate::env::Patience;
use crate::env::sim::{Fault, SimEnv};
use crate::metadata::{MetadataImage, Provenance, Replay, record};
use crate::replication::{FetchQuery, Isolation, Partition};
use crate::storage::validate::BatchRules;
use crate::storage::{LogConfig, LogDir, LogDirOptions};

/// Far more than any of this takes; only a test that fails waits for it.
const LONG: Duration = Duration::from_secs(30);

struct World {
    sim: SimEnv,
    dir: LogDir,
    partition: Arc<Partition>,
    shard: Arc<Shard>,
    stop: CancellationToken,
    next: u64,
    /// The topics of the cluster, which never change here; gone with it, the shard would end.
    _image: watch::Sender<Arc<MetadataImage>>,
}

impl World {
    async fn new() -> Self {
        Self::with(BatchRules::from(&TopicConfig::default())).await
    }

    async fn with(rules: BatchRules) -> Self {
        let sim = SimEnv::new(1, 1_700_000_000_000);
        let options = LogDirOptions { threads: false, ..LogDirOptions::default() };
        let dir = LogDir::open(&sim.env(), Path::new("/data/logs"), options).unwrap();
        let name = TopicPartition::new("__consumer_offsets", 0);
        let log = dir.create_log(&name, Uuid::from_u128(7), LogConfig::default()).unwrap();
        let partition = Arc::new(Partition::lead(log, 0, rules).unwrap());
        let image = watch::Sender::new(image());
        let (shard, stop) = start(&sim, &partition, image.subscribe()).await;
        Self { sim, dir, partition, shard, stop, next: 0, _image: image }
    }

    /// The same log, read by a new shard.
    async fn again(&mut self) {
        self.stop.cancel();
        (self.shard, self.stop) = start(&self.sim, &self.partition, self._image.subscribe()).await;
    }

    fn ask<A>(&mut self, command: Command) -> Asked<A> {
        self.next += 1;
        self.shard.ask(ReplyTo(self.next), &Text::from(GROUP), command)
    }

    fn commit(&mut self, partition: i32, offset: i64) -> Asked<OffsetCommitResponse> {
        self.ask(commit("", -1, partition, offset))
    }

    /// The disk does what waits for it.
    fn sync(&self) {
        self.dir.run_once();
        self.partition.on_durable();
    }

    async fn committed(&mut self, partition: i32) -> i64 {
        let wanted = Some(vec![("orders".into(), vec![partition])]);
        let asked = self.ask(Command::FetchOffsets { group: GROUP.into(), member: None, wanted });
        let answer: OffsetFetchResponseGroup =
            tokio::time::timeout(LONG, asked).await.unwrap().unwrap();
        answer.topics[0].partitions[0].committed_offset
    }

    /// Records in each batch of the log.
    fn batches(&self) -> Vec<i32> {
        let query = FetchQuery {
            offset: 0,
            max_bytes: 1 << 20,
            at_least_one: true,
            patience: Patience::Wait,
            isolation: Isolation::ReadUncommitted,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
        };
        let fetched = self.partition.fetch(&query).unwrap();
        BatchView::iter(&fetched.records).map(|batch| batch.unwrap().record_count()).collect()
    }
}

/// A cluster that has the topic.
fn image() -> Arc<MetadataImage> {
    let mut replay = Replay::new(&Arc::default());
    replay.apply(&record::topic("orders", Uuid::from_u128(9))).unwrap();
    Arc::clone(replay.finish(Provenance::default()).after())
}

async fn start(
    sim: &SimEnv,
    partition: &Arc<Partition>,
    image: watch::Receiver<Arc<MetadataImage>>,
) -> (Arc<Shard>, CancellationToken) {
    let stop = CancellationToken::new();
    let (shard, task) = ShardTask::new(ShardParts {
        partition: Arc::clone(partition),
        limits: limits(),
        env: sim.env(),
        image,
        loading: Arc::new(Semaphore::new(1)),
        figures: Arc::default(),
    });
    tokio::spawn(task.run(stop.clone()));
    let loaded = async {
        while !shard.serves() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, loaded).await.expect("the shard loads");
    (shard, stop)
}

fn code(answer: &OffsetCommitResponse) -> ErrorCode {
    ErrorCode::from_code(answer.topics[0].partitions[0].error_code)
}

#[tokio::test]
async fn commits_that_come_together_share_a_batch_and_wait_for_the_disk() {
    let mut world = World::new().await;
    let asked: Vec<_> = (0..100).map(|n| world.commit(n, i64::from(n) + 1)).collect();
    let mut first = asked.into_iter();
    let mut waiting = first.next().unwrap();
    let early = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(early.is_err(), "answered before it was on the disk");
    world.sync();
    assert_eq!(code(&tokio::time::timeout(LONG, waiting).await.unwrap().unwrap()), ErrorCode::None);
    for asked in first {
        assert_eq!(
            code(&tokio::time::timeout(LONG, asked).await.unwrap().unwrap()),
            ErrorCode::None
        );
    }
    let batches = world.batches();
    assert_eq!(batches.iter().sum::<i32>(), 100);
    assert!(batches.len() <= 2, "{batches:?}");
    assert_eq!(world.committed(42).await, 43);
}

#[tokio::test]
async fn what_is_told_waits_for_what_it_is_based_on() {
    let mut world = World::new().await;
    let committing = world.commit(0, 5);
    let mut reading = Box::pin(async { world.committed(0).await });
    let early = tokio::time::timeout(Duration::from_millis(50), &mut reading).await;
    assert!(early.is_err(), "told before it was on the disk");
    drop(reading);
    world.sync();
    assert_eq!(
        code(&tokio::time::timeout(LONG, committing).await.unwrap().unwrap()),
        ErrorCode::None
    );
    assert_eq!(world.committed(0).await, 5);
}

#[tokio::test]
async fn the_clock_is_looked_at_however_much_is_asked() {
    let mut world = World::new().await;
    let mut joins: Asked<JoinGroupResponse> = world.ask(joining("", None, 3));
    let early = tokio::time::timeout(Duration::from_millis(50), &mut joins).await;
    assert!(early.is_err(), "others may come");
    world.sim.clock.advance(Duration::from_secs(4));
    // There is always a message: the shard never comes to the end of a sleep.
    for _ in 0..1_000 {
        let request = HeartbeatRequest { group_id: GROUP.into(), ..HeartbeatRequest::default() };
        let _beat = world.ask::<HeartbeatResponse>(Command::Heartbeat(request));
        tokio::task::yield_now().await;
    }
    let joined = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut joins).poll(cx))).await;
    assert!(
        matches!(joined, Poll::Ready(Ok(JoinGroupResponse { error_code: 0, .. }))),
        "{joined:?}"
    );
}

#[tokio::test]
async fn a_full_disk_refuses_commits_and_they_go_on_by_themselves() {
    let mut world = World::new().await;
    let kept = world.commit(0, 5);
    tokio::task::yield_now().await;
    world.sync_until(kept).await;
    world.sim.disk.set_capacity(Some(world.sim.disk.used()));
    // Space is reserved ahead: some commits may still fit.
    let mut last = 5;
    let refused = loop {
        let asked = world.commit(0, last + 1);
        match world.sync_until(asked).await {
            ErrorCode::None => last += 1,
            code => break code,
        }
        assert!(last < 1_000_000, "the disk never fills");
    };
    assert_eq!(refused, ErrorCode::NotCoordinator, "clients look again, and try again");
    assert_eq!(world.committed(0).await, last);
    world.sim.disk.set_capacity(None);
    let asked = world.commit(0, last + 2);
    assert_eq!(world.sync_until(asked).await, ErrorCode::None);
    world.again().await;
    assert_eq!(world.committed(0).await, last + 2);
}

/// A world whose batches hold some dozen records, with offsets of a group in 300 partitions.
async fn wide_group() -> World {
    let rules = BatchRules { max_message_bytes: 2_000, ..(&TopicConfig::default()).into() };
    let mut world = World::with(rules).await;
    for partition in 0..WIDE {
        let asked = world.commit(partition, 7);
        assert_eq!(world.sync_until(asked).await, ErrorCode::None);
    }
    world
}

const WIDE: i32 = 300;

fn delete_offsets() -> Command {
    let partitions =
        (0..WIDE).map(|partition_index| OffsetDeleteRequestPartition { partition_index }).collect();
    let topics = vec![OffsetDeleteRequestTopic { name: "orders".into(), partitions }];
    Command::DeleteOffsets(OffsetDeleteRequest { group_id: GROUP.into(), topics })
}

#[tokio::test]
async fn a_group_with_more_offsets_than_a_batch_can_hold_is_deleted_in_several() {
    let mut world = wide_group().await;
    let before = world.batches().len();
    let asked = world.ask::<OffsetDeleteResponse>(delete_offsets());
    let answer = world.when_synced(asked).await.unwrap();
    assert!(answer.topics[0].partitions.iter().all(|it| it.error_code == 0));
    assert!(world.batches().len() > before + 3);
    assert_eq!(world.committed(0).await, -1);
    let mut world = wide_group().await;
    let before = world.batches().len();
    let asked = world.ask::<DeletableGroupResult>(Command::Delete { group: GROUP.into() });
    assert_eq!(world.when_synced(asked).await.unwrap().error_code, 0);
    assert!(world.batches().len() > before + 3);
    world.again().await;
    for partition in [0, 100, WIDE - 1] {
        assert_eq!(world.committed(partition).await, -1);
    }
    let asked = world.ask::<DeletableGroupResult>(Command::Delete { group: GROUP.into() });
    let gone = ErrorCode::from_code(world.when_synced(asked).await.unwrap().error_code);
    assert_eq!(gone, ErrorCode::GroupIdNotFound);
}

#[tokio::test]
async fn a_deletion_that_was_written_in_part_is_an_error_and_can_be_asked_for_again() {
    let mut world = wide_group().await;
    // The first write, and the second: what is gone then is gone, and the rest is there.
    for nth in 0..2 {
        world.sim.disk.fail_nth(nth, Fault::Full);
        let asked = world.ask::<DeletableGroupResult>(Command::Delete { group: GROUP.into() });
        let refused = world.when_synced(asked).await.map(|answer| answer.error_code);
        assert_eq!(refused, Err(ErrorCode::NotCoordinator), "write {nth}");
        world.sync();
        world.again().await;
        assert_eq!(world.committed(WIDE - 1).await, 7);
    }
    let asked = world.ask::<DeletableGroupResult>(Command::Delete { group: GROUP.into() });
    assert_eq!(world.when_synced(asked).await.unwrap().error_code, 0);
    assert_eq!(world.committed(WIDE - 1).await, -1);
}

impl World {
    /// The answer, with a disk that works meanwhile.
    async fn when_synced<A>(&self, mut asked: Asked<A>) -> Result<A, ErrorCode>
    where
        A: TryFrom<Answer, Error = ErrorCode>,
    {
        let outcome = async {
            loop {
                self.sync();
                if let Ok(answer) = tokio::time::timeout(Duration::from_millis(1), &mut asked).await
                {
                    return answer;
                }
            }
        };
        tokio::time::timeout(LONG, outcome).await.expect("an answer")
    }

    /// The outcome of a commit, in the same way.
    async fn sync_until(&self, asked: Asked<OffsetCommitResponse>) -> ErrorCode {
        self.when_synced(asked).await.map_or_else(|error| error, |answer| code(&answer))
    }
}

#[tokio::test]
async fn a_shard_reads_back_what_it_wrote_and_no_more_serves_once_it_is_stopped() {
    let mut world = World::new().await;
    for offset in 0..50 {
        let asked = world.commit(offset % 3, i64::from(offset));
        assert_eq!(world.sync_until(asked).await, ErrorCode::None);
    }
    world.again().await;
    assert_eq!(world.committed(0).await, 48);
    assert_eq!(world.committed(1).await, 49);
    let waiting = world.commit(0, 99);
    world.stop.cancel();
    let outcome = tokio::time::timeout(LONG, waiting).await.unwrap();
    assert_eq!(outcome.unwrap_err(), ErrorCode::NotCoordinator);
}

#[tokio::test]
async fn a_partition_that_goes_takes_its_shard_along() {
    let mut world = World::new().await;
    let waiting = world.commit(0, 5);
    let written = async {
        while world.partition.log().log_end_offset() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, written).await.expect("the commit is written");
    drop(world.partition.take_log());
    let outcome = tokio::time::timeout(LONG, waiting).await.unwrap();
    assert_eq!(outcome.unwrap_err(), ErrorCode::NotCoordinator);
    let later = tokio::time::timeout(LONG, world.commit(0, 6)).await.unwrap();
    let later = later.unwrap_err();
    assert!(
        matches!(later, ErrorCode::NotCoordinator | ErrorCode::CoordinatorLoadInProgress),
        "{later}"
    );
}
