//! The story: the broker is killed again and again while members come, go and commit. What it has
//! answered is there when it is back: no offset moves back, and no generation is given twice.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::JoinGroupRequest;

use crate::group_lab::{
    Ledger, Member, Offset, await_coordinator, check_passing, join_request, node_with,
    stable_within,
};
use crate::hostile_peers::Ends;
use crate::support::chance::Chance;
use crate::support::eventually;

const PARTITIONS: i32 = 4;
const MEMBERS: usize = 4;
const REBALANCE: Duration = Duration::from_millis(1_500);
/// Kills of a test run.
const ROUNDS: u64 = 6;

#[test]
fn what_groups_were_answered_survives_kills() {
    let mut chance = Chance::new();
    println!("group_killed: seed {}", chance.seed);
    let mut node = node_with(&["group.initial.rebalance.delay.ms=20"], PARTITIONS);
    let ledger = Ledger::default();
    let kept = Offset::of(PARTITIONS);
    for round in 0..ROUNDS * crate::effort() {
        let stop = AtomicBool::new(false);
        let before = ledger.newest();
        thread::scope(|scope| {
            let ends = Ends(&stop);
            for number in 0..MEMBERS {
                let (kept, ledger, stop, port) = (&kept, &ledger, &stop, node.port());
                let seed = chance.below(u64::MAX);
                scope.spawn(move || {
                    // The kill ends it with an error of the connection.
                    let churns = number == 0;
                    let _ = live(port, Chance::of(seed), churns, kept, ledger, stop);
                });
            }
            let committed = Offset::acked(&kept);
            // Those of the round before were killed with the node: their sessions end first.
            eventually("generations and commits go on", stable_within(REBALANCE), || {
                let commits = Offset::acked(&kept) > committed + 20;
                (ledger.newest() > before + 1 && commits).then_some(())
            });
            thread::sleep(Duration::from_millis(chance.below(150))); // any moment will do
            node.kill();
            drop(ends);
        });
        node.restart();
        await_coordinator(&node);
        let found = Offset::survived(&kept, &node);
        println!("group_killed: round {round}, generation {}, offsets {found:?}", ledger.newest());
    }
    assert!(!node.output().contains("panicked"), "{}", node.output());
}

/// A member that commits what it owns, and, when it `churns`, leaves again and again.
fn live(
    port: u16,
    mut chance: Chance,
    churns: bool,
    kept: &[Offset],
    ledger: &Ledger,
    stop: &AtomicBool,
) -> io::Result<()> {
    let request = |id: &str| JoinGroupRequest {
        session_timeout_ms: 1_500,
        rebalance_timeout_ms: i32::try_from(REBALANCE.as_millis()).unwrap(),
        ..join_request(id)
    };
    let mut member = Member::new(port)?;
    while !stop.load(Ordering::SeqCst) {
        member.enter(request, PARTITIONS, ledger)?;
        let until = if churns { 1 + chance.below(10) } else { u64::MAX };
        for _ in 0..until {
            if stop.load(Ordering::SeqCst) || member.commit_all(kept)? != ErrorCode::None {
                break;
            }
            let code = member.heartbeat()?;
            check_passing(code);
            if code != ErrorCode::None {
                break;
            }
        }
        if churns && !member.id.is_empty() {
            member.leave()?;
        }
    }
    Ok(())
}
