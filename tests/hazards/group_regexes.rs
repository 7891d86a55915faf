//! The story: clients subscribe to regular expressions that nobody writes in good faith: megabytes long,
//! nested, of a million states, not regular at all; or to one that matches thousands of topics.
//! Each is told what is wrong with it, or costs little, and the other groups hear nothing of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use duramen_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use crate::consumer_lab::{BEAT, request};
use crate::group_lab::{PATIENCE, TOPIC, error, node_with};
use crate::hostile_peers::{Ends, anonymous_kib};
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::wire::Wire;

/// Topics beside the first, with names that are made to be hard to match: ten thousand with more effort,
/// and always on the simulated cluster of `src/coordinator/tests`.
fn topics() -> usize {
    usize::try_from(crate::effort().min(4)).unwrap() * 2_500
}

/// Connections that send hostile ones at the same time.
const HOSTILE: usize = 4;
/// What all of it together may make the node hold.
const MEMORY_MAX_KIB: u64 = 160 << 10;

fn join(group: &str, member: &str, regex: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: member.into(),
        rebalance_timeout_ms: 5_000,
        subscribed_topic_names: Some(Vec::new()),
        subscribed_topic_regex: Some(regex.into()),
        topic_partitions: Some(Vec::new()),
        ..request()
    }
}

fn partitions(answer: &ConsumerGroupHeartbeatResponse) -> usize {
    let topics = answer.assignment.iter().flat_map(|it| &it.topic_partitions);
    topics.map(|topic| topic.partitions.len()).sum()
}

/// What is refused, whatever topics there are.
fn refused() -> Vec<String> {
    vec![
        "(".to_owned(),
        "a)|(b".to_owned(),
        "*".to_owned(),
        "a{3,1}".to_owned(),
        r"(a+)+\1".to_owned(),
        "(?=a).*".to_owned(),
        "[z-a]".to_owned(),
        "(".repeat(200) + &")".repeat(200),
        "a{1000}{1000}{1000}".to_owned(),
        "((a{100}){100}){100}".to_owned(),
        "(?:(?:a?){100}){100}b".to_owned(),
        ".*a.{100}".to_owned(),
        "[a0-9]*a[a0-9]{200}[a0-9]*".to_owned(),
        "(?:[a-z0-9]*a[a-z0-9]{20}){10}".to_owned(),
        r"(?u)(?:\w|\s|\d){1,300}".to_owned(),
        "a|".repeat(2_000_000),
        "[".repeat(4_000_000),
        "[^a]".repeat(1_000_000),
        "(?:".repeat(1_000_000),
    ]
}

/// What backtracking engines never come to an end with.
const TAKEN: [&str; 5] =
    ["(a+)+b", "((((a*)*)*)*)*b", "(a|aa)+b", "(?:a?a?a?a?a?a?a?a?)aaaaaaaab", ".*.*.*.*.*=.*"];

#[test]
fn hostile_expressions_are_refused_or_cost_little() {
    let node = node_with(&[], 1);
    create_topics(&node);
    let before = anonymous_kib(&node);
    let stop = AtomicBool::new(false);
    let (beats, longest_ms) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let ends = Ends(&stop);
        // One in each partition of the offsets topic, some of them more.
        for group in ["good-a", "good-b", "good-c", "good-d"] {
            let (node, stop, beats, longest_ms) = (&node, &stop, &beats, &longest_ms);
            scope.spawn(move || live(node, group, stop, beats, longest_ms));
        }
        let attack = |number: usize| {
            let mut wire = Wire::connect(node.port()).unwrap();
            let group = format!("hostile-{number}");
            for (at, regex) in refused().iter().enumerate() {
                let answer = wire.ask(BEAT, &join(&group, "m", regex)).unwrap();
                let message = answer.error_message.unwrap_or_default();
                let shown = &regex[..regex.len().min(40)];
                let code = error(answer.error_code);
                assert_eq!(code, ErrorCode::InvalidRegularExpression, "{at} {shown}: {message}");
                assert!(message.len() < 300 && message.lines().count() == 1, "{shown}: {message}");
            }
            for regex in TAKEN {
                let answer = wire.ask(BEAT, &join(&group, "m", regex)).unwrap();
                assert_eq!((answer.error_code, partitions(&answer)), (0, 0), "{regex}");
            }
        };
        let attack_on = |number: usize| {
            eventually("the good ones are answered meanwhile", PATIENCE, || {
                attack(number);
                (beats.load(Ordering::SeqCst) > 20).then_some(())
            });
        };
        thread::scope(|scope| {
            (0..HOSTILE).for_each(|number| drop(scope.spawn(move || attack_on(number))));
        });
        drop(ends);
    });
    let now = anonymous_kib(&node);
    println!(
        "group_regexes: {before} KiB before, {now} KiB after; {} heartbeats of others, the longest {} ms",
        beats.into_inner(),
        longest_ms.into_inner()
    );
    assert!(now < before + MEMORY_MAX_KIB, "{before} KiB before, {now} KiB after");
    all_topics(&node);
    assert!(!node.output().contains("panicked"), "{}", node.output());
}

fn create_topics(node: &Node) {
    let mut wire = Wire::connect(node.port()).unwrap();
    for chunk in (0..topics()).collect::<Vec<_>>().chunks(1_000) {
        let topic = |number: &usize| CreatableTopic {
            name: format!("{}{number:05}", "a".repeat(28)).as_str().into(),
            num_partitions: 1,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let topics = chunk.iter().map(topic).collect();
        let request = CreateTopicsRequest { topics, timeout_ms: 60_000, ..Default::default() };
        let answer = wire.ask(7, &request).unwrap();
        assert!(answer.topics.iter().all(|topic| topic.error_code == 0), "{answer:?}");
    }
}

/// A member of a group of its own that is never given up.
fn live(node: &Node, group: &str, stop: &AtomicBool, beats: &AtomicU64, longest_ms: &AtomicU64) {
    let mut wire = Wire::connect(node.port()).unwrap();
    let mut epoch = 0;
    while !stop.load(Ordering::SeqCst) {
        let beat = ConsumerGroupHeartbeatRequest {
            group_id: group.into(),
            member_id: "good".into(),
            member_epoch: epoch,
            ..request()
        };
        let beat = if epoch == 0 { join(group, "good", TOPIC) } else { beat };
        let began = Instant::now();
        let answer = wire.ask(BEAT, &beat).unwrap();
        let took = u64::try_from(began.elapsed().as_millis()).unwrap();
        assert_eq!(error(answer.error_code), ErrorCode::None, "{:?}", answer.error_message);
        epoch = answer.member_epoch;
        beats.fetch_add(1, Ordering::SeqCst);
        longest_ms.fetch_max(took, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(20)); // its own pace
    }
}

/// One expression may match them all, in each of several groups.
fn all_topics(node: &Node) {
    let mut wire = Wire::connect(node.port()).unwrap();
    let before = anonymous_kib(node);
    for group in ["all-a", "all-b", "all-c"] {
        let answer = wire.ask(BEAT, &join(group, "m", "a+[0-9]{5}|t")).unwrap();
        assert_eq!(error(answer.error_code), ErrorCode::None, "{:?}", answer.error_message);
        assert_eq!(partitions(&answer), topics() + 1);
    }
    let now = anonymous_kib(node);
    println!(
        "group_regexes: {before} KiB before, {now} KiB with {} topics in three groups",
        topics()
    );
    assert!(now < before + MEMORY_MAX_KIB, "{before} KiB before, {now} KiB after");
}
