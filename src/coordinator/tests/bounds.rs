//! What hostile or unlucky clients may cost.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::JoinGroupResponse;

use super::world::{GROUP, World, join_with, joining, limits};
use crate::coordinator::command::{Command, Limits};

#[test]
fn ten_thousand_half_joins_take_no_more_than_their_places_and_the_group_goes_on() {
    let mut world = World::new();
    let (member, generation) = world.alone();
    for _ in 0..10_000 {
        let given: JoinGroupResponse = world.ask(joining("", None, 9)).unwrap();
        assert_eq!(given.error_code, ErrorCode::MemberIdRequired.code());
    }
    let group = world.groups.classic(GROUP).unwrap();
    assert_eq!(group.promised(), limits().pending_max);
    assert_eq!(world.heartbeat(&member, generation), ErrorCode::None, "nobody is disturbed");
    world.pass_ms(9_000);
    world.heartbeat(&member, generation);
    world.pass_ms(9_000);
    assert_eq!(world.groups.classic(GROUP).unwrap().promised(), 0);
}

#[test]
fn members_that_go_away_before_their_first_generation_leave_nothing() {
    let mut world = World::new();
    let joining: Vec<_> = (0..1_000).map(|_| world.send(joining("", None, 2))).collect();
    assert_eq!(world.groups.len(), 1);
    for to in joining {
        let decision = world.groups.abandoned(world.now, &GROUP.into(), to);
        world.carry_out(decision);
    }
    world.pass_ms(60_000);
    assert_eq!((world.groups.len(), world.log.len()), (0, 0));
}

#[test]
fn a_thousand_members_join_at_once() {
    let mut world = World::new();
    let joining: Vec<_> = (0..1_000).map(|_| world.send(joining("", None, 2))).collect();
    world.pass_ms(30_001);
    let mut leaders = std::collections::BTreeSet::new();
    for to in joining {
        let joined: JoinGroupResponse = world.poll(to).expect("a generation").unwrap();
        assert_eq!(joined.generation_id, 1);
        leaders.insert(joined.leader);
    }
    assert_eq!(leaders.len(), 1);
}

#[test]
fn an_assignor_that_is_named_twice_counts_once() {
    let mut world = World::new();
    let twice = [("range", "a"), ("range", "a"), ("best", "a")];
    let one = world.send(join_with("", None, 2, &twice));
    let other = world.send(join_with("", None, 2, &[("best", "a"), ("best", "a")]));
    world.pass_ms(30_001);
    for to in [one, other] {
        let joined: JoinGroupResponse = world.poll(to).expect("a generation").unwrap();
        assert_eq!(joined.protocol_name.as_deref(), Some("best"));
    }
}

#[test]
fn what_can_never_be_kept_is_refused_at_once() {
    let mut world = World::with(Limits { member_bytes_max: 100, groups_max: 1, ..limits() });
    let long = "x".repeat(101);
    let refused: JoinGroupResponse =
        world.ask(join_with("", None, 2, &[("range", &long)])).unwrap();
    assert_eq!(refused.error_code, ErrorCode::InvalidRequest.code());
    assert_eq!(world.groups.len(), 0);
    world.send(joining("", None, 2));
    let mut other = joining("", None, 2);
    if let Command::Join(join) = &mut other {
        join.request.group_id = "another".into();
    }
    let refused: JoinGroupResponse = world.ask(other).unwrap();
    assert_eq!(refused.error_code, ErrorCode::CoordinatorNotAvailable.code());
}

#[test]
fn sessions_have_their_limits_and_groups_their_names() {
    let mut world = World::new();
    for (session, group, expected) in [
        (5_999, GROUP, ErrorCode::InvalidSessionTimeout),
        (1_800_001, GROUP, ErrorCode::InvalidSessionTimeout),
        (-1, GROUP, ErrorCode::InvalidSessionTimeout),
        (10_000, "", ErrorCode::InvalidGroupId),
    ] {
        let mut join = joining("", None, 9);
        if let Command::Join(join) = &mut join {
            join.request.session_timeout_ms = session;
            join.request.group_id = group.into();
        }
        let refused: JoinGroupResponse = world.ask(join).unwrap();
        assert_eq!(ErrorCode::from_code(refused.error_code), expected);
    }
    assert_eq!(world.groups.len(), 0);
}
