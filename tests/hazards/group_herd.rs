//! The story: a thousand members of one group start at the same moment. They come to rest in one
//! generation after few rebalances, each partition with one owner.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;

use crate::group_lab::{Ledger, Member, check_passing, join_request, node_with};
use crate::hostile_peers::{Ends, metric};
use crate::support::eventually;

const MEMBERS: usize = 1_000;
/// Rebalances that a machine with much else to do may need.
const REBALANCES: u64 = 8;
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn a_thousand_members_at_once_come_to_rest() {
    let node = node_with(&["group.initial.rebalance.delay.ms=1000"], 1);
    let partitions = i32::try_from(MEMBERS).unwrap();
    let ledger = Ledger::default();
    let generations: Vec<AtomicI32> = (0..MEMBERS).map(|_| AtomicI32::new(-1)).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let ends = Ends(&stop);
        for mine in &generations {
            let (ledger, stop, port) = (&ledger, &stop, node.port());
            let member = move || live(port, partitions, mine, ledger, stop);
            thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, member).unwrap();
        }
        let generation = eventually("all are in one generation", PATIENCE, || {
            let newest = ledger.newest();
            let same = generations.iter().all(|it| it.load(Ordering::SeqCst) == newest);
            (newest > 0 && same).then_some(newest)
        });
        let rebalances = metric(&node, "duramen_group_rebalances_total");
        println!("group_herd: at rest in generation {generation} after {rebalances} rebalances");
        assert_eq!(ledger.told_in(generation), MEMBERS);
        assert!(rebalances <= REBALANCES, "{rebalances} rebalances");
        drop(ends);
    });
    assert!(!node.output().contains("panicked"), "{}", node.output());
}

fn live(port: u16, partitions: i32, mine: &AtomicI32, ledger: &Ledger, stop: &AtomicBool) {
    let request = |id: &str| {
        let mut request = join_request(id);
        request.session_timeout_ms = 60_000;
        request.rebalance_timeout_ms = 25_000;
        request
    };
    let mut member = Member::new(port).unwrap();
    while !stop.load(Ordering::SeqCst) {
        member.enter(request, partitions, ledger).unwrap();
        mine.store(member.generation, Ordering::SeqCst);
        while !stop.load(Ordering::SeqCst) {
            let code = member.heartbeat().unwrap();
            check_passing(code);
            if code != ErrorCode::None {
                break;
            }
            thread::sleep(Duration::from_millis(500)); // its own pace
        }
        mine.store(-1, Ordering::SeqCst);
    }
}
