//! The story: the broker is killed again and again while partitions move between members of a KIP-848
//! group that go on as if nothing had been. What it has answered is there when it is back: each
//! member is in the epoch it was told, no partition has two owners in an epoch, no offset moves
//! back, and when all is quiet the group is stable.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::ConsumerGroupDescribeRequest;

use crate::consumer_lab::Modern;
use crate::group_lab::{
    GROUP, Ledger, Offset, PATIENCE, await_coordinator, node_with, stable_within,
};
use crate::hostile_peers::Ends;
use crate::support::chance::Chance;
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::wire::Wire;

const PARTITIONS: i32 = 6;
const MEMBERS: usize = 4;
/// Far above what the machine may hold a member up: none is given up here.
const REBALANCE: Duration = Duration::from_secs(60);
/// Kills of a test run.
const ROUNDS: u64 = 6;

/// Nobody is given up while the broker is away.
const SETTINGS: [&str; 2] =
    ["group.consumer.session.timeout.ms=300000", "group.consumer.max.session.timeout.ms=300000"];

#[test]
fn what_a_kip_848_group_was_answered_survives_kills() {
    let mut chance = Chance::new();
    println!("group_killed_consumer: seed {}", chance.seed);
    let mut node = node_with(&SETTINGS, PARTITIONS);
    let ledger = Ledger::default();
    let kept = Offset::of(PARTITIONS);
    let mut members: Vec<Modern> =
        (0..MEMBERS).map(|number| Modern::new(&format!("member-{number}"))).collect();
    for round in 0..ROUNDS * crate::effort() {
        let stop = AtomicBool::new(false);
        let (before, committed) = (ledger.newest(), Offset::acked(&kept));
        thread::scope(|scope| {
            let ends = Ends(&stop);
            let life = Life { port: node.port(), kept: &kept, ledger: &ledger, stop: &stop };
            for (number, member) in members.iter_mut().enumerate() {
                let chance = Chance::of(chance.below(u64::MAX));
                scope.spawn(move || {
                    // The kill ends it with an error of the connection.
                    let _ = life.live(member, number == 0, chance);
                });
            }
            eventually("epochs and commits go on", PATIENCE, || {
                let commits = Offset::acked(&kept) > committed + 20;
                (ledger.newest() > before + 2 && commits).then_some(())
            });
            thread::sleep(Duration::from_millis(chance.below(150))); // any moment will do
            node.kill();
            drop(ends);
        });
        node.restart();
        await_coordinator(&node);
        let found = Offset::survived(&kept, &node);
        let epochs: Vec<i32> = members.iter().map(|member| member.epoch).collect();
        println!("group_killed_consumer: round {round}, epochs {epochs:?}, offsets {found:?}");
        for member in &mut members {
            let code = beat(&node, member, &ledger);
            assert_eq!(code, ErrorCode::None, "{member:?} was forgotten");
        }
    }
    settles(&node, &mut members, &ledger);
    assert!(!node.output().contains("panicked"), "{}", node.output());
}

fn beat(node: &Node, member: &mut Modern, ledger: &Ledger) -> ErrorCode {
    let mut wire = Wire::connect(node.port()).unwrap();
    member.beat(&mut wire, timeout_ms(), ledger).unwrap()
}

fn timeout_ms() -> i32 {
    i32::try_from(REBALANCE.as_millis()).unwrap()
}

/// When nobody comes or goes any more, all are in one epoch and share all partitions.
fn settles(node: &Node, members: &mut [Modern], ledger: &Ledger) {
    let request =
        ConsumerGroupDescribeRequest { group_ids: vec![GROUP.into()], ..Default::default() };
    eventually("the group is stable", stable_within(REBALANCE), || {
        for member in members.iter_mut() {
            assert_eq!(beat(node, member, ledger), ErrorCode::None);
        }
        let mut wire = Wire::connect(node.port()).unwrap();
        let group = wire.ask(1, &request).unwrap().groups.remove(0);
        let mut owned: Vec<i32> = members.iter().flat_map(|member| member.owned.clone()).collect();
        owned.sort_unstable();
        let all = owned == (0..PARTITIONS).collect::<Vec<_>>();
        let one = members.iter().all(|member| member.epoch == group.group_epoch);
        (all && one && &*group.group_state == "Stable").then_some(())
    });
}

/// What all members share.
#[derive(Clone, Copy)]
struct Life<'a> {
    port: u16,
    kept: &'a [Offset],
    ledger: &'a Ledger,
    stop: &'a AtomicBool,
}

impl Life<'_> {
    /// A member that commits what it owns, and, when it `churns`, leaves again and again.
    fn live(self, member: &mut Modern, churns: bool, mut chance: Chance) -> io::Result<()> {
        let mut wire = Wire::connect(self.port)?;
        while !self.stop.load(Ordering::SeqCst) {
            let code = member.beat(&mut wire, timeout_ms(), self.ledger)?;
            assert_eq!(code, ErrorCode::None, "{member:?}");
            for partition in member.owned.clone() {
                let commit = |next| member.commit(&mut wire, partition, next);
                Offset::commit_next(self.kept, partition, commit)?;
            }
            if churns && chance.below(5) == 0 {
                member.leave(&mut wire)?;
            }
            thread::sleep(Duration::from_millis(5)); // its own pace
        }
        Ok(())
    }
}
