//! Groups with kcat and with Kafka's console consumer, the records that are kept of them, and commits
//! over kill -9.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use duramen_client::Admin;
use duramen_client::admin::{OffsetQuestion, OffsetSpec};
use duramen_client::cluster::{Cluster, ClusterOptions};
use duramen_client::consumer::Isolation;
use duramen_client::consumer::group::{GroupConsumer, GroupEvent, GroupOptions, GroupProtocol};

use duramen_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use duramen_protocol::messages::find_coordinator::FindCoordinatorRequest;
use duramen_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use duramen_protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::flow::Flow;
use crate::group_tools::{self, tool};
use crate::java;
use crate::judge;
use crate::members::{Client, Event, Group};
use crate::runner::{Case, Context, Need};
use crate::support::chance::Chance;
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::wire::Wire;

pub const CASES: &[Case] = &[
    Case { name: "groups::kcat_goes_on_where_it_was", need: Need::Kcat, run: kcat },
    Case { name: "groups::kcat_members_share", need: Need::Kcat, run: kcat_members },
    Case { name: "groups::java_console_consumers", need: Need::Java, run: java_console },
    Case { name: "groups::java_reads_our_records", need: Need::Java, run: our_records },
    Case { name: "groups::commits_survive_kill_9", need: Need::Nothing, run: kill_loop },
];

const KILLS: usize = 8;
/// Apache Kafka takes seconds to come back.
const KILLS_OF_REFERENCE: usize = 2;
const PATIENCE: Duration = Duration::from_secs(240);

fn kcat(context: &Context) {
    let bootstrap = context.bootstrap();
    let lines: Vec<String> = (0..100).map(|n| format!("line {n}\n")).collect();
    let produce = ["-b", &bootstrap, "-P", "-t", "kcat-group"];
    context.tools.kcat(&produce, lines.concat().as_bytes()).ok();
    for (count, expected) in [("60", &lines[..60]), ("40", &lines[60..])] {
        let setting = "auto.offset.reset=earliest";
        let all = ["-b", &bootstrap, "-q", "-X", setting, "-c", count, "-G", "kcats", "kcat-group"];
        assert_eq!(context.tools.kcat(&all, b"").ok().text(), expected.concat());
    }
}

/// Two members share while records come, and one is killed: the other has the rest, each record once.
fn kcat_members(context: &Context) {
    let topic = "kcat-members";
    let flow = Flow::start(&context.bootstrap(), topic, 3);
    let mut group = Group::new(Client::Kcat, &context.tools, &context.bootstrap(), topic, topic);
    group.join();
    eventually("the first reads", PATIENCE, || (!reads(&group, 0).is_empty()).then_some(()));
    group.join();
    eventually("the second reads", PATIENCE, || (!reads(&group, 1).is_empty()).then_some(()));
    group.members[0].kill();
    let last_of_first = ends_of(&reads(&group, 0));
    eventually("the second reads on in each partition", PATIENCE, || {
        let ends = ends_of(&reads(&group, 1));
        let goes_on = |(partition, last)| ends.get(partition).is_some_and(|end| end > last);
        last_of_first.iter().all(goes_on).then_some(())
    });
    let ends = flow.stop();
    eventually("all is read", PATIENCE, || {
        judge::unread(&group.histories(), &ends).is_none().then_some(())
    });
    for member in 0..2 {
        let reads = reads(&group, member);
        let distinct: BTreeSet<_> = reads.iter().collect();
        assert_eq!(distinct.len(), reads.len(), "{member} read twice: {}", group.last_words(50));
    }
}

/// The last offset of each partition.
fn ends_of(reads: &[(i32, i64)]) -> BTreeMap<i32, i64> {
    reads.iter().copied().collect() // each partition's in order
}

/// What a member has read: partition and offset.
fn reads(group: &Group, member: usize) -> Vec<(i32, i64)> {
    let told = group.members[member].history().told;
    let reads = told.iter().filter_map(|told| match told.event {
        Event::Read { partition, first, .. } => Some((partition, first)),
        _ => None,
    });
    reads.collect()
}

/// A group goes on where it was, by the other protocol too.
fn java_console(context: &Context) {
    let (topic, group) = ("java-groups", "console");
    java::create(context, topic, "--partitions 1");
    java::produce(context, topic, "", java::lines(100).as_bytes());
    for (protocol, first, count, listed) in [
        ("classic", 0, 30, "Classic"),
        ("consumer", 30, 50, "Consumer"),
        ("classic", 80, 20, "Classic"),
    ] {
        let consume = format!(
            "--topic {topic} --group {group} --from-beginning --max-messages {count} \
             --command-property group.protocol={protocol}"
        );
        let got = tool(context, java::CONSUME, &consume);
        let expected: Vec<String> =
            java::lines(100).lines().skip(first).take(count).map(str::to_owned).collect();
        assert_eq!(got.lines().collect::<Vec<_>>(), expected, "{protocol}");
        assert_eq!(
            group_tools::committed(context, group),
            [(0, (first + count) as i64)],
            "{protocol}"
        );
        let groups = tool(context, LIST, &format!("--list --group-type {protocol}"));
        let line = groups.lines().find(|line| line.starts_with(group)).unwrap_or(&groups);
        assert!(line.contains(listed), "{protocol}: {groups}");
    }
}

const LIST: &str = "org.apache.kafka.tools.GroupsCommand";

/// Kafka's dump tool and the formatters of its console consumer understand what is kept of groups.
fn our_records(context: &Context) {
    let node = Node::start(&["offsets.topic.num.partitions=1"]);
    let wire = &mut Wire::connect(node.port()).unwrap();
    create_topic(wire);
    find_coordinator(wire);
    assert_eq!(commit(wire, 42), Some(0));
    join_and_leave(&node);
    let file = node.data().join("__consumer_offsets-0/00000000000000000000.log");
    let file = file.to_str().unwrap();
    let dumped = context.tools.java(java::DUMP, &["--offsets-decoder", "--files", file], None).ok();
    let text = dumped.text();
    assert!(text.contains("\"group\":\"killed\"") && text.contains("\"offset\":42"), "{text}");

    let commits = formatted(context, &node, "OffsetsMessageFormatter");
    let of_killed = |one: &&Value| one["key"]["data"]["group"] == "killed";
    let commit = commits.iter().find(of_killed).expect("our commit");
    assert_eq!(commit["key"]["data"]["topic"], "killed", "{commit}");
    assert_eq!(commit["value"]["data"]["offset"], 42, "{commit}");
    let groups = formatted(context, &node, "GroupMetadataMessageFormatter");
    let of_members = |one: &Value| one["key"]["data"]["group"] == "members";
    let (full, empty): (Vec<_>, Vec<_>) =
        groups.iter().filter(|one| of_members(one)).map(|one| &one["value"]["data"]).partition(
            |group| group["members"].as_array().is_some_and(|members| !members.is_empty()),
        );
    let told = full.last().expect("a generation with a member");
    assert_eq!((&told["protocolType"], &told["protocol"]), (&"consumer".into(), &"range".into()));
    assert!(!empty.is_empty(), "the group without its member: {groups:?}");
}

/// A classic group gets a member, and loses it.
fn join_and_leave(node: &Node) {
    Runtime::new().unwrap().block_on(async {
        let cluster = Cluster::new(&node.bootstrap(), ClusterOptions::default()).unwrap();
        let protocol = GroupProtocol::Classic;
        let options = GroupOptions::new("members").protocol(protocol);
        let mut member = GroupConsumer::join(&cluster, options, &["killed".into()]).unwrap();
        loop {
            if let GroupEvent::Assigned(_) = member.next().await.unwrap().unwrap() {
                return member.close().await.unwrap();
            }
        }
    });
}

/// How many records the only partition of `__consumer_offsets` has.
fn count_of_records(node: &Node) -> i64 {
    Runtime::new().unwrap().block_on(async {
        let cluster = Cluster::new(&node.bootstrap(), ClusterOptions::default()).unwrap();
        let question = OffsetQuestion::new("__consumer_offsets", 0, OffsetSpec::Latest);
        let admin = Admin::new(&cluster);
        let answers = admin.list_offsets(Isolation::ReadUncommitted, vec![question]).await.unwrap();
        answers[0].offset.clone().unwrap().unwrap()
    })
}

/// The lines of JSON that the console consumer makes of `__consumer_offsets`.
fn formatted(context: &Context, node: &Node, formatter: &str) -> Vec<Value> {
    let count = count_of_records(node);
    let arguments = format!(
        "--bootstrap-server {} --topic __consumer_offsets --partition 0 --from-beginning \
         --max-messages {count} --formatter org.apache.kafka.tools.consumer.{formatter}",
        node.bootstrap()
    );
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let text = context.tools.java(java::CONSUME, &arguments, None).ok().text();
    serde_json::Deserializer::from_str(&text).into_iter().map(Result::unwrap).collect()
}

/// Commits that were answered are there, whenever the broker is killed.
fn kill_loop(_: &Context) {
    let mut node = Node::start(&["offsets.topic.num.partitions=1"]);
    let wire = &mut Wire::connect(node.port()).unwrap();
    create_topic(wire);
    find_coordinator(wire);
    let mut chance = Chance::new();
    println!("groups: seed {}", chance.seed);
    let kills = if node.is_reference() { KILLS_OF_REFERENCE } else { KILLS };
    let (stop, answered, port) = (AtomicBool::new(false), AtomicI64::new(-1), node.port());
    thread::scope(|scope| {
        scope.spawn(|| commit_on(port, &stop, &answered));
        for _ in 0..kills {
            let before = answered.load(Ordering::SeqCst);
            eventually("commits are answered", PATIENCE, || {
                (answered.load(Ordering::SeqCst) > before + 5).then_some(())
            });
            thread::sleep(Duration::from_millis(chance.below(50))); // the moment of the kill
            node.kill();
            let kept_at_least = answered.load(Ordering::SeqCst);
            node.restart();
            eventually("what was answered is there", PATIENCE, || {
                let kept = committed(&mut Wire::connect(port).ok()?)?;
                assert!(kept >= kept_at_least, "{kept} for {kept_at_least}");
                Some(())
            });
        }
        stop.store(true, Ordering::SeqCst);
    });
}

/// Commits one offset after another, whatever happens to the broker.
fn commit_on(port: u16, stop: &AtomicBool, answered: &AtomicI64) {
    let (mut wire, mut offset) = (None, 0);
    while !stop.load(Ordering::SeqCst) {
        let Some(connected) = wire.as_mut() else {
            wire = Wire::connect(port).ok();
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        match commit(connected, offset) {
            Some(0) => {
                answered.store(offset, Ordering::SeqCst);
                offset += 1;
            }
            Some(_) => thread::sleep(Duration::from_millis(5)),
            None => wire = None,
        }
    }
}

fn create_topic(wire: &mut Wire) {
    let topic = CreatableTopic {
        name: "killed".into(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    assert_eq!(wire.ask(7, &request).unwrap().topics[0].error_code, 0);
}

fn find_coordinator(wire: &mut Wire) {
    let keys = vec!["killed".into()];
    let request = FindCoordinatorRequest { coordinator_keys: keys, ..Default::default() };
    // Kafka first makes the topic, and says so meanwhile
    eventually("there is a coordinator", PATIENCE, || {
        (wire.ask(6, &request).unwrap().coordinators[0].error_code == 0).then_some(())
    });
    eventually("the coordinator has loaded", PATIENCE, || committed(wire));
}

/// The error of a commit; `None` when the connection is gone.
fn commit(wire: &mut Wire, committed_offset: i64) -> Option<i16> {
    let partition = OffsetCommitRequestPartition { committed_offset, ..Default::default() };
    let topic = OffsetCommitRequestTopic {
        name: "killed".into(),
        partitions: vec![partition],
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: "killed".into(),
        topics: vec![topic],
        ..Default::default()
    };
    let answer = wire.ask(9, &request).ok()?;
    Some(answer.topics[0].partitions[0].error_code)
}

/// What is committed, -1 for nothing; `None` when that can't be told now.
fn committed(wire: &mut Wire) -> Option<i64> {
    let group =
        OffsetFetchRequestGroup { group_id: "killed".into(), topics: None, ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    let answer = wire.ask(9, &request).ok()?.groups.remove(0);
    let first = answer.topics.first().map(|topic| topic.partitions[0].committed_offset);
    (answer.error_code == 0).then(|| first.unwrap_or(-1))
}
