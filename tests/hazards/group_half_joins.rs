//! The story: ten thousand clients ask to join a group and never come back: on one connection and on
//! many, with an id that was given to them and without. Little is kept of them, and the group is
//! stable again when their time to join has run out.

use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::{DescribeGroupsRequest, JoinGroupRequest};

use crate::group_lab::{
    GROUP, JOIN, Ledger, Member, check_passing, error, join_request, node_with, protocol,
    stable_within,
};
use crate::hostile_peers::{anonymous_kib, metric};
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::wire::Wire;

const HALF_JOINS: usize = 10_000;
const CONNECTIONS: usize = 500;
/// What all of them together may make the node hold.
const MEMORY_MAX_KIB: u64 = 96 << 10;
/// Everyone's rebalance timeout.
const REBALANCE: Duration = Duration::from_secs(1);
/// The newest version that does not have a new member come back with its id.
const NO_ID: i16 = 3;

fn half(id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        session_timeout_ms: 1_000,
        rebalance_timeout_ms: i32::try_from(REBALANCE.as_millis()).unwrap(),
        protocols: vec![protocol("range", &[7; 1_000])],
        ..join_request(id)
    }
}

#[test]
fn ids_that_are_never_used_cost_little_and_hold_nobody_up() {
    let node = node_with(&["group.initial.rebalance.delay.ms=0"], 1);
    let (mut good, ledger) = alone(&node);
    let rebalances = metric(&node, "duramen_group_rebalances_total");
    let before = anonymous_kib(&node);
    let mut one = Wire::connect(node.port()).unwrap();
    for _ in 0..HALF_JOINS / 2 {
        promised(&mut one);
    }
    let mut many: Vec<_> = (0..CONNECTIONS).map(|_| Wire::connect(node.port()).unwrap()).collect();
    for _ in 0..HALF_JOINS / 2 / CONNECTIONS {
        many.iter_mut().for_each(promised);
    }
    told(&node, before, "ids");
    drop((one, many));
    stable(&node, &mut good, &ledger);
    // Ids run out after a second; whoever is in the group is not called for that.
    thread::sleep(Duration::from_millis(2_500));
    assert_eq!(good.heartbeat().unwrap(), ErrorCode::None);
    assert_eq!(metric(&node, "duramen_group_rebalances_total"), rebalances);
}

#[test]
fn members_that_never_come_back_are_gone_in_time() {
    let node = node_with(&["group.initial.rebalance.delay.ms=0"], 1);
    let (mut good, ledger) = alone(&node);
    let before = anonymous_kib(&node);
    // Those on one connection wait behind the first of them.
    let mut one = Wire::connect(node.port()).unwrap();
    one.set_write_timeout(Duration::from_millis(300));
    let pipelined = (0..HALF_JOINS).take_while(|_| one.send(NO_ID, &half("")).is_ok()).count();
    let many: Vec<_> = (0..CONNECTIONS)
        .map(|at| {
            let mut wire = Wire::connect(node.port()).unwrap();
            let sent = wire.send(NO_ID, &half("")).and_then(|_| wire.send(NO_ID, &half("")));
            sent.unwrap();
            // Some are gone at once, some stay and say nothing.
            if at % 2 == 0 {
                wire.shutdown(Shutdown::Both);
            }
            wire
        })
        .collect();
    told(&node, before, &format!("members, {pipelined} on one connection"));
    stable(&node, &mut good, &ledger);
    drop((one, many));
    stable(&node, &mut good, &ledger);
}

/// The member that was there before.
fn alone(node: &Node) -> (Member, Ledger) {
    let ledger = Ledger::default();
    let mut good = Member::new(node.port()).unwrap();
    good.enter(patient, 1, &ledger).unwrap();
    assert_eq!(good.owned, [0]);
    (good, ledger)
}

/// Its session does not run out while the test does other things.
fn patient(id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        session_timeout_ms: 300_000,
        rebalance_timeout_ms: i32::try_from(REBALANCE.as_millis()).unwrap(),
        ..join_request(id)
    }
}

fn promised(wire: &mut Wire) {
    let answer = wire.ask(JOIN, &half("")).unwrap();
    assert_eq!(error(answer.error_code), ErrorCode::MemberIdRequired);
}

fn told(node: &Node, before: u64, what: &str) {
    let now = anonymous_kib(node);
    println!("group_half_joins: {what}: {before} KiB before, {now} KiB after");
    assert!(now < before + MEMORY_MAX_KIB, "{before} KiB before, {now} KiB after");
    assert!(!node.output().contains("panicked"), "{}", node.output());
}

/// Waits until the good member is alone in a stable group, doing what a member does.
fn stable(node: &Node, good: &mut Member, ledger: &Ledger) {
    let mut wire = Wire::connect(node.port()).unwrap();
    let request = DescribeGroupsRequest { groups: vec![GROUP.into()], ..Default::default() };
    eventually("the group is stable with its one member", stable_within(REBALANCE), || {
        let code = good.heartbeat().unwrap();
        check_passing(code);
        if code != ErrorCode::None {
            good.enter(patient, 1, ledger).unwrap();
        }
        let group = wire.ask(5, &request).unwrap().groups.remove(0);
        (&*group.group_state == "Stable" && group.members.len() == 1).then_some(())
    });
    assert_eq!(good.owned, [0]);
}
