//! The story: the broker is killed again and again while a group goes over to KIP-848 and back, because
//! a member of the new protocol comes and goes between classic ones. What it has answered is there
//! when it is back: no offset moves back, and in no generation or epoch a partition has two owners.
//! When nobody comes or goes any more, the group is stable, of the kind that its members are.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::ListGroupsRequest;

use crate::consumer_lab::Modern;
use crate::group_lab::{
    Ledger, Member, Offset, PATIENCE, await_coordinator, check_passing, join_request, node_with,
    patient_request, stable_within,
};
use crate::hostile_peers::Ends;
use crate::support::chance::Chance;
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::wire::Wire;

const PARTITIONS: i32 = 6;
/// Classic members; one of another kind comes and goes.
const MEMBERS: usize = 3;
/// What `join_request` asks for, as session too, for the member that leaves again and again: a classic group
/// forgets with the broker that one has left, until it has its next generation. The others are not given
/// up: a group that everyone has left begins again with its generations.
const REBALANCE: Duration = Duration::from_secs(5);
/// Kills of a test run.
const ROUNDS: u64 = 6;

/// The member of the new protocol is not given up while the broker is away.
const SETTINGS: [&str; 3] = [
    "group.initial.rebalance.delay.ms=20",
    "group.consumer.session.timeout.ms=300000",
    "group.consumer.max.session.timeout.ms=300000",
];

#[test]
fn what_a_group_that_changes_sides_was_answered_survives_kills() {
    let mut chance = Chance::new();
    println!("group_killed_mixed: seed {}", chance.seed);
    let mut node = node_with(&SETTINGS, PARTITIONS);
    let ledger = Ledger::default();
    let kept = Offset::of(PARTITIONS);
    let mut old: Vec<Member> = (0..MEMBERS).map(|_| Member::new(node.port()).unwrap()).collect();
    let mut new = Modern::new("new");
    let quiet = Life { port: node.port(), kept: &kept, ledger: &ledger, churns: false };
    // The group is there before the one comes that makes it another.
    quiet.until(&mut chance, &mut old, None, |_| rests(&node, &ledger, "classic"));
    for round in 0..ROUNDS * crate::effort() {
        let committed = Offset::acked(&kept);
        let life = Life { churns: true, ..quiet };
        life.until(&mut chance, &mut old, Some(&mut new), |chance| {
            await_turns(&node);
            let commits = || Offset::acked(&kept) > committed + 20;
            eventually("commits go on", PATIENCE, || commits().then_some(()));
            thread::sleep(Duration::from_millis(chance.below(150))); // any moment will do
            node.kill();
        });
        node.restart();
        await_coordinator(&node);
        let found = Offset::survived(&kept, &node);
        let newest = ledger.newest();
        println!("group_killed_mixed: round {round}, generation {newest}, offsets {found:?}");
    }
    // With all members, and then with the classic ones alone, it comes to rest.
    quiet.until(&mut chance, &mut old, Some(&mut new), |_| rests(&node, &ledger, "consumer"));
    assert_eq!(owned(&old, Some(&new)), (0..PARTITIONS).collect::<Vec<_>>());
    new.leave(&mut Wire::connect(node.port()).unwrap()).unwrap();
    quiet.until(&mut chance, &mut old, None, |_| rests(&node, &ledger, "classic"));
    assert_eq!(owned(&old, None), (0..PARTITIONS).collect::<Vec<_>>());
    assert!(!node.output().contains("panicked"), "{}", node.output());
}

/// Waits until the group was seen to go over to the other kind and back, twice.
fn await_turns(node: &Node) {
    let mut wire = Wire::connect(node.port()).unwrap();
    let (mut turns, mut before) = (0, kind(&mut wire).0);
    eventually("the group goes over and back", PATIENCE, || {
        let now = kind(&mut wire).0;
        turns += u32::from(now != before);
        before = now;
        (turns >= 4).then_some(())
    });
}

/// The group's type and state.
fn kind(wire: &mut Wire) -> (String, String) {
    let mut listed = wire.ask(5, &ListGroupsRequest::default()).unwrap().groups;
    let group = listed.pop().unwrap_or_default();
    (group.group_type.to_string(), group.group_state.to_string())
}

/// The group is stable, and every partition has its owner in its newest generation.
fn rests(node: &Node, ledger: &Ledger, wanted: &str) {
    let mut wire = Wire::connect(node.port()).unwrap();
    eventually("the group is stable", stable_within(REBALANCE), || {
        let stable = kind(&mut wire) == (wanted.to_owned(), "Stable".to_owned());
        let all = usize::try_from(PARTITIONS).unwrap();
        (stable && ledger.told_in(ledger.newest()) == all).then_some(())
    });
}

fn owned(old: &[Member], new: Option<&Modern>) -> Vec<i32> {
    let classic = old.iter().flat_map(|member| &member.owned);
    let mut owned: Vec<i32> = classic.chain(new.iter().flat_map(|it| &it.owned)).copied().collect();
    owned.sort_unstable();
    owned
}

/// What all members share.
#[derive(Clone, Copy)]
struct Life<'a> {
    port: u16,
    kept: &'a [Offset],
    ledger: &'a Ledger,
    /// Members come and go.
    churns: bool,
}

impl Life<'_> {
    /// Members live until `what` is over.
    fn until(
        self,
        chance: &mut Chance,
        old: &mut [Member],
        new: Option<&mut Modern>,
        what: impl FnOnce(&mut Chance),
    ) {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let ends = Ends(&stop);
            let stop = &stop;
            // A kill ends them with an error of the connection.
            for (number, member) in old.iter_mut().enumerate() {
                let chance = Chance::of(chance.below(u64::MAX));
                scope.spawn(move || drop(self.live(member, number == 0, chance, stop)));
            }
            if let Some(member) = new {
                let chance = Chance::of(chance.below(u64::MAX));
                scope.spawn(move || drop(self.live_new(member, chance, stop)));
            }
            what(chance);
            drop(ends);
        });
    }

    /// A classic member, which gives up all that it has before it joins again.
    fn live(
        self,
        member: &mut Member,
        leaves: bool,
        mut chance: Chance,
        stop: &AtomicBool,
    ) -> io::Result<()> {
        let request = if leaves { join_request } else { patient_request };
        member.wire = Wire::connect(self.port)?;
        while !stop.load(Ordering::SeqCst) {
            if member.owned.is_empty() {
                member.enter(request, PARTITIONS, self.ledger)?;
            }
            let mut code = member.commit_all(self.kept)?;
            if code == ErrorCode::None {
                code = member.heartbeat()?;
                check_passing(code);
            }
            if code != ErrorCode::None {
                member.owned.clear();
            } else if leaves && self.churns && chance.below(20) == 0 {
                member.leave()?;
            }
            thread::sleep(Duration::from_millis(2)); // its own pace
        }
        Ok(())
    }

    /// The member of the new protocol.
    fn live_new(
        self,
        member: &mut Modern,
        mut chance: Chance,
        stop: &AtomicBool,
    ) -> io::Result<()> {
        let mut wire = Wire::connect(self.port)?;
        while !stop.load(Ordering::SeqCst) {
            check_passing(member.beat(&mut wire, timeout_ms(), self.ledger)?);
            for partition in member.owned.clone() {
                let commit = |offset| member.commit(&mut wire, partition, offset);
                Offset::commit_next(self.kept, partition, commit)?;
            }
            if self.churns && chance.below(30) == 0 {
                member.leave(&mut wire)?;
                thread::sleep(Duration::from_millis(chance.below(200))); // the others are alone
            }
            thread::sleep(Duration::from_millis(5)); // its own pace
        }
        Ok(())
    }
}

/// The member of the new protocol is not given up either when the machine holds it up: it would not know.
fn timeout_ms() -> i32 {
    60_000
}
