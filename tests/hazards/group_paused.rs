//! The story: a member stops for longer than its session, as a process that was suspended does, and
//! goes on as if nothing had been. Others have its partitions by then; what it still sends is refused,
//! and it comes back as a member among others.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::JoinGroupRequest;

use crate::group_lab::{
    JOIN, Ledger, Member, PATIENCE, check_passing, join_request, node_with, offsets,
    patient_request, stable_within,
};
use crate::support::eventually;
use crate::support::wire::Wire;

const PARTITIONS: i32 = 6;
const MEMBERS: usize = 3;
const SESSION_MS: i32 = 1_000;
/// What `join_request` asks for.
const REBALANCE: Duration = Duration::from_secs(5);

#[test]
fn what_a_member_may_commit_follows_its_generation() {
    let node = node_with(&["group.initial.rebalance.delay.ms=0"], PARTITIONS);
    let ledger = Ledger::default();
    let mut first = Member::new(node.port()).unwrap();
    first.enter(patient_request, PARTITIONS, &ledger).unwrap();
    assert_eq!(first.owned.len(), 6);
    assert_eq!(first.commit(0, 10).unwrap(), ErrorCode::None);
    let mut second = Member::new(node.port()).unwrap();
    let promised = second.wire.ask(JOIN, &patient_request("")).unwrap();
    second.id = promised.member_id;
    let waiting = second.wire.send(JOIN, &patient_request(&second.id)).unwrap();
    eventually("the first hears of it", PATIENCE, || {
        (first.heartbeat().unwrap() == ErrorCode::RebalanceInProgress).then_some(())
    });
    // Before it joins again it still owns what it had.
    assert_eq!(first.commit(0, 11).unwrap(), ErrorCode::None);
    let old = first.generation;
    let joined = first.join(patient_request).unwrap();
    let other = second.wire.receive::<JoinGroupRequest>(JOIN, waiting);
    let other = other.unwrap();
    second.took(&other);
    assert_eq!((first.generation, second.generation), (old + 1, old + 1));
    assert_eq!(first.commit(0, 12).unwrap(), ErrorCode::RebalanceInProgress);
    first.generation = old;
    assert_eq!(first.commit(0, 13).unwrap(), ErrorCode::IllegalGeneration);
    assert_eq!(first.heartbeat().unwrap(), ErrorCode::IllegalGeneration);
    first.generation = old + 1;
    let (mut leader, mut follower) = match joined.leader == first.id {
        true => ((first, joined), (second, other)),
        false => ((second, other), (first, joined)),
    };
    for (member, joined) in [&mut leader, &mut follower] {
        assert_eq!(member.sync(joined, PARTITIONS, &ledger).unwrap(), ErrorCode::None);
        assert_eq!(member.owned.len(), 3);
        assert_eq!(member.commit(member.owned[0], 14).unwrap(), ErrorCode::None);
        member.id = "someone-else".into();
        assert_eq!(member.commit(member.owned[0], 15).unwrap(), ErrorCode::UnknownMemberId);
    }
    assert_eq!(offsets(&mut Wire::connect(node.port()).unwrap(), 1), Ok(vec![14]));
}

/// What one member and the test share.
#[derive(Default)]
struct Switch {
    paused: AtomicBool,
    /// How often it has stood still.
    stopped: AtomicU64,
    /// The generation in which it did so last.
    generation: AtomicI32,
    /// How often it then saw itself refused.
    refused: AtomicU64,
}

#[test]
fn a_paused_member_owns_nothing_and_comes_back() {
    let node = node_with(&["group.initial.rebalance.delay.ms=100"], PARTITIONS);
    let ledger = Ledger::default();
    let switches: Vec<Switch> = (0..MEMBERS).map(|_| Switch::default()).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let ends = crate::hostile_peers::Ends(&stop);
        for switch in &switches {
            scope.spawn(|| live(node.port(), switch, &stop, &ledger));
        }
        all_told(&ledger, 0);
        for round in 0..2 + crate::effort() {
            let one = &switches[usize::try_from(round).unwrap() % MEMBERS];
            one.paused.store(true, Ordering::SeqCst);
            eventually("it stands still", PATIENCE, || {
                (one.stopped.load(Ordering::SeqCst) > one.refused.load(Ordering::SeqCst))
                    .then_some(())
            });
            // It is not in the one behind its own, which may have come before this is looked at.
            all_told(&ledger, one.generation.load(Ordering::SeqCst));
            let without = ledger.newest();
            one.paused.store(false, Ordering::SeqCst);
            eventually("what it sends late is refused", PATIENCE, || {
                (one.stopped.load(Ordering::SeqCst) == one.refused.load(Ordering::SeqCst))
                    .then_some(())
            });
            all_told(&ledger, without);
        }
        drop(ends);
    });
    assert!(!node.output().contains("panicked"), "{}", node.output());
}

/// Waits for a generation after `before` in which every partition has its owner.
fn all_told(ledger: &Ledger, before: i32) {
    eventually("every partition has an owner", stable_within(REBALANCE), || {
        let newest = ledger.newest();
        (newest > before && ledger.told_in(newest) == 6).then_some(())
    });
}

fn live(port: u16, switch: &Switch, stop: &AtomicBool, ledger: &Ledger) {
    let request = |id: &str| {
        let mut request = join_request(id);
        request.session_timeout_ms = SESSION_MS;
        request
    };
    let mut member = Member::new(port).unwrap();
    while !stop.load(Ordering::SeqCst) {
        member.enter(request, PARTITIONS, ledger).unwrap();
        while !stop.load(Ordering::SeqCst) {
            if switch.paused.load(Ordering::SeqCst) {
                stand_still(&mut member, switch, stop);
                break;
            }
            let code = member.heartbeat().unwrap();
            check_passing(code);
            if code != ErrorCode::None {
                break;
            }
            thread::sleep(Duration::from_millis(50)); // its own pace
        }
    }
}

/// As SIGSTOP does it, then SIGCONT.
fn stand_still(member: &mut Member, switch: &Switch, stop: &AtomicBool) {
    switch.generation.store(member.generation, Ordering::SeqCst);
    switch.stopped.fetch_add(1, Ordering::SeqCst);
    while switch.paused.load(Ordering::SeqCst) && !stop.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(5));
    }
    if stop.load(Ordering::SeqCst) {
        return;
    }
    let code = member.commit(0, -7).unwrap();
    assert_eq!(code, ErrorCode::UnknownMemberId, "a commit of a member that was given up");
    let code = member.heartbeat().unwrap();
    assert_eq!(code, ErrorCode::UnknownMemberId);
    switch.refused.fetch_add(1, Ordering::SeqCst);
}
