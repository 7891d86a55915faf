//! Groups that change sides while they have members, step by step.

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::GroupRecord;
use duramen_protocol::messages::leave_group::MemberIdentity;
use duramen_protocol::messages::offset_fetch::OffsetFetchResponseGroup;
use duramen_protocol::messages::{
    ConsumerGroupHeartbeatRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    SyncGroupResponse,
};
use duramen_protocol::text::Text;

use super::consumer::{has, join, send, set_times, stay, world, world_with};
use super::consumer_model::cluster;
use super::world::{
    GROUP, TOPIC, World, assign_blob, assign_with, join_bytes, join_consumer, join_with, limits,
    read_blob, subscription, syncing,
};
use crate::config::MigrationPolicy;
use crate::coordinator::command::Command;

const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;

fn code(answer: &JoinGroupResponse) -> ErrorCode {
    ErrorCode::from_code(answer.error_code)
}

/// A classic consumer is alone in its group and has all four partitions.
fn alone(world: &mut World) -> (Text, i32) {
    let given: JoinGroupResponse = world.ask(join_consumer("", None, 5, &[])).unwrap();
    let to = world.send(join_consumer(&given.member_id, None, 5, &[]));
    world.pass_ms(3_001);
    let joined: JoinGroupResponse = world.poll(to).expect("a generation").unwrap();
    let assigned = [(joined.member_id.clone(), assign_blob(&[0, 1, 2, 3]))];
    world.sync(&joined.member_id, joined.generation_id, &assigned).unwrap();
    (joined.member_id, joined.generation_id)
}

/// The same, joined by a KIP-848 member `new`.
fn joined_by_another() -> (World, Text, i32) {
    let mut world = world();
    let (old, generation) = alone(&mut world);
    let new = send(&mut world, join("new"));
    assert_eq!((new.error_code, new.member_epoch), (0, generation + 1));
    assert_eq!(has(&new), Some(Vec::new()), "nothing was given up yet");
    (world, old, generation)
}

/// A classic member of a KIP-848 group joins, and asks for its assignment.
fn rejoin(world: &mut World, member: &str, owned: &[i32]) -> (i32, Vec<i32>) {
    rejoin_with(world, join_consumer(member, None, 5, owned))
}

fn rejoin_with(world: &mut World, join: Command) -> (i32, Vec<i32>) {
    let joined: JoinGroupResponse = world.ask(join).unwrap();
    assert_eq!(code(&joined), ErrorCode::None);
    assert_eq!((&*joined.leader, joined.members.len()), ("", 0), "nobody leads");
    let synced = world.sync(&joined.member_id, joined.generation_id, &[]).unwrap();
    (joined.generation_id, read_blob(&synced.assignment))
}

fn types(world: &mut World) -> BTreeMap<Text, i8> {
    let members = world.described_consumers().members;
    members.into_iter().map(|member| (member.member_id, member.member_type)).collect()
}

#[test]
fn a_group_with_members_goes_over_and_back() {
    let (mut world, old, generation) = joined_by_another();
    assert_eq!(world.commit(&old, generation, 0, 7), ErrorCode::None);
    assert_eq!(
        types(&mut world),
        BTreeMap::from([(old.clone(), CLASSIC), ("new".into(), CONSUMER)])
    );
    // The old one gives up, says so, and is in the new epoch; then the new one gets its share.
    assert_eq!(world.heartbeat(&old, generation), ErrorCode::RebalanceInProgress);
    assert_eq!(rejoin(&mut world, &old, &[0, 1, 2, 3]), (generation, vec![0, 1]));
    assert_eq!(has(&send(&mut world, stay("new", generation + 1, &[]))), None);
    assert_eq!(world.heartbeat(&old, generation), ErrorCode::RebalanceInProgress);
    assert_eq!(rejoin(&mut world, &old, &[0, 1]), (generation + 1, vec![0, 1]));
    let got = send(&mut world, stay("new", generation + 1, &[]));
    assert_eq!(has(&got), Some(vec![2, 3]));
    assert_eq!(world.heartbeat(&old, generation + 1), ErrorCode::None);
    let stable = world.described_consumers();
    assert_eq!(&*stable.group_state, "Stable");
    world.crash();
    assert_eq!(world.described_consumers(), stable);

    let leave = ConsumerGroupHeartbeatRequest { member_epoch: -1, ..stay("new", 0, &[]) };
    assert_eq!(send(&mut world, leave).error_code, 0);
    let group = world.groups.classic(GROUP).expect("a classic group");
    assert_eq!((group.state().name(), group.generation()), ("PreparingRebalance", generation + 1));
    assert_eq!(world.commit(&old, generation + 1, 0, 8), ErrorCode::None);
    assert_eq!(world.heartbeat(&old, generation + 1), ErrorCode::RebalanceInProgress);
    let joined: JoinGroupResponse = world.ask(join_consumer(&old, None, 5, &[0, 1])).unwrap();
    assert_eq!(
        (joined.generation_id, &joined.leader, joined.members.len()),
        (generation + 2, &old, 1)
    );
    let assigned = [(old.clone(), assign_blob(&[0, 1, 2, 3]))];
    let synced = world.sync(&old, joined.generation_id, &assigned).unwrap();
    assert_eq!(read_blob(&synced.assignment), [0, 1, 2, 3]);
    assert_eq!(world.groups.committed(GROUP, TOPIC, 0).unwrap().offset, 8);
}

#[test]
fn each_conversion_is_one_batch_and_survives_a_crash_at_once() {
    let mut world = world();
    let (old, _) = alone(&mut world);
    let before = world.log.len();
    world.fails = Some(ErrorCode::NotCoordinator);
    let answer = world.ask::<duramen_protocol::messages::ConsumerGroupHeartbeatResponse>(
        super::world::beat(join("new"), 1),
    );
    assert_eq!(answer, Err(ErrorCode::NotCoordinator));
    assert_eq!(world.groups.classic(GROUP).map(|group| group.state().name()), Some("Stable"));
    send(&mut world, join("new"));
    assert!(matches!(world.log[before], GroupRecord::GroupMetadata(_, None)));
    let mixed = world.described_consumers();
    world.crash();
    assert_eq!(world.described_consumers(), mixed);

    world.fails = Some(ErrorCode::NotCoordinator);
    assert_eq!(world.leave("new"), ErrorCode::NotCoordinator);
    assert_eq!(world.described_consumers(), mixed, "nothing has changed");
    assert_eq!(world.leave("new"), ErrorCode::None);
    assert!(matches!(world.log.last(), Some(GroupRecord::GroupMetadata(_, Some(_)))));
    world.crash();
    let group = world.groups.classic(GROUP).expect("a classic group");
    assert_eq!(group.state().name(), "PreparingRebalance");
    // Whoever does not come in time is out, also after a crash.
    world.pass(Duration::from_secs(31));
    let group = world.groups.classic(GROUP).expect("a classic group");
    assert_eq!(group.state().name(), "Empty", "{old} was silent");
}

#[test]
fn whoever_waits_for_a_generation_is_sent_on() {
    let mut world = world();
    let (old, generation) = alone(&mut world);
    let given: JoinGroupResponse = world.ask(join_consumer("", None, 5, &[])).unwrap();
    let joins = world.send(join_consumer(&given.member_id, None, 5, &[]));
    let rejoins = world.send(join_consumer(&old, None, 5, &[]));
    let syncs = world.send(syncing(&given.member_id, generation + 1, &[]));
    assert_eq!(world.poll::<JoinGroupResponse>(joins).unwrap().unwrap().error_code, 0);
    assert_eq!(world.poll::<JoinGroupResponse>(rejoins).unwrap().unwrap().error_code, 0);
    send(&mut world, join("new"));
    let sent_on = world.poll::<SyncGroupResponse>(syncs).expect("an answer");
    assert_eq!(sent_on, Err(ErrorCode::RebalanceInProgress));
    // In the generation that it was told it may not sync under another assignor's name either.
    let late = world.sync(&old, generation + 1, &[]);
    assert_eq!(late, Err(ErrorCode::RebalanceInProgress));
    let (epoch, all) = rejoin(&mut world, &given.member_id, &[]);
    assert_eq!((epoch, all.len()), (generation + 2, 0), "the old one has everything still");
    assert_eq!(rejoin(&mut world, &old, &[]).1.len(), 2);
}

/// librdkafka's assignors write beside an assignment what the member has said of itself.
#[test]
fn what_is_kept_beside_an_assignment_matters_with_assignors_that_nobody_knows() {
    for (assignor, goes_over) in [("cooperative-sticky", true), ("mine", false)] {
        let mut world = world();
        let joins =
            |member: &str| join_bytes(member, None, 5, &[(assignor, subscription(&[0, 1, 2, 3]))]);
        let given: JoinGroupResponse = world.ask(joins("")).unwrap();
        let to = world.send(joins(&given.member_id));
        world.pass_ms(3_001);
        let joined: JoinGroupResponse = world.poll(to).expect("a generation").unwrap();
        let assigned = assign_with(&[0, 1, 2, 3], Some("had 0 to 3".into()));
        let assigned = [(joined.member_id.clone(), assigned)];
        world.sync(&joined.member_id, joined.generation_id, &assigned).unwrap();
        let new = send(&mut world, join("new"));
        let message = new.error_message.unwrap_or_default();
        assert_eq!(new.error_code == 0, goes_over, "{assignor}: {message}");
        assert_eq!(message.contains("custom assignor"), !goes_over, "{assignor}: {message}");
        if goes_over {
            let (_, kept) = rejoin_with(&mut world, joins(&joined.member_id));
            assert_eq!(kept, [0, 1], "it goes on with what it had");
        }
    }
}

#[test]
fn groups_that_must_not_or_can_not_go_over() {
    let refused = |world: &mut World, why: &str| {
        let answer = send(world, join("new"));
        assert_eq!(ErrorCode::from_code(answer.error_code), ErrorCode::GroupIdNotFound);
        let message = answer.error_message.unwrap_or_default();
        assert!(message.contains(why), "{message}");
    };
    for policy in [MigrationPolicy::Disabled, MigrationPolicy::Downgrade] {
        let mut limits = limits();
        limits.consumer.migration = policy;
        let mut world = world_with(limits);
        alone(&mut world);
        refused(&mut world, "online upgrade is disabled");
    }
    let mut small = limits();
    small.consumer.members_max = 0;
    let mut small = world_with(small);
    alone(&mut small);
    refused(&mut small, "the group size exceeds the consumer group maximum size");
    let mut strange = world();
    strange.alone();
    refused(&mut strange, "the embedded consumer protocol is malformed");
    let mut world = world();
    let (old, generation) = alone(&mut world);
    let stays = send(&mut world, stay("new", 3, &[]));
    assert_eq!(ErrorCode::from_code(stays.error_code), ErrorCode::GroupIdNotFound);
    assert_eq!(world.heartbeat(&old, generation), ErrorCode::None);
}

#[test]
fn without_the_downgrade_classic_members_stay_where_they_are() {
    let mut limits = limits();
    limits.consumer.migration = MigrationPolicy::Upgrade;
    let mut world = world_with(limits);
    let (old, generation) = alone(&mut world);
    send(&mut world, join("new"));
    assert_eq!(world.leave("new"), ErrorCode::None);
    assert_eq!(types(&mut world), BTreeMap::from([(old.clone(), CLASSIC)]));
    assert_eq!(world.heartbeat(&old, generation), ErrorCode::RebalanceInProgress);
    assert_eq!(rejoin(&mut world, &old, &[0, 1, 2, 3]), (generation + 2, vec![0, 1, 2, 3]));
    // A topic that grows is seen, though nobody leads.
    world.image = cluster(2, &BTreeMap::from([(TOPIC.to_owned(), (super::consumer::ID, 6))]));
    world.groups.see(world.image.clone());
    assert_eq!(world.heartbeat(&old, generation + 2), ErrorCode::RebalanceInProgress);
    assert_eq!(rejoin(&mut world, &old, &[0, 1, 2, 3]).1.len(), 6);
}

#[test]
fn a_group_that_no_batch_can_hold_stays_what_it_is() {
    let mut limits = limits();
    limits.member_bytes_max = 500;
    let mut world = world_with(limits);
    let (old, _) = alone(&mut world);
    send(&mut world, join("new"));
    assert_eq!(world.leave("new"), ErrorCode::None);
    assert_eq!(types(&mut world), BTreeMap::from([(old, CLASSIC)]));
}

#[test]
fn a_member_that_did_not_hear_that_it_was_out_lets_go_first() {
    let (mut world, old, _) = joined_by_another();
    assert_eq!(world.leave(&old), ErrorCode::None);
    let all = send(&mut world, stay("new", 2, &[]));
    assert_eq!(has(&all), Some(vec![0, 1, 2, 3]));
    let claims: JoinGroupResponse = world.ask(join_consumer(&old, None, 5, &[0, 1])).unwrap();
    assert_eq!(code(&claims), ErrorCode::UnknownMemberId);
    assert_eq!(types(&mut world).len(), 1);
    let (_, nothing) = rejoin(&mut world, &old, &[]);
    assert_eq!(nothing.len(), 0, "an eager one has let go by the time that it joins");
}

#[test]
fn what_requests_of_classic_members_must_be() {
    let (mut world, old, generation) = joined_by_another();
    assert_eq!(world.heartbeat(&old, generation + 1), ErrorCode::IllegalGeneration);
    assert_eq!(world.heartbeat("nobody", generation), ErrorCode::UnknownMemberId);
    assert_eq!(world.heartbeat("new", generation + 1), ErrorCode::UnknownMemberId);
    assert_eq!(world.sync("new", generation + 1, &[]), Err(ErrorCode::UnknownMemberId));
    assert_eq!(world.commit(&old, generation + 1, 0, 5), ErrorCode::IllegalGeneration);
    assert_eq!(world.commit("nobody", generation, 0, 5), ErrorCode::UnknownMemberId);
    let mut fetch = |member: &str, epoch| {
        let member = Some((member.into(), epoch));
        let group = Command::FetchOffsets { group: GROUP.into(), wanted: None, member };
        world.ask::<OffsetFetchResponseGroup>(group).map(|group| group.topics.len())
    };
    assert_eq!(fetch(&old, generation), Ok(0));
    assert_eq!(fetch(&old, generation + 1), Err(ErrorCode::IllegalGeneration));
    for strange in [join_with("", None, 2, &[("other", "a")]), join_with("", None, 2, &[])] {
        let answer: JoinGroupResponse = world.ask(strange).unwrap();
        assert_eq!(code(&answer), ErrorCode::InconsistentGroupProtocol);
    }
    // The assignor is known; what is said to it is not.
    let malformed: JoinGroupResponse = world.ask(join_with("", None, 2, &[("range", "")])).unwrap();
    assert_eq!(code(&malformed), ErrorCode::InconsistentGroupProtocol);
    world.limits.consumer.members_max = 2;
    world.crash();
    let third: JoinGroupResponse = world.ask(join_consumer("", None, 5, &[])).unwrap();
    assert_eq!(code(&third), ErrorCode::GroupMaxSizeReached);
}

#[test]
fn a_classic_member_that_is_told_to_join_and_does_not_is_out() {
    let (mut world, old, generation) = joined_by_another();
    for _ in 0..6 {
        assert_eq!(world.heartbeat(&old, generation), ErrorCode::RebalanceInProgress);
        send(&mut world, stay("new", generation + 1, &[]));
        world.pass(Duration::from_secs(5));
    }
    assert_eq!(types(&mut world), BTreeMap::from([("new".into(), CONSUMER)]));
    assert_eq!(world.heartbeat(&old, generation), ErrorCode::UnknownMemberId);
    let all = send(&mut world, stay("new", generation + 1, &[]));
    assert_eq!(has(&all), Some(vec![0, 1, 2, 3]));
}

#[test]
fn a_classic_member_that_joins_and_never_asks_for_its_work_is_out() {
    let (mut world, old, generation) = joined_by_another();
    let joined: JoinGroupResponse = world.ask(join_consumer(&old, None, 5, &[])).unwrap();
    assert_eq!(joined.generation_id, generation + 1);
    for _ in 0..6 {
        assert_eq!(types(&mut world).len(), 2);
        assert_eq!(world.heartbeat(&old, generation + 1), ErrorCode::None);
        send(&mut world, stay("new", generation + 1, &[]));
        world.pass(Duration::from_secs(5));
    }
    assert_eq!(types(&mut world), BTreeMap::from([("new".into(), CONSUMER)]));
}

#[test]
fn a_classic_member_has_its_own_session() {
    let (mut world, old, _) = joined_by_another();
    world.pass(Duration::from_secs(9));
    assert!(types(&mut world).contains_key(&old));
    world.crash();
    world.pass(Duration::from_secs(9));
    assert!(types(&mut world).contains_key(&old));
    world.pass(Duration::from_secs(2));
    assert_eq!(types(&mut world), BTreeMap::from([("new".into(), CONSUMER)]));
    // The last of the new kind falls silent: nobody is left, and nothing is converted.
    world.pass(Duration::from_secs(46));
    assert_eq!(&*world.described_consumers().group_state, "Empty");
}

#[test]
fn a_groups_own_session_is_for_members_that_have_none_of_their_own() {
    let (mut world, old, generation) = joined_by_another();
    let session = ("consumer.session.timeout.ms", "2000");
    set_times(&mut world, &[session, ("consumer.heartbeat.interval.ms", "700")]);
    send(&mut world, stay("new", generation + 1, &[]));
    assert_eq!(world.heartbeat(&old, generation), ErrorCode::RebalanceInProgress);
    rejoin(&mut world, &old, &[0, 1, 2, 3]);
    world.crash();
    world.pass_ms(1_999);
    assert_eq!(types(&mut world).len(), 2);
    world.pass_ms(2);
    let group = world.groups.classic(GROUP).expect("only the classic member is left");
    assert_eq!(group.describe().members[0].member_id, old);
    world.pass_ms(7_900);
    assert_eq!(world.groups.classic(GROUP).unwrap().describe().members.len(), 1);
    world.pass_ms(200);
    assert_eq!(world.groups.classic(GROUP).unwrap().state().name(), "Empty");
}

#[test]
fn an_empty_group_gives_way_when_the_log_has_taken_that() {
    let mut world = world();
    assert_eq!(send(&mut world, join("new")).error_code, 0);
    let leave = ConsumerGroupHeartbeatRequest { member_epoch: -1, ..stay("new", 0, &[]) };
    assert_eq!(send(&mut world, leave).error_code, 0);
    let empty = world.described_consumers();
    assert_eq!((&*empty.group_state, empty.group_epoch), ("Empty", 2));
    for instance in [None, Some("one")] {
        world.fails = Some(ErrorCode::NotCoordinator);
        let to = world.send(join_consumer("", instance, 5, &[]));
        assert_eq!(world.described_consumers(), empty, "what the log says");
        let refused: JoinGroupResponse = world.poll(to).expect("an answer at once").unwrap();
        assert_eq!(code(&refused), ErrorCode::CoordinatorNotAvailable);
        world.crash();
        assert_eq!(world.described_consumers(), empty);
    }
    let to = world.send(join_consumer("", Some("one"), 5, &[]));
    world.pass_ms(3_001);
    let joined: JoinGroupResponse = world.poll(to).expect("a generation").unwrap();
    assert_eq!((code(&joined), joined.generation_id), (ErrorCode::None, 1));
    let id = joined.member_id.clone();
    world.sync(&id, 1, &[(id.clone(), assign_blob(&[0, 1, 2, 3]))]).unwrap();
    world.crash();
    assert_eq!(world.groups.classic(GROUP).map(|group| group.state().name()), Some("Stable"));
}

#[test]
fn a_static_member_changes_its_protocol_under_its_name() {
    let mut world = world();
    let to = world.send(join_consumer("", Some("one"), 5, &[]));
    world.pass_ms(3_001);
    let first: JoinGroupResponse = world.poll(to).unwrap().unwrap();
    let assigned = [(first.member_id.clone(), assign_blob(&[0, 1, 2, 3]))];
    world.sync(&first.member_id, first.generation_id, &assigned).unwrap();
    // Nobody else is there: the new one has its partitions at once.
    let instance =
        |request| ConsumerGroupHeartbeatRequest { instance_id: Some("one".into()), ..request };
    let new = send(&mut world, instance(join("new")));
    assert_eq!((new.error_code, has(&new)), (0, Some(vec![0, 1, 2, 3])));
    assert_eq!(types(&mut world), BTreeMap::from([("new".into(), CONSUMER)]));
    // And back, in the generation that was the epoch, without a rebalance.
    let back: JoinGroupResponse = world.ask(join_consumer("", Some("one"), 5, &[])).unwrap();
    assert_eq!((code(&back), back.generation_id), (ErrorCode::None, new.member_epoch));
    let group = world.groups.classic(GROUP).expect("a classic group");
    assert_eq!((group.state().name(), group.generation()), ("Stable", new.member_epoch));
    world.crash();
    let synced = world.sync(&back.member_id, back.generation_id, &[]).unwrap();
    assert_eq!(read_blob(&synced.assignment), [0, 1, 2, 3]);
    assert_eq!(world.heartbeat(&back.member_id, back.generation_id), ErrorCode::None);
    let former = send(&mut world, instance(stay("new", new.member_epoch, &[])));
    assert_eq!(ErrorCode::from_code(former.error_code), ErrorCode::GroupIdNotFound);
}

#[test]
fn a_static_member_with_another_assignor_has_all_called_together() {
    let (mut world, old, generation) = joined_by_another();
    assert_eq!(world.leave("new"), ErrorCode::None);
    let joined: JoinGroupResponse = world.ask(join_consumer(&old, None, 5, &[])).unwrap();
    let all = [(old.clone(), assign_blob(&[0, 1, 2, 3]))];
    world.sync(&old, joined.generation_id, &all).unwrap();
    let one = ConsumerGroupHeartbeatRequest { instance_id: Some("one".into()), ..join("static") };
    let epoch = send(&mut world, one).member_epoch;
    assert!(epoch > generation);
    rejoin(&mut world, &old, &[]);
    send(&mut world, stay("static", epoch, &[]));
    assert_eq!(&*world.described_consumers().group_state, "Stable");
    // The group would be settled, but for the assignor that each was told of.
    let protocols = ["range", "best"].map(|name| (name, subscription(&[])));
    let back: JoinGroupResponse = world.ask(join_bytes("", Some("one"), 5, &protocols)).unwrap();
    assert_eq!((code(&back), back.generation_id), (ErrorCode::None, epoch));
    let group = world.groups.classic(GROUP).expect("a classic group");
    assert_eq!(group.state().name(), "PreparingRebalance");
    for member in [&back.member_id, &old] {
        for protocol in ["range", "best"] {
            let Command::Sync(mut sync) = syncing(member, epoch, &[]) else { unreachable!() };
            sync.protocol_name = Some(protocol.into());
            let told = world.ask::<SyncGroupResponse>(Command::Sync(sync));
            assert_eq!(told, Err(ErrorCode::RebalanceInProgress));
        }
    }
}

#[test]
fn operators_take_out_members_of_either_kind() {
    let (mut world, old, _) = joined_by_another();
    let static_one =
        ConsumerGroupHeartbeatRequest { instance_id: Some("one".into()), ..join("static") };
    assert_eq!(send(&mut world, static_one).error_code, 0);
    let member = |id: &str, instance: Option<&str>| MemberIdentity {
        member_id: id.into(),
        group_instance_id: instance.map(Text::from),
        ..MemberIdentity::default()
    };
    let members = vec![
        member("nobody", None),
        member("", Some("one")),
        member("", Some("two")),
        member("new", None),
        member("old", Some("one")),
    ];
    let request = LeaveGroupRequest { group_id: GROUP.into(), members, ..Default::default() };
    let answer: LeaveGroupResponse = world.ask(Command::Leave(request)).unwrap();
    let codes: Vec<ErrorCode> =
        answer.members.iter().map(|it| ErrorCode::from_code(it.error_code)).collect();
    let expected = [
        ErrorCode::UnknownMemberId,
        ErrorCode::None,
        ErrorCode::UnknownMemberId,
        ErrorCode::None,
        ErrorCode::FencedInstanceId,
    ];
    assert_eq!(codes, expected);
    let group = world.groups.classic(GROUP).expect("only the classic member is left");
    assert_eq!(group.state().name(), "PreparingRebalance");
    let joined: JoinGroupResponse = world.ask(join_consumer(&old, None, 5, &[])).unwrap();
    assert_eq!(joined.leader, old);
}
