//! Groups with every client: members that are killed, brokers that are killed, and Kafka's tools.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use duramen_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use duramen_protocol::messages::find_coordinator::FindCoordinatorRequest;
use duramen_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use duramen_protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};

use crate::java;
use crate::runner::{Case, Context, Need};
use crate::support::chance::Chance;
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::wire::Wire;

pub const CASES: &[Case] = &[
    Case { name: "groups::kafka_python_members_killed", need: Need::Python, run: kafka_python },
    Case { name: "groups::aiokafka_members_killed", need: Need::Python, run: aiokafka },
    Case { name: "groups::confluent_members_killed", need: Need::Python, run: confluent },
    Case { name: "groups::confluent_kip848_members_killed", need: Need::Python, run: kip848 },
    Case { name: "groups::kcat_goes_on_where_it_was", need: Need::Kcat, run: kcat },
    Case { name: "groups::java_consumers_and_tools", need: Need::Java, run: java_tools },
    Case { name: "groups::java_kip848_consumer", need: Need::Java, run: java_kip848 },
    Case { name: "groups::java_reads_our_records", need: Need::Java, run: dump },
    Case { name: "groups::commits_survive_kill_9", need: Need::Nothing, run: kill_loop },
];

const KILLS: usize = 8;

fn kafka_python(context: &Context) {
    context.tools.python("groups.py", &["kafka-python", &context.bootstrap()]).ok();
}

fn aiokafka(context: &Context) {
    context.tools.python("groups.py", &["aiokafka", &context.bootstrap()]).ok();
}

fn confluent(context: &Context) {
    context.tools.python("groups.py", &["confluent", &context.bootstrap()]).ok();
}

fn kip848(context: &Context) {
    context.tools.python("groups.py", &["confluent-kip848", &context.bootstrap()]).ok();
}

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

const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const LIST: &str = "org.apache.kafka.tools.GroupsCommand";
const VERIFIABLE: &str = "org.apache.kafka.tools.VerifiableConsumer";

fn tool(context: &Context, class: &str, arguments: &str) -> String {
    java::tool(context, class, arguments).ok().text()
}

/// The line that ConsumerGroupCommand describes the first partition with, word by word.
fn described(context: &Context, group: &str, topic: &str) -> Vec<String> {
    let text = tool(context, GROUPS, &format!("--describe --group {group}"));
    let line = text.lines().find(|line| line.contains(topic));
    let words = line.unwrap_or_else(|| panic!("{topic} in {text}")).split_whitespace();
    words.map(str::to_owned).collect()
}

fn java_tools(context: &Context) {
    let topic = "java-groups";
    java::create(context, topic, "--partitions 1");
    java::produce(context, topic, "", java::lines(100).as_bytes());
    let consume = format!("--topic {topic} --group console --from-beginning --max-messages 30");
    let got = tool(context, java::CONSUME, &consume);
    assert_eq!(got.lines().count(), 30, "{got}");
    // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG …
    assert_eq!(described(context, "console", topic)[3..6], ["30", "100", "70"]);
    let bootstrap = context.bootstrap();
    let verifiable = format!(
        "--bootstrap-server {bootstrap} --topic {topic} --group-id console --max-messages 70 \
         --reset-policy earliest"
    );
    let arguments: Vec<&str> = verifiable.split_whitespace().collect();
    let got = context.tools.java_alone(VERIFIABLE, &arguments).text();
    assert!(got.contains("offsets_committed"), "{got}");
    assert_eq!(described(context, "console", topic)[3..6], ["100", "100", "0"]);
    let listed = tool(context, GROUPS, "--list");
    assert!(listed.lines().any(|line| line.trim() == "console"), "{listed}");
    let listed = tool(context, LIST, "--list --group-type classic");
    assert!(listed.contains("console") && listed.contains("Classic"), "{listed}");
    let reset = format!("--group console --topic {topic} --reset-offsets --to-offset 5 --execute");
    tool(context, GROUPS, &reset);
    assert_eq!(described(context, "console", topic)[3..6], ["5", "100", "95"]);
    tool(context, GROUPS, &format!("--group console --topic {topic} --delete-offsets"));
    tool(context, GROUPS, "--group console --delete");
    let listed = tool(context, GROUPS, "--list");
    assert!(!listed.lines().any(|line| line.trim() == "console"), "{listed}");
}

fn java_kip848(context: &Context) {
    let topic = "java-kip848";
    java::create(context, topic, "--partitions 1");
    java::produce(context, topic, "", java::lines(100).as_bytes());
    let verifiable = format!(
        "--bootstrap-server {} --topic {topic} --group-id kip848 --group-protocol consumer \
         --max-messages 100 --reset-policy earliest",
        context.bootstrap()
    );
    let arguments: Vec<&str> = verifiable.split_whitespace().collect();
    let got = context.tools.java_alone(VERIFIABLE, &arguments).text();
    assert!(got.contains("offsets_committed"), "{got}");
    assert_eq!(described(context, "kip848", topic)[3..6], ["100", "100", "0"]);
    let listed = tool(context, LIST, "--list --group-type consumer");
    assert!(listed.contains("kip848") && listed.contains("Consumer"), "{listed}");
}

/// Kafka's dump tool understands every record that we keep.
fn dump(context: &Context) {
    if context.node.is_reference() {
        return;
    }
    let node = Node::start(&["offsets.topic.num.partitions=1"]);
    let wire = &mut Wire::connect(node.port()).unwrap();
    create_topic(wire);
    find_coordinator(wire);
    assert_eq!(commit(wire, 42), Some(0));
    let file = node.data().join("__consumer_offsets-0/00000000000000000000.log");
    let file = file.to_str().unwrap();
    let dumped = context.tools.java(java::DUMP, &["--offsets-decoder", "--files", file], None).ok();
    let text = dumped.text();
    assert!(text.contains("\"group\":\"killed\"") && text.contains("\"offset\":42"), "{text}");
}

/// Commits that were answered are there, whenever the broker is killed.
fn kill_loop(context: &Context) {
    if context.node.is_reference() {
        return;
    }
    let mut node = Node::start(&["offsets.topic.num.partitions=1"]);
    let wire = &mut Wire::connect(node.port()).unwrap();
    create_topic(wire);
    find_coordinator(wire);
    let mut chance = Chance::new();
    println!("groups: seed {}", chance.seed);
    let (stop, answered, port) = (AtomicBool::new(false), AtomicI64::new(-1), node.port());
    thread::scope(|scope| {
        scope.spawn(|| commit_on(port, &stop, &answered));
        for _ in 0..KILLS {
            let before = answered.load(Ordering::SeqCst);
            eventually("commits are answered", Duration::from_secs(60), || {
                (answered.load(Ordering::SeqCst) > before + 5).then_some(())
            });
            thread::sleep(Duration::from_millis(chance.below(50))); // the moment of the kill
            node.kill();
            let kept_at_least = answered.load(Ordering::SeqCst);
            node.restart();
            eventually("what was answered is there", Duration::from_secs(60), || {
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
    assert_eq!(wire.ask(6, &request).unwrap().coordinators[0].error_code, 0);
    eventually("the coordinator has loaded", Duration::from_secs(60), || committed(wire));
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
