//! `kafka-consumer-groups` on a group: a live one is described and refuses, an empty one goes
//! wherever it is told.

use std::fs;
use std::thread;
use std::time::Duration;

use duramen_client::cluster::{Cluster, ClusterOptions};
use duramen_client::consumer::group::{GroupConsumer, GroupOptions, GroupProtocol};
use duramen_client::producer::{Producer, ProducerOptions, ProducerRecord};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::java;
use crate::runner::{Case, Context, Need};
use crate::support::eventually;

pub const CASES: &[Case] =
    &[Case { name: "group_tools::live_and_empty_groups", need: Need::Java, run: live_then_empty }];

const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const GROUP: &str = "tool-group";
const TOPIC: &str = "tool-topic";
/// Records of each partition: ten long ago, a second between them, and ten of today.
const OLD: i64 = 10;
const ALL: i64 = 20;
/// 2020-01-02T00:00:00Z
const BEGAN_MS: i64 = 1_577_923_200_000;

/// What a tool of Kafka's prints that must succeed.
pub fn tool(context: &Context, class: &str, arguments: &str) -> String {
    java::tool(context, class, arguments).ok().text()
}

/// What `kafka-consumer-groups` prints; it does not say by its exit code whether it has failed.
fn groups(context: &Context, arguments: &str) -> String {
    let output = java::tool(context, GROUPS, arguments);
    format!("{}{}", output.text(), output.err)
}

/// The offset that each partition of the group's only topic has, as the tool describes it.
pub fn committed(context: &Context, group: &str) -> Vec<(i32, i64)> {
    // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG …
    offsets(&groups(context, &format!("--describe --group {group} --offsets")), group)
}

/// The offsets in the fourth column of a table, in the order of the partitions in the third.
fn offsets(text: &str, group: &str) -> Vec<(i32, i64)> {
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut found: Vec<(i32, i64)> = rows
        .filter(|row| row.first() == Some(&group))
        .filter_map(|row| Some((row.get(2)?.parse().ok()?, row.get(3)?.parse().ok()?)))
        .collect();
    found.sort_unstable();
    found
}

fn live_then_empty(context: &Context) {
    java::create(context, TOPIC, "--partitions 2 --config retention.ms=-1");
    let runtime = Runtime::new().unwrap();
    let cluster = runtime.block_on(write(&context.bootstrap()));
    thread::scope(|scope| {
        let (leave, left) = oneshot::channel();
        let member = scope.spawn(|| runtime.block_on(read_until(&cluster, left)));
        eventually("all is read and committed", Duration::from_secs(180), || {
            assert!(!member.is_finished(), "the member ended too early");
            (committed(context, GROUP) == [(0, ALL), (1, ALL)]).then_some(())
        });
        live(context);
        leave.send(()).expect("the member waits");
    });
    dry_run_and_execute(context);
    from_file(context);
    deleted(context);
}

async fn write(bootstrap: &str) -> Cluster {
    let cluster = Cluster::new(bootstrap, ClusterOptions::default()).unwrap();
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    for n in 0..ALL {
        for partition in 0..2 {
            let value = n.to_string();
            let mut record = ProducerRecord::new(TOPIC, value.as_bytes());
            record.partition = Some(partition);
            record.timestamp = (n < OLD).then_some(BEGAN_MS + 1000 * n);
            producer.send(record).await.unwrap();
        }
    }
    cluster
}

/// A member that reads and commits until it is told to leave.
async fn read_until(cluster: &Cluster, mut left: oneshot::Receiver<()>) {
    let auto_commit = Some(Duration::from_millis(100));
    let protocol = GroupProtocol::Classic;
    let options = GroupOptions::new(GROUP).auto_commit(auto_commit).protocol(protocol);
    let mut member = GroupConsumer::join(cluster, options, &[TOPIC.into()]).unwrap();
    loop {
        tokio::select! {
            _ = &mut left => return member.close().await.unwrap(),
            event = member.next() => drop(event.unwrap().unwrap()),
        }
    }
}

fn live(context: &Context) {
    let describe = format!("--describe --group {GROUP}");
    let members = groups(context, &format!("{describe} --members --verbose"));
    let member = members.lines().find(|line| line.starts_with(GROUP)).unwrap_or(&members);
    assert!(member.contains(&format!("{TOPIC}:0,1")), "{members}");
    let state = groups(context, &format!("{describe} --state"));
    let state: Vec<&str> = state.lines().last().unwrap_or_default().split_whitespace().collect();
    // GROUP COORDINATOR (ID) ASSIGNMENT-STRATEGY STATE #MEMBERS
    assert_eq!(state[3..], ["range", "Stable", "1"], "{state:?}");
    let listed = groups(context, "--list --state stable");
    assert!(listed.lines().any(|line| line.starts_with(GROUP)), "{listed}");
    for (arguments, complaint) in [
        (
            format!("--reset-offsets --group {GROUP} --topic {TOPIC} --to-earliest --execute"),
            "inactive",
        ),
        (format!("--delete --group {GROUP}"), "GroupNotEmptyException"),
        (
            format!("--delete-offsets --group {GROUP} --topic {TOPIC}"),
            "GroupSubscribedToTopicException",
        ),
    ] {
        let got = groups(context, &arguments);
        assert!(got.contains(complaint), "{arguments}: {got}");
    }
    assert_eq!(committed(context, GROUP), [(0, ALL), (1, ALL)]);
}

/// Resets, first as a dry run that changes nothing.
fn dry_run_and_execute(context: &Context) {
    let mut before = [ALL, ALL];
    for (target, to) in [
        (format!("--topic {TOPIC} --to-earliest"), [0, 0]),
        (format!("--topic {TOPIC} --shift-by 7"), [7, 7]),
        (format!("--topic {TOPIC} --to-datetime 2020-01-02T00:00:05.000"), [5, 5]),
        (format!("--topic {TOPIC}:1 --to-latest"), [5, ALL]),
        ("--all-topics --by-duration PT1H".to_owned(), [OLD, OLD]),
        (format!("--topic {TOPIC}:0 --shift-by -100"), [0, OLD]),
    ] {
        let reset = format!("--reset-offsets --group {GROUP} {target}");
        let planned = groups(context, &format!("{reset} --dry-run"));
        for (partition, offset) in offsets(&planned, GROUP) {
            assert_eq!(offset, to[partition as usize], "{target}: {planned}");
        }
        let expected = |offsets: [i64; 2]| vec![(0, offsets[0]), (1, offsets[1])];
        assert_eq!(committed(context, GROUP), expected(before), "{target}, not executed");
        let done = groups(context, &format!("{reset} --execute"));
        assert_eq!(offsets(&done, GROUP), offsets(&planned, GROUP), "{target}: {done}");
        assert_eq!(committed(context, GROUP), expected(to), "{target}");
        before = to;
    }
}

/// What was exported can be gone back to.
fn from_file(context: &Context) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offsets.csv");
    let reset = format!("--reset-offsets --group {GROUP}");
    let exported =
        groups(context, &format!("{reset} --all-topics --to-current --export --dry-run"));
    fs::write(&file, &exported).unwrap();
    groups(context, &format!("{reset} --all-topics --to-offset 3 --execute"));
    assert_eq!(committed(context, GROUP), [(0, 3), (1, 3)]);
    groups(context, &format!("{reset} --from-file {} --execute", file.display()));
    assert_eq!(committed(context, GROUP), [(0, 0), (1, OLD)], "{exported}");
}

fn deleted(context: &Context) {
    let got = groups(context, &format!("--delete-offsets --group {GROUP} --topic {TOPIC}:1"));
    assert!(got.contains("Successful"), "{got}");
    assert_eq!(committed(context, GROUP), [(0, 0)]);
    let got = groups(context, &format!("--delete --group {GROUP}"));
    assert!(got.contains("was successful"), "{got}");
    let listed = groups(context, "--list");
    assert!(!listed.lines().any(|line| line.trim() == GROUP), "{listed}");
    let described = groups(context, &format!("--describe --group {GROUP}"));
    assert!(described.contains("not found"), "{described}");
}
