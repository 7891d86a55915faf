//! KIP-848 groups, step by step: who is fenced when, and what is told of whom.

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::consumer_group_heartbeat::TopicPartitions;
use duramen_protocol::messages::offset_fetch::OffsetFetchResponseGroup;
use duramen_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use uuid::Uuid;

use super::consumer_model::cluster;
use super::world::{GROUP, TOPIC, World, beat};
use crate::coordinator::command::{Command, Limits};
use crate::metadata::{ConfigResource, Provenance, Replay, record};

pub(super) const ID: Uuid = Uuid::from_u128(7);

pub(super) fn world() -> World {
    world_with(super::world::limits())
}

pub(super) fn world_with(limits: Limits) -> World {
    let mut world = World::with(limits);
    world.image = cluster(1, &BTreeMap::from([(TOPIC.to_owned(), (ID, 4))]));
    world.groups.see(world.image.clone());
    world
}

fn owned(partitions: &[i32]) -> Option<Vec<TopicPartitions>> {
    Some(vec![TopicPartitions { topic_id: ID, partitions: partitions.to_vec() }])
}

pub(super) fn join(member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member.into(),
        rebalance_timeout_ms: 20_000,
        subscribed_topic_names: Some(vec![TOPIC.into()]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

pub(super) fn stay(member: &str, epoch: i32, has: &[i32]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member.into(),
        member_epoch: epoch,
        topic_partitions: owned(has),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

pub(super) fn send(
    world: &mut World,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    world.ask(beat(request, 1)).unwrap()
}

pub(super) fn has(answer: &ConsumerGroupHeartbeatResponse) -> Option<Vec<i32>> {
    let topics = &answer.assignment.as_ref()?.topic_partitions;
    Some(topics.iter().flat_map(|topic| topic.partitions.clone()).collect())
}

/// One has all four partitions, and another has come.
fn two() -> World {
    let mut world = world();
    let one = send(&mut world, join("one"));
    assert_eq!((one.member_epoch, has(&one)), (1, Some(vec![0, 1, 2, 3])));
    let two = send(&mut world, join("two"));
    assert_eq!((two.member_epoch, has(&two)), (2, Some(Vec::new())));
    world
}

#[test]
fn a_partition_moves_when_its_owner_has_given_it_up() {
    let mut world = two();
    let told = send(&mut world, stay("one", 1, &[0, 1, 2, 3]));
    assert_eq!((told.member_epoch, has(&told)), (1, Some(vec![0, 1])));
    let waits = send(&mut world, stay("two", 2, &[]));
    assert_eq!((waits.member_epoch, has(&waits)), (2, None));
    let done = send(&mut world, stay("one", 1, &[0, 1]));
    assert_eq!((done.member_epoch, has(&done)), (2, None));
    let gets = send(&mut world, stay("two", 2, &[]));
    assert_eq!((gets.member_epoch, has(&gets)), (2, Some(vec![2, 3])));
    assert_eq!(&*world.described_consumers().group_state, "Stable");
    // The answer that told of epoch 2 was lost.
    assert_eq!(send(&mut world, stay("one", 1, &[0, 1])).error_code, 0);
    let fenced = send(&mut world, stay("one", 1, &[0, 1, 2]));
    assert_eq!(fenced.error_code, ErrorCode::FencedMemberEpoch.code());
}

#[test]
fn whoever_holds_on_for_longer_than_it_may_is_fenced() {
    let mut world = two();
    send(&mut world, stay("one", 1, &[0, 1, 2, 3]));
    for _ in 0..3 {
        world.pass(Duration::from_secs(6));
        assert_eq!(send(&mut world, stay("one", 1, &[0, 1, 2, 3])).error_code, 0);
        assert_eq!(send(&mut world, stay("two", 2, &[])).error_code, 0);
    }
    world.pass(Duration::from_secs(3));
    let fenced = send(&mut world, stay("one", 1, &[0, 1, 2, 3]));
    assert_eq!(fenced.error_code, ErrorCode::UnknownMemberId.code());
    let all = send(&mut world, stay("two", 2, &[]));
    assert_eq!((all.member_epoch, has(&all)), (3, Some(vec![0, 1, 2, 3])));
}

#[test]
fn whoever_is_silent_is_fenced_also_by_a_broker_that_came_back() {
    let mut world = two();
    world.pass(Duration::from_secs(40));
    world.crash();
    world.pass(Duration::from_secs(40));
    assert_eq!(world.described_consumers().members.len(), 2);
    world.pass(Duration::from_secs(6));
    assert_eq!(&*world.described_consumers().group_state, "Empty");
}

#[test]
fn offsets_are_for_members_in_their_epoch() {
    let mut world = two();
    assert_eq!(world.commit("one", 1, 0, 5), ErrorCode::None);
    assert_eq!(world.commit("one", 0, 0, 6), ErrorCode::StaleMemberEpoch);
    assert_eq!(world.commit("one", 2, 0, 6), ErrorCode::StaleMemberEpoch);
    assert_eq!(world.commit("nobody", 1, 0, 6), ErrorCode::UnknownMemberId);
    let mut fetch = |member: &str, epoch| {
        let member = Some((member.into(), epoch));
        let group = Command::FetchOffsets { group: GROUP.into(), wanted: None, member };
        world.ask::<OffsetFetchResponseGroup>(group).map(|group| group.topics.len())
    };
    assert_eq!(fetch("one", 1), Ok(1));
    assert_eq!(fetch("one", 2), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(fetch("nobody", 1), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn a_topic_that_grows_is_assigned_anew() {
    let mut world = two();
    world.image = cluster(2, &BTreeMap::from([(TOPIC.to_owned(), (ID, 6))]));
    world.groups.see(world.image.clone());
    let two = send(&mut world, stay("two", 2, &[]));
    assert_eq!(two.member_epoch, 3);
    assert_eq!(has(&two), Some(vec![5]), "what nobody had comes at once");
}

#[test]
fn a_position_that_stands_before_its_member_in_a_compacted_log_is_kept() {
    let mut world = world();
    send(&mut world, join("one"));
    // What it says of itself changes, and is written anew; its position is not.
    let said = ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 30_000,
        ..stay("one", 1, &[0, 1, 2, 3])
    };
    assert_eq!(send(&mut world, said).error_code, 0);
    let before = world.described_consumers();
    let mut newest = BTreeMap::new();
    for (at, record) in world.log.iter().enumerate() {
        newest.insert(record.encode().unwrap().0, (at, record.clone()));
    }
    let mut kept: Vec<_> = newest.into_values().collect();
    kept.sort_by_key(|(at, _)| *at);
    world.crash_to(kept.into_iter().map(|(_, record)| record).collect());
    assert_eq!(world.described_consumers(), before);
    assert_eq!(send(&mut world, stay("one", 1, &[0, 1, 2, 3])).error_code, 0);
}

#[test]
fn an_expression_may_match_ten_thousand_topics_and_each_member_looks_after_its_own() {
    let topics = |count: u128| {
        (0..count).map(|n| (format!("topic-{n}"), (Uuid::from_u128(n + 1), 1))).collect()
    };
    let mut world = World::new();
    world.image = cluster(1, &topics(10_000));
    world.groups.see(world.image.clone());
    let by_regex = |member: &str, regex: &str| ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(Vec::new()),
        subscribed_topic_regex: Some(regex.into()),
        ..join(member)
    };
    let all = send(&mut world, by_regex("one", "topic-.*"));
    assert_eq!(has(&all).map(|partitions| partitions.len()), Some(10_000));
    let some = send(&mut world, by_regex("two", "topic-1[0-9]*"));
    assert_eq!(some.error_code, 0, "{:?}", some.error_message);
    // New topics come with the next heartbeat after a while, by the one who asked for them.
    world.image = cluster(2, &topics(10_001));
    world.groups.see(world.image.clone());
    world.pass(Duration::from_secs(11));
    let epoch = |world: &mut World| world.described_consumers().group_epoch;
    let before = epoch(&mut world);
    send(
        &mut world,
        ConsumerGroupHeartbeatRequest { topic_partitions: None, ..stay("one", 1, &[]) },
    );
    assert_eq!(epoch(&mut world), before + 1);
}

#[test]
fn a_group_has_so_many_different_expressions() {
    let mut world = world();
    world.limits.consumer.members_max = 1_000;
    world.crash();
    let by_regex = |number: usize| ConsumerGroupHeartbeatRequest {
        subscribed_topic_regex: Some(format!("orders-{number}").as_str().into()),
        subscribed_topic_names: None,
        ..join(&format!("member-{number}"))
    };
    for number in 0..100 {
        assert_eq!(send(&mut world, by_regex(number)).error_code, 0);
    }
    let refused = send(&mut world, by_regex(100));
    assert_eq!(refused.error_code, ErrorCode::InvalidRegularExpression.code());
    let shared = ConsumerGroupHeartbeatRequest { member_id: "more".into(), ..by_regex(7) };
    assert_eq!(send(&mut world, shared).error_code, 0);
}

/// Configs of the group.
pub(super) fn set_times(world: &mut World, configs: &[(&str, &str)]) {
    let mut replay = Replay::new(&world.image);
    for (name, value) in configs {
        replay.apply(&record::config(&ConfigResource::group(GROUP), name, Some(value))).unwrap();
    }
    world.image = replay.finish(Provenance { offset: 2, epoch: 1, timestamp: 0 }).after().clone();
    world.groups.see(world.image.clone());
}

#[test]
fn a_session_that_its_group_made_shorter_ends_sooner_from_the_next_heartbeat() {
    let mut world = two();
    let session = ("consumer.session.timeout.ms", "2000");
    set_times(&mut world, &[session, ("consumer.heartbeat.interval.ms", "700")]);
    assert_eq!(send(&mut world, stay("two", 2, &[])).heartbeat_interval_ms, 700);
    world.pass(Duration::from_millis(2_001));
    let left = world.described_consumers().members;
    assert_eq!(left.len(), 1, "the other was not heard of since");
    assert_eq!(left[0].member_id, "one");
    // Whoever loads the group knows its session.
    world.crash();
    world.pass(Duration::from_millis(2_001));
    assert_eq!(&*world.described_consumers().group_state, "Empty");
}

#[test]
fn what_a_member_did_not_say_is_not_told_of_it() {
    let mut world = world();
    assert_eq!(send(&mut world, join("one")).error_code, 0);
    for _ in 0..2 {
        let told = world.described_consumers().members.remove(0);
        assert_eq!((told.instance_id, told.rack_id), (None, None));
        world.crash();
    }
}
