//! Classic groups, step by step: who may join, what a rebalance waits for, who is fenced.

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::describe_groups::DescribedGroup;
use duramen_protocol::messages::{JoinGroupResponse, ListGroupsRequest, ListGroupsResponse};

use super::world::{GROUP, World, join_with, joining, limits, syncing};
use crate::coordinator::command::{Command, Limits, ReplyTo};

fn code(answer: &JoinGroupResponse) -> ErrorCode {
    ErrorCode::from_code(answer.error_code)
}

fn state(world: &mut World) -> (String, usize) {
    let described: DescribedGroup =
        world.ask(Command::Describe { group: GROUP.into(), version: 5 }).unwrap();
    (described.group_state.to_string(), described.members.len())
}

fn joined(world: &mut World, to: ReplyTo) -> JoinGroupResponse {
    world.poll(to).expect("an answer").unwrap()
}

#[test]
fn a_new_member_comes_back_with_the_id_that_it_was_given() {
    let mut world = World::new();
    let given: JoinGroupResponse = world.ask(joining("", None, 4)).unwrap();
    assert_eq!(code(&given), ErrorCode::MemberIdRequired);
    assert!(given.member_id.starts_with("client-"), "{}", given.member_id);
    let stranger: JoinGroupResponse = world.ask(joining("client-other", None, 4)).unwrap();
    assert_eq!(code(&stranger), ErrorCode::UnknownMemberId);
    let to = world.send(joining(&given.member_id, None, 4));
    assert!(world.poll::<JoinGroupResponse>(to).is_none(), "others may come");
    world.pass_ms(3_000);
    assert_eq!(joined(&mut world, to).generation_id, 1);
    assert_eq!(state(&mut world), ("CompletingRebalance".to_owned(), 1));
}

#[test]
fn an_id_that_is_not_used_within_a_session_is_forgotten_and_the_group_with_it() {
    let mut world = World::new();
    let given: JoinGroupResponse = world.ask(joining("", None, 9)).unwrap();
    assert_eq!(state(&mut world).0, "Empty");
    world.pass_ms(10_001);
    assert_eq!(state(&mut world).0, "Dead");
    let late: JoinGroupResponse = world.ask(joining(&given.member_id, None, 9)).unwrap();
    assert_eq!(code(&late), ErrorCode::UnknownMemberId);
    assert!(world.log.is_empty(), "nothing was worth a record");
}

#[test]
fn the_first_generation_waits_for_those_who_come_and_not_for_ever() {
    let mut world = World::new();
    let first = world.send(joining("", None, 2));
    let mut others = Vec::new();
    for _ in 0..20 {
        world.pass_ms(2_000);
        if world.poll::<JoinGroupResponse>(first).is_some() {
            break;
        }
        others.push(world.send(joining("", None, 2)));
    }
    // 30 s of rebalance timeout; each newcomer prolongs the wait by 3 s at most.
    assert!((14..=16).contains(&others.len()), "{}", others.len());
    assert_eq!(state(&mut world), ("CompletingRebalance".to_owned(), others.len() + 1));
}

#[test]
fn a_rebalance_calls_everyone_and_goes_on_without_those_who_do_not_come() {
    let mut world = World::new();
    let (leader, generation) = world.alone();
    let newcomer = world.send(joining("", None, 2));
    assert_eq!(world.heartbeat(&leader, generation), ErrorCode::RebalanceInProgress);
    assert!(world.poll::<JoinGroupResponse>(newcomer).is_none());
    let again = world.send(joining(&leader, None, 5));
    let (one, two) = (joined(&mut world, again), joined(&mut world, newcomer));
    assert_eq!((one.generation_id, one.members.len()), (generation + 1, 2));
    assert_eq!((two.generation_id, two.members.len()), (generation + 1, 0));
    assert_eq!(two.leader, leader);
    // The next time the leader does not come within its rebalance timeout.
    let third = world.send(joining("", None, 2));
    let again = world.send(joining(&two.member_id, None, 5));
    for _ in 0..6 {
        world.pass_ms(5_000);
        world.heartbeat(&leader, one.generation_id);
    }
    let (two, three) = (joined(&mut world, again), joined(&mut world, third));
    assert_eq!(two.generation_id, generation + 2);
    assert_eq!(two.leader, three.leader);
    assert_eq!(world.heartbeat(&leader, generation + 2), ErrorCode::UnknownMemberId);
}

#[test]
fn a_follower_waits_for_the_leaders_assignments_and_both_get_theirs() {
    let mut world = World::new();
    let (a, b) = (world.send(joining("", None, 2)), world.send(joining("", None, 2)));
    world.pass_ms(6_001);
    let (a, b) = (joined(&mut world, a), joined(&mut world, b));
    let (leader, follower) = if a.leader == a.member_id { (a, b) } else { (b, a) };
    let waiting = world.send(syncing(&follower.member_id, 1, &[]));
    assert!(world.poll::<duramen_protocol::messages::SyncGroupResponse>(waiting).is_none());
    let assigned = [
        (leader.member_id.clone(), Bytes::from_static(b"one")),
        (follower.member_id.clone(), Bytes::from_static(b"two")),
    ];
    let own = world.sync(&leader.member_id, 1, &assigned).unwrap();
    assert_eq!((&*own.assignment, own.protocol_name.as_deref()), (&b"one"[..], Some("range")));
    let theirs: duramen_protocol::messages::SyncGroupResponse =
        world.poll(waiting).unwrap().unwrap();
    assert_eq!(theirs.assignment, "two");
    assert_eq!(state(&mut world), ("Stable".to_owned(), 2));
    // Who asks again is told again, and a wrong generation or protocol is refused.
    assert_eq!(world.sync(&follower.member_id, 1, &[]).unwrap().assignment, "two");
    let refused = world.sync(&follower.member_id, 7, &[]);
    assert_eq!(refused.unwrap_err(), ErrorCode::IllegalGeneration);
    let mut other = syncing(&follower.member_id, 1, &[]);
    if let Command::Sync(request) = &mut other {
        request.protocol_name = Some("sticky".into());
    }
    let refused = world.ask::<duramen_protocol::messages::SyncGroupResponse>(other);
    assert_eq!(refused.unwrap_err(), ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn an_assignment_that_is_not_kept_is_not_told() {
    let mut world = World::new();
    let to = world.send(joining("", None, 2));
    world.pass_ms(3_001);
    let leader = joined(&mut world, to).member_id;
    let assigned = [(leader.clone(), Bytes::from_static(b"all"))];
    world.fails = Some(ErrorCode::NotCoordinator);
    assert_eq!(world.sync(&leader, 1, &assigned).unwrap_err(), ErrorCode::NotCoordinator);
    assert_eq!(state(&mut world).0, "CompletingRebalance");
    assert_eq!(world.sync(&leader, 1, &assigned).unwrap().assignment, "all");
}

#[test]
fn members_that_are_silent_or_leave_are_gone_and_an_empty_group_keeps_its_generation() {
    let mut world = World::new();
    let (member, generation) = world.alone();
    world.pass_ms(9_000);
    assert_eq!(world.heartbeat(&member, generation), ErrorCode::None);
    world.pass_ms(9_999);
    assert_eq!(state(&mut world), ("Stable".to_owned(), 1));
    world.pass_ms(2);
    assert_eq!(state(&mut world), ("Empty".to_owned(), 0));
    assert_eq!(world.heartbeat(&member, generation), ErrorCode::UnknownMemberId);
    world.crash();
    let (member, later) = world.alone();
    assert_eq!(later, generation + 2, "the empty one counts too");
    assert_eq!(world.leave("nobody"), ErrorCode::UnknownMemberId);
    assert_eq!(world.leave(&member), ErrorCode::None);
    assert_eq!(state(&mut world).0, "Empty");
}

#[test]
fn a_member_that_never_asks_for_its_work_is_gone_after_the_rebalance_timeout() {
    let mut world = World::new();
    let (a, b) = (world.send(joining("", None, 2)), world.send(joining("", None, 2)));
    world.pass_ms(6_001);
    let (a, b) = (joined(&mut world, a), joined(&mut world, b));
    let (leader, follower) = if a.leader == a.member_id { (a, b) } else { (b, a) };
    let _ = world.sync(&leader.member_id, 1, &[]);
    for _ in 0..6 {
        world.pass_ms(5_001);
        world.heartbeat(&leader.member_id, 1);
        world.heartbeat(&follower.member_id, 1);
    }
    assert_eq!(world.heartbeat(&follower.member_id, 1), ErrorCode::UnknownMemberId);
    assert_eq!(world.heartbeat(&leader.member_id, 1), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_static_member_comes_back_without_a_rebalance_and_its_former_self_is_fenced() {
    let mut world = World::new();
    let to = world.send(joining("", Some("reader-1"), 9));
    world.pass_ms(3_001);
    let first = joined(&mut world, to);
    assert!(first.member_id.starts_with("reader-1-"), "{}", first.member_id);
    let assigned = [(first.member_id.clone(), Bytes::from_static(b"all"))];
    world.sync(&first.member_id, 1, &assigned).unwrap();
    let second: JoinGroupResponse = world.ask(joining("", Some("reader-1"), 9)).unwrap();
    assert_eq!((second.generation_id, second.skip_assignment), (1, true));
    assert_ne!(second.member_id, first.member_id);
    assert_eq!(second.leader, second.member_id);
    assert_eq!(world.sync(&second.member_id, 1, &[]).unwrap().assignment, "all");
    let fenced: JoinGroupResponse =
        world.ask(joining(&first.member_id, Some("reader-1"), 9)).unwrap();
    assert_eq!(code(&fenced), ErrorCode::FencedInstanceId);
    // Before KIP-814 it must not take itself for the leader.
    let third: JoinGroupResponse = world.ask(joining("", Some("reader-1"), 8)).unwrap();
    assert_eq!((third.skip_assignment, third.members.len()), (false, 0));
    assert_ne!(third.leader, third.member_id);
    world.crash();
    assert_eq!(world.sync(&third.member_id, 1, &[]).unwrap().assignment, "all");
    assert_eq!(world.sync(&second.member_id, 1, &[]).unwrap_err(), ErrorCode::UnknownMemberId);
}

#[test]
fn the_assignor_is_one_that_all_speak_and_most_like_best() {
    let mut world = World::new();
    let members = [
        [("sticky", "s"), ("range", "r"), ("mine", "m")],
        [("range", "r"), ("sticky", "s"), ("yours", "y")],
        [("range", "r"), ("hers", "h"), ("sticky", "s")],
    ];
    let joining: Vec<_> =
        members.iter().map(|protocols| world.send(join_with("", None, 2, protocols))).collect();
    world.pass_ms(6_001);
    for to in joining {
        assert_eq!(joined(&mut world, to).protocol_name.as_deref(), Some("range"));
    }
    let other: JoinGroupResponse = world.ask(join_with("", None, 2, &[("mine", "")])).unwrap();
    assert_eq!(code(&other), ErrorCode::InconsistentGroupProtocol);
    let none: JoinGroupResponse = world.ask(join_with("", None, 2, &[])).unwrap();
    assert_eq!(code(&none), ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn a_group_takes_no_more_members_than_it_may() {
    let mut world = World::with(Limits { members_max: 2, ..limits() });
    let joining_now: Vec<_> = (0..3).map(|_| world.send(joining("", None, 2))).collect();
    let third = joined(&mut world, joining_now[2]);
    assert_eq!(code(&third), ErrorCode::GroupMaxSizeReached);
    world.pass_ms(6_001);
    assert_eq!(code(&joined(&mut world, joining_now[0])), ErrorCode::None);
    let late: JoinGroupResponse = world.ask(joining("", None, 2)).unwrap();
    assert_eq!(code(&late), ErrorCode::GroupMaxSizeReached);
}

#[test]
fn a_broker_that_dies_in_a_rebalance_comes_back_with_the_generation_before() {
    let mut world = World::new();
    let (member, generation) = world.alone();
    let _newcomer = world.send(joining("", None, 2));
    world.crash();
    assert_eq!(state(&mut world), ("Stable".to_owned(), 1));
    assert_eq!(world.heartbeat(&member, generation), ErrorCode::None);
    assert_eq!(world.sync(&member, generation, &[]).unwrap().assignment, "all");
    assert_eq!(world.commit(&member, generation, 0, 7), ErrorCode::None);
    // One that is not heard of after that is gone too.
    world.pass_ms(10_001);
    assert_eq!(state(&mut world).0, "Empty");
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut world = World::new();
    world.alone();
    let list = |world: &mut World, states: &[&str], types: &[&str]| -> usize {
        let texts = |words: &[&str]| words.iter().map(|word| (*word).into()).collect();
        let request =
            ListGroupsRequest { states_filter: texts(states), types_filter: texts(types) };
        let answer: ListGroupsResponse = world.ask(Command::List(request)).unwrap();
        answer.groups.len()
    };
    assert_eq!(list(&mut world, &[], &[]), 1);
    assert_eq!(list(&mut world, &["stable"], &["Classic"]), 1);
    assert_eq!(list(&mut world, &["Empty", "Dead"], &[]), 0);
    assert_eq!(list(&mut world, &[], &["consumer"]), 0);
}
