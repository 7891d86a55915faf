//! The client's member of a group: rebalances lose nothing and repeat nothing that was committed.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use duramen_client::consumer::group::{
    Assignor, GroupConsumer, GroupEvent, GroupOptions, GroupProtocol, Pattern,
};
use duramen_client::consumer::{Start, TopicPartition};
use duramen_protocol::error::ErrorCode;
use futures_core::Stream;
use tokio::time::timeout;

use crate::lab::{BOTH, Lab, PATIENCE, Reader, number, numbers, of, step_either, until_own};
use crate::support::chance::Chance;

fn sorted(all: &[&[u32]]) -> Vec<u32> {
    let mut all = all.concat();
    all.sort_unstable();
    all
}

/// A member of a classic group that shares out in one of these ways.
fn classic(assignors: &[Assignor]) -> GroupOptions {
    of(GroupProtocol::Classic).assignors(assignors.to_vec())
}

async fn come_and_go(options: GroupOptions) {
    let lab = Lab::start();
    lab.topic("t", 6).await;
    lab.write("t", 6, 0..600).await;
    let mut first = lab.member(options.clone(), "t");
    first.until_seen(600).await;
    assert_eq!(first.owned.len(), 6);

    let mut second = lab.member(options, "t");
    until_own(&mut first, &mut second, (3, 3)).await;
    lab.write("t", 6, 600..1200).await;
    tokio::join!(first.until_seen(900), second.until_seen(300));
    assert_eq!(sorted(&[&first.seen, &second.seen]), (0..1200).collect::<Vec<_>>());

    first.consumer.close().await.unwrap();
    second.until_owns(6).await;
    lab.write("t", 6, 1200..1800).await;
    second.until_seen(900).await;
    second.consumer.close().await.unwrap();
    let all = sorted(&[&first.seen, &second.seen]);
    assert_eq!(all, (0..1800).collect::<Vec<_>>(), "each once: all was committed on the way");
    let committed = lab.committed("g").await;
    assert_eq!(committed.values().copied().collect::<Vec<_>>(), [300; 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_with_range() {
    come_and_go(classic(&[Assignor::Range])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_with_sticky() {
    come_and_go(classic(&[Assignor::Sticky])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_with_cooperative_sticky() {
    come_and_go(classic(&[Assignor::CooperativeSticky])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_where_the_broker_assigns() {
    for assignor in [None, Some("uniform"), Some("range")] {
        let mut options = of(GroupProtocol::Consumer);
        options.server_assignor = assignor.map(Into::into);
        come_and_go(options).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_committed_is_read_again_and_what_is_committed_is_not() {
    for protocol in BOTH {
        goes_on_where_it_committed(protocol).await;
    }
}

async fn goes_on_where_it_committed(protocol: GroupProtocol) {
    let lab = Lab::start();
    lab.topic("t", 1).await;
    lab.write("t", 1, 0..10).await;
    let options = of(protocol).auto_commit(None);
    let mut member = lab.member(options.clone(), "t");
    member.until_seen(10).await;
    member.consumer.dealt_with_up_to(4);
    member.consumer.commit().await.unwrap();
    assert_eq!(lab.committed("g").await.into_values().collect::<Vec<_>>(), [4]);
    drop(member);

    let mut member = lab.member(options.clone(), "t");
    member.until_seen(6).await;
    assert_eq!(member.seen, (4..10).collect::<Vec<_>>());
    member.consumer.close().await.unwrap();
    assert_eq!(lab.committed("g").await.into_values().collect::<Vec<_>>(), [4], "not by itself");

    let other = GroupOptions::new("other").protocol(protocol).start(Some(Start::Latest));
    let mut member = lab.member(other, "t");
    member.until_owns(1).await;
    lab.write("t", 1, 10..12).await;
    member.until_seen(2).await;
    assert_eq!(member.seen, [10, 11], "another group stands elsewhere");
    member.consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_that_comes_back_gets_its_place_without_a_rebalance() {
    for protocol in BOTH {
        comes_back_to_its_place(protocol).await;
    }
}

async fn comes_back_to_its_place(protocol: GroupProtocol) {
    let lab = Lab::start();
    lab.topic("t", 4).await;
    let named = |instance: &str| of(protocol).instance(instance);
    let mut one = lab.member(named("one"), "t");
    one.until_owns(4).await;
    let mut two = lab.member(named("two"), "t");
    until_own(&mut one, &mut two, (2, 2)).await;
    let had: Vec<TopicPartition> = two.owned.clone();
    two.consumer.close().await.unwrap();
    let mut two = lab.member(named("two"), "t");
    two.until_owns(2).await;
    assert_eq!(two.owned, had);
    let quiet = timeout(Duration::from_secs(4), one.step()).await;
    assert!(quiet.is_err(), "the other member was not disturbed: {quiet:?}");

    if protocol == GroupProtocol::Consumer {
        // The place is free when it is left, and not before.
        let hasty = Duration::from_secs(1);
        let early = named("two").session_timeout(hasty);
        let early = lab.member(early, "t").consumer.next().await.unwrap().unwrap_err();
        assert_eq!(early.code(), Some(ErrorCode::UnreleasedInstanceId), "{early}");
        return;
    }
    // Another under the same name takes the place; the first is told so.
    let mut usurper = lab.member(named("two"), "t");
    usurper.until_owns(2).await;
    let told = timeout(PATIENCE, async {
        loop {
            match two.consumer.next().await {
                Some(Ok(_)) => {}
                end => return end,
            }
        }
    });
    let error = told.await.unwrap().expect("an error").expect_err("fenced");
    assert_eq!(error.remedy(), duramen_client::Remedy::Fenced, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_user_does_not_come_gives_its_place_to_others() {
    for protocol in BOTH {
        is_quiet_too_long(protocol).await;
    }
}

async fn is_quiet_too_long(protocol: GroupProtocol) {
    let lab = Lab::start();
    lab.topic("t", 2).await;
    lab.write("t", 2, 0..20).await;
    let slow = of(protocol).max_poll_interval(Duration::from_secs(2)).auto_commit(None);
    let mut slow_member = lab.member(slow, "t");
    slow_member.until_seen(20).await;
    // The user is elsewhere; another member gets all, and what was read is read again.
    let mut other = lab.member(of(protocol), "t");
    other.until_seen(20).await;
    assert_eq!(other.owned.len(), 2);
    assert!(slow_member.consumer.commit().await.is_err(), "it has no place any more");
    let (event, ()) = tokio::join!(slow_member.step(), async {
        other.consumer.commit().await.unwrap();
    });
    assert!(matches!(event, GroupEvent::Revoked(_) | GroupEvent::Lost(_)), "{event:?}");
    until_own(&mut slow_member, &mut other, (1, 1)).await;
    assert_eq!(other.seen.len(), 20);
}

/// A wait for the next record that was given up, as in `select!`, holds no place for ever: who is called by a
/// record and does not come gives it up.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_asked_any_more_gives_its_place_up() {
    for protocol in BOTH {
        let lab = Lab::start();
        lab.topic("t", 1).await;
        let options = of(protocol).max_poll_interval(Duration::from_secs(2)).auto_commit(None);
        let mut member = GroupConsumer::join(&lab.cluster, options, "t").unwrap();
        let tick = Duration::from_millis(50);
        while member.positions().is_empty() {
            let next = poll_fn(|cx| Pin::new(&mut member).poll_next(cx));
            assert!(timeout(tick, next).await.is_err(), "there are no records");
        }
        lab.write("t", 1, 0..10).await;
        let left = timeout(PATIENCE, async {
            loop {
                let described = lab.admin.describe_groups(&["g".into()]).await.unwrap();
                if described.into_iter().all(|it| !it.result.unwrap().is_live()) {
                    break;
                }
                tokio::time::sleep(tick).await;
            }
        });
        assert!(left.await.is_ok(), "{protocol:?}: it holds its place");
        let mut want = 0;
        while want < 10 {
            let next = timeout(PATIENCE, poll_fn(|cx| Pin::new(&mut member).poll_next(cx)));
            let came = number(&next.await.expect("in time").unwrap().unwrap());
            // This machine may let the user come late once more: nothing is committed.
            assert!(came == want || came == 0, "{came}, not {want}");
            want = came + 1;
        }
        member.close().await.unwrap();
    }
}

/// A broker, and a client that looks for topics each second.
fn curious() -> Lab {
    let lab = Lab::start();
    let cluster =
        duramen_client::ClusterOptions::default().metadata_max_age(Duration::from_secs(1));
    let cluster = duramen_client::Cluster::new(&lab.node.bootstrap(), cluster).unwrap();
    Lab { cluster, ..lab }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_grows_is_read_whole() {
    for protocol in BOTH {
        grows(protocol).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_reads_the_topics_that_match_also_those_that_come_later() {
    for protocol in BOTH {
        reads_a_pattern(protocol).await;
    }
}

async fn reads_a_pattern(protocol: GroupProtocol) {
    let lab = curious();
    for (name, partitions) in [("orders-1", 1), ("orders-2", 2), ("old-orders-3", 3)] {
        lab.topic(name, partitions).await;
    }
    let mut one = lab.member(of(protocol), Pattern::new("orders-.").unwrap());
    one.until_owns(3).await;
    let mut two = lab.member(of(protocol), Pattern::new("orders-.").unwrap());
    while one.owned.len() + two.owned.len() != 3 || one.owned.len().abs_diff(two.owned.len()) != 1 {
        step_either(&mut one, &mut two).await;
    }
    lab.topic("orders-4", 3).await;
    while one.owned.len() + two.owned.len() != 6 {
        step_either(&mut one, &mut two).await;
    }
    lab.write("orders-4", 3, 0..30).await;
    while one.seen.len() + two.seen.len() < 30 {
        step_either(&mut one, &mut two).await;
    }
    two.consumer.close().await.unwrap();
    one.until_owns(6).await;
    // Names take the place of the pattern.
    one.consumer.subscribe(["old-orders-3"]);
    let wanted = |at: &TopicPartition| at.topic == "old-orders-3";
    while one.owned.len() != 3 || !one.owned.iter().all(wanted) {
        one.step().await;
    }
    one.consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_either_kind_joins_the_group_as_what_it_is() {
    let lab = Lab::with("group.consumer.migration.policy=disabled");
    lab.topic("t", 2).await;
    let mut classic = lab.member(of(GroupProtocol::Classic), "t");
    classic.until_owns(2).await;
    let mut either = lab.member(of(GroupProtocol::Auto), "t");
    until_own(&mut classic, &mut either, (1, 1)).await;
    if !lab.node.is_reference() {
        let mut other = lab.member(of(GroupProtocol::Consumer), "t");
        let error = timeout(PATIENCE, other.consumer.next()).await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::GroupIdNotFound), "{error}");
    }
    assert_eq!(kind(&lab).await, "classic");
    classic.consumer.close().await.unwrap();
    either.until_owns(2).await;
    either.consumer.close().await.unwrap();
    // An empty group takes either, and a member that may choose lets the broker assign.
    let mut either = lab.member(of(GroupProtocol::Auto), "t");
    either.until_owns(2).await;
    assert_eq!(kind(&lab).await, "consumer");
    either.consumer.close().await.unwrap();
}

async fn kind(lab: &Lab) -> String {
    let groups = lab.admin.list_groups(&[], &[]).await.unwrap().complete().unwrap();
    groups[0].kind.to_ascii_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_group_goes_over_to_the_other_protocol_and_back() {
    let lab = Lab::start();
    lab.topic("t", 2).await;
    let mut classic = lab.member(of(GroupProtocol::Classic), "t");
    classic.until_owns(2).await;
    let mut new = lab.member(of(GroupProtocol::Auto), "t");
    until_own(&mut classic, &mut new, (1, 1)).await;
    assert_eq!(kind(&lab).await, "consumer");
    classic.consumer.close().await.unwrap();
    new.until_owns(2).await;
    let mut classic = lab.member(of(GroupProtocol::Classic), "t");
    until_own(&mut classic, &mut new, (1, 1)).await;
    new.consumer.close().await.unwrap();
    classic.until_owns(2).await;
    assert_eq!(kind(&lab).await, "classic");
    classic.consumer.close().await.unwrap();
}

async fn grows(protocol: GroupProtocol) {
    let lab = curious();
    lab.topic("t", 1).await;
    let mut member = lab.member(of(protocol), "t");
    member.until_owns(1).await;
    let grown = lab.admin.create_partitions(&[("t".into(), 3)], false).await.unwrap();
    grown.into_iter().for_each(|outcome| outcome.result.unwrap());
    member.until_owns(3).await;
    member.consumer.close().await.unwrap();
}

/// The broker is killed again and again while members read: what was committed stays, nothing is left
/// out, and the group is whole again.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_costs_neither_records_nor_the_group() {
    for protocol in BOTH {
        outlive_their_broker(protocol).await;
    }
}

async fn outlive_their_broker(protocol: GroupProtocol) {
    let mut lab = Lab::start();
    lab.topic("t", 4).await;
    lab.write("t", 4, 0..400).await;
    let options = of(protocol)
        .heartbeat(Duration::from_millis(300))
        .auto_commit(Some(Duration::from_millis(100)));
    let mut one = lab.member(options.clone(), "t");
    let mut two = lab.member(options, "t");
    until_own(&mut one, &mut two, (2, 2)).await;
    let mut committed = lab.committed("g").await;
    for round in 1..4 {
        lab.node.kill();
        lab.node.restart();
        let now = lab.committed("g").await;
        for (at, offset) in &committed {
            assert!(now.get(at) >= Some(offset), "{at} moved back from {offset}: {now:?}");
        }
        lab.write("t", 4, 400 * round..400 * (round + 1)).await;
        let end = 400 * (usize::try_from(round).unwrap() + 1);
        let distinct = |one: &[u32], two: &[u32]| {
            one.iter().chain(two).collect::<std::collections::BTreeSet<_>>().len()
        };
        while distinct(&one.seen, &two.seen) < end {
            step_either(&mut one, &mut two).await;
        }
        committed = now;
    }
    until_own(&mut one, &mut two, (2, 2)).await;
    one.consumer.close().await.unwrap();
    two.consumer.close().await.unwrap();
    assert_eq!(lab.committed("g").await.into_values().collect::<Vec<_>>(), [400; 4]);
}

/// Members come and go at random while records are written: each record comes to one member, once.
async fn crowd(options: GroupOptions, seed: u64) {
    const PARTITIONS: i32 = 12;
    const ROUNDS: u32 = 5;
    const RECORDS: u32 = 600;
    let lab = Lab::start();
    lab.topic("t", PARTITIONS).await;
    let options = options.heartbeat(Duration::from_millis(100));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut chance = Chance::of(seed);
    let mut members: Vec<Running> = Vec::new();
    for round in 0..ROUNDS {
        while members.len() > 1 && chance.below(2) == 0 {
            let gone =
                members.swap_remove(usize::try_from(chance.below(members.len() as u64)).unwrap());
            gone.stop().await;
        }
        for _ in 0..=chance.below(3) {
            members.push(Running::start(lab.member(options.clone(), "t"), Arc::clone(&seen)));
        }
        lab.write("t", PARTITIONS, round * RECORDS..(round + 1) * RECORDS).await;
        if chance.below(2) == 0 {
            continue;
        }
        let want = usize::try_from((round + 1) * RECORDS).unwrap();
        reached(&seen, want).await;
    }
    reached(&seen, usize::try_from(ROUNDS * RECORDS).unwrap()).await;
    for member in members {
        member.stop().await;
    }
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_unstable();
    assert_eq!(seen, (0..ROUNDS * RECORDS).collect::<Vec<_>>(), "seed {seed}");
    let committed = lab.committed("g").await;
    let each = i64::from(ROUNDS * RECORDS) / i64::from(PARTITIONS);
    assert!(committed.values().all(|offset| *offset == each), "{committed:?}");
}

async fn reached(seen: &Mutex<Vec<u32>>, want: usize) {
    let reached = timeout(PATIENCE, async {
        while seen.lock().unwrap().len() < want {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(reached.await.is_ok(), "{} of {want}", seen.lock().unwrap().len());
}

/// A member that reads in a task of its own until it is stopped.
struct Running {
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(mut member: Reader, seen: Arc<Mutex<Vec<u32>>>) -> Self {
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = member.consumer.next() => match event.unwrap().unwrap() {
                        GroupEvent::Records(fetched) => seen.lock().unwrap().extend(numbers(&fetched)),
                        GroupEvent::Lost(gone) => panic!("lost {gone:?}"),
                        _ => {}
                    },
                    _ = &mut stopped => break,
                }
            }
            member.consumer.close().await.unwrap();
        });
        Self { stop, task }
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        timeout(PATIENCE, self.task).await.expect("it leaves in time").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_comes_and_goes_reads_each_record_once() {
    for seed in 0..2 {
        crowd(classic(&[Assignor::Range]), seed).await;
        crowd(classic(&[Assignor::Sticky]), seed).await;
        crowd(classic(&[Assignor::CooperativeSticky]), seed).await;
        crowd(classic(&[Assignor::RoundRobin, Assignor::CooperativeSticky]), seed).await;
        crowd(of(GroupProtocol::Consumer), seed).await;
    }
}
