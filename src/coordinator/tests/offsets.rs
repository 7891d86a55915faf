//! Committed offsets: who may commit, what is kept, and what makes them go.

use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::delete_groups::DeletableGroupResult;
use duramen_protocol::messages::offset_delete::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use duramen_protocol::messages::offset_fetch::OffsetFetchResponseGroup;
use duramen_protocol::messages::{OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse};

use super::consumer::{join, send, stay};
use super::world::{GROUP, TOPIC, World, commit, joining, limits};
use crate::coordinator::command::{Command, Limits};

const DAY_MS: u64 = 24 * 3_600_000;

fn kept(world: &World, partition: i32) -> Option<i64> {
    world.groups.committed(GROUP, TOPIC, partition).map(|it| it.offset)
}

fn delete(world: &mut World) -> ErrorCode {
    let answer: DeletableGroupResult = world.ask(Command::Delete { group: GROUP.into() }).unwrap();
    ErrorCode::from_code(answer.error_code)
}

#[test]
fn members_of_this_generation_commit_and_nobody_else() {
    let mut world = World::new();
    assert_eq!(world.commit("", 3, 0, 1), ErrorCode::GroupIdNotFound);
    let (member, generation) = world.alone();
    assert_eq!(world.commit(&member, generation, 0, 10), ErrorCode::None);
    assert_eq!(world.commit(&member, generation - 1, 0, 11), ErrorCode::IllegalGeneration);
    assert_eq!(world.commit("stranger", generation, 0, 11), ErrorCode::UnknownMemberId);
    assert_eq!(world.commit("", -1, 0, 11), ErrorCode::UnknownMemberId);
    assert_eq!(kept(&world, 0), Some(10));
    // While the others join, what was read may still be committed; while the leader assigns, not.
    let newcomer = world.send(joining("", None, 2));
    assert_eq!(world.commit(&member, generation, 0, 12), ErrorCode::None);
    let again = world.send(joining(&member, None, 5));
    assert!(world.poll::<duramen_protocol::messages::JoinGroupResponse>(again).is_some());
    assert!(world.poll::<duramen_protocol::messages::JoinGroupResponse>(newcomer).is_some());
    assert_eq!(world.commit(&member, generation + 1, 0, 13), ErrorCode::RebalanceInProgress);
    assert_eq!(kept(&world, 0), Some(12));
    // A commit counts as a heartbeat.
    world.crash();
    for _ in 0..4 {
        world.pass_ms(8_000);
        assert_eq!(world.commit(&member, generation, 0, 14), ErrorCode::None);
    }
}

#[test]
fn whoever_is_no_member_commits_while_there_are_none_and_is_found_after_a_crash() {
    let mut world = World::new();
    assert_eq!(world.commit("", -1, 3, 42), ErrorCode::None);
    world.crash();
    let fetched: OffsetFetchResponseGroup = world
        .ask(Command::FetchOffsets { group: GROUP.into(), wanted: None, member: None })
        .unwrap();
    assert_eq!(fetched.topics[0].name, TOPIC);
    assert_eq!(fetched.topics[0].partitions[0].committed_offset, 42);
    let wanted = Some(vec![(TOPIC.into(), vec![3, 4]), ("other".into(), vec![0])]);
    let fetched: OffsetFetchResponseGroup =
        world.ask(Command::FetchOffsets { group: GROUP.into(), wanted, member: None }).unwrap();
    let offsets: Vec<i64> = fetched
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|it| it.committed_offset))
        .collect();
    assert_eq!(offsets, [42, -1, -1]);
    assert!(fetched.topics.iter().flat_map(|it| &it.partitions).all(|it| it.error_code == 0));
}

#[test]
fn metadata_that_is_too_long_is_refused_and_the_other_partitions_are_kept() {
    let mut world = World::new();
    let mut both = commit("", -1, 0, 5);
    if let Command::Commit(commit) = &mut both {
        let partitions = &mut commit.request.topics[0].partitions;
        let mut long = partitions[0].clone();
        long.partition_index = 1;
        long.committed_metadata = Some("x".repeat(4097).as_str().into());
        partitions[0].committed_metadata = Some("x".repeat(4096).as_str().into());
        partitions.push(long);
    }
    let answer: OffsetCommitResponse = world.ask(both).unwrap();
    let codes: Vec<i16> = answer.topics[0].partitions.iter().map(|it| it.error_code).collect();
    assert_eq!(codes, [0, ErrorCode::OffsetMetadataTooLarge.code()]);
    assert_eq!((kept(&world, 0), kept(&world, 1)), (Some(5), None));
}

#[test]
fn offsets_expire_once_nobody_has_read_for_as_long_as_they_are_kept() {
    let mut world = World::new();
    let (member, generation) = world.alone();
    assert_eq!(world.commit(&member, generation, 0, 10), ErrorCode::None);
    for _ in 0..(9 * 24 * 3_600 / 8) {
        world.pass_ms(8_000);
        assert_eq!(world.heartbeat(&member, generation), ErrorCode::None);
    }
    assert_eq!(kept(&world, 0), Some(10), "someone reads");
    world.leave(&member);
    world.pass_ms(7 * DAY_MS - 3_600_000);
    world.crash();
    assert_eq!(kept(&world, 0), Some(10));
    world.pass_ms(2 * 3_600_000);
    assert_eq!(kept(&world, 0), None);
    assert_eq!(world.groups.len(), 0, "and the group is gone");
    world.crash();
    assert_eq!(world.groups.len(), 0);
}

#[test]
fn offsets_of_a_kip_848_group_are_kept_as_long_after_its_last_member() {
    let mut world = super::consumer::world();
    assert_eq!(send(&mut world, join("one")).member_epoch, 1);
    assert_eq!(world.commit("one", 1, 0, 10), ErrorCode::None);
    for _ in 0..(9 * 24 * 3_600 / 40) {
        world.pass_ms(40_000);
        assert_eq!(send(&mut world, stay("one", 1, &[0, 1, 2, 3])).error_code, 0);
    }
    assert_eq!(send(&mut world, stay("one", -1, &[])).error_code, 0);
    world.pass_ms(3 * DAY_MS);
    assert_eq!(kept(&world, 0), Some(10), "someone has read until then");
    world.crash();
    // Whoever goes back to another offset meanwhile has as long from then on.
    assert_eq!(world.commit("", -1, 1, 11), ErrorCode::None);
    world.pass_ms(4 * DAY_MS - 3_600_000);
    assert_eq!(kept(&world, 0), Some(10));
    world.pass_ms(2 * 3_600_000);
    assert_eq!((kept(&world, 0), kept(&world, 1)), (None, Some(11)));
    world.pass_ms(4 * DAY_MS);
    assert_eq!(world.groups.len(), 0);
}

#[test]
fn without_members_each_offset_ages_from_its_commit_or_as_its_client_said() {
    let mut world = World::new();
    world.commit("", -1, 0, 10);
    let mut soon = commit("", -1, 1, 11);
    if let Command::Commit(commit) = &mut soon {
        commit.request.retention_time_ms = i64::try_from(DAY_MS).unwrap();
    }
    world.ask::<OffsetCommitResponse>(soon).unwrap();
    world.pass_ms(3 * DAY_MS);
    world.commit("", -1, 2, 12);
    assert_eq!((kept(&world, 0), kept(&world, 1), kept(&world, 2)), (Some(10), None, Some(12)));
    world.crash();
    world.pass_ms(5 * DAY_MS);
    assert_eq!((kept(&world, 0), kept(&world, 2)), (None, Some(12)));
    world.pass_ms(3 * DAY_MS);
    assert_eq!(world.groups.len(), 0);
}

#[test]
fn many_offsets_expire_bit_by_bit() {
    let expiry_interval = Duration::from_millis(8 * DAY_MS);
    let mut world = World::with(Limits { expiry_interval, ..limits() });
    for partition in 0..12_000 {
        world.commit("", -1, partition, 1);
    }
    for n in 0..12_000 {
        let mut commit = commit("", -1, 0, 1);
        if let Command::Commit(commit) = &mut commit {
            commit.request.group_id = format!("group-{n}").as_str().into();
        }
        world.ask::<OffsetCommitResponse>(commit).unwrap();
    }
    world.pass_ms(8 * DAY_MS + 1);
    let left = world.groups.len();
    assert!(left > 0, "others have their turn");
    world.pass_ms(5_000);
    assert_eq!(world.groups.len(), 0);
}

#[test]
fn a_group_with_members_is_not_deleted_and_one_without_goes_with_its_offsets() {
    let mut world = World::new();
    assert_eq!(delete(&mut world), ErrorCode::GroupIdNotFound);
    let (member, generation) = world.alone();
    world.commit(&member, generation, 0, 10);
    assert_eq!(delete(&mut world), ErrorCode::NonEmptyGroup);
    world.leave(&member);
    assert_eq!(delete(&mut world), ErrorCode::None);
    assert_eq!(kept(&world, 0), None);
    world.crash();
    assert_eq!(delete(&mut world), ErrorCode::GroupIdNotFound);
}

#[test]
fn single_offsets_are_forgotten_unless_someone_may_read_there() {
    let mut world = World::new();
    let request = |topic: &str| {
        let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
        let topics = vec![OffsetDeleteRequestTopic { name: topic.into(), partitions }];
        Command::DeleteOffsets(OffsetDeleteRequest { group_id: GROUP.into(), topics })
    };
    let refused = world.ask::<OffsetDeleteResponse>(request(TOPIC));
    assert_eq!(refused.unwrap_err(), ErrorCode::GroupIdNotFound);
    let (member, generation) = world.alone();
    world.commit(&member, generation, 0, 10);
    // Its subscription can't be read, so it may be subscribed to anything.
    let answer: OffsetDeleteResponse = world.ask(request(TOPIC)).unwrap();
    let code = answer.topics[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::GroupSubscribedToTopic.code());
    world.leave(&member);
    let answer: OffsetDeleteResponse = world.ask(request(TOPIC)).unwrap();
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    assert_eq!(kept(&world, 0), None);
    let answer: OffsetDeleteResponse = world.ask(request("unheard-of")).unwrap();
    assert_eq!(answer.topics[0].partitions[0].error_code, 0, "nothing to forget");
}

#[test]
fn offsets_of_topics_that_are_gone_go() {
    let mut world = World::new();
    world.commit("", -1, 0, 10);
    let decision = world.groups.forget_topics(world.now, &|name, _| name == TOPIC);
    assert!(decision.records.is_empty());
    let decision = world.groups.forget_topics(world.now, &|_, _| false);
    world.carry_out(decision);
    assert_eq!(kept(&world, 0), None);
    assert_eq!(world.groups.len(), 0, "nothing is left of the group");
}

#[test]
fn a_commit_that_is_not_kept_is_not_there() {
    let mut world = World::new();
    world.commit("", -1, 0, 10);
    world.fails = Some(ErrorCode::NotCoordinator);
    assert_eq!(world.commit("", -1, 0, 11), ErrorCode::NotCoordinator);
    assert_eq!(kept(&world, 0), Some(10));
    assert_eq!(limits().offset_metadata_max, 4096, "Kafka's default");
}
