//! Groups of real clients whose members are killed, and whose broker is killed, while records come:
//! each partition has one owner, all records are read, and none again that was committed before.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use duramen_client::Admin;
use duramen_client::cluster::{Cluster, ClusterOptions};
use duramen_protocol::text::Text;
use tokio::runtime::Runtime;

use crate::flow::Flow;
use crate::judge;
use crate::members::{Client, Event, Group, History, Told};
use crate::runner::{Case, Context, Need};
use crate::support::chance::Chance;
use crate::support::eventually;
use crate::support::node::Node;
use crate::tools::Tools;

pub const CASES: &[Case] = &[
    Case { name: "group_members::the_judge_sees_faults", need: Need::Nothing, run: judge_sees },
    Case { name: "group_members::brokers_killed", need: Need::Python, run: broker_killed },
    Case { name: "group_members::kafka_python_killed", need: Need::Python, run: kafka_python },
    Case { name: "group_members::aiokafka_killed", need: Need::Python, run: aiokafka },
    Case { name: "group_members::confluent_killed", need: Need::Python, run: confluent },
    Case { name: "group_members::confluent_sticky_killed", need: Need::Python, run: sticky },
    Case { name: "group_members::confluent_kip848_killed", need: Need::Python, run: kip848 },
    Case { name: "group_members::kafkajs_killed", need: Need::Node, run: kafkajs },
    Case { name: "group_members::java_killed", need: Need::Java, run: java },
    Case { name: "group_members::java_kip848_killed", need: Need::Java, run: java_kip848 },
];

pub const PARTITIONS: i32 = 3;
/// For whatever must happen in the end, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(240);
/// Of the node that is killed: members learn of each other soon.
const SETTINGS: &[&str] = &[
    "group.initial.rebalance.delay.ms=300",
    "group.consumer.min.heartbeat.interval.ms=500",
    "group.consumer.heartbeat.interval.ms=500",
];
const KILLS: usize = 3;
/// Apache Kafka takes seconds to come back.
const KILLS_OF_REFERENCE: usize = 2;

fn kafka_python(context: &Context) {
    members_killed(context, Client::KafkaPython);
}

fn aiokafka(context: &Context) {
    members_killed(context, Client::Aiokafka);
}

fn confluent(context: &Context) {
    members_killed(context, Client::Confluent);
}

fn sticky(context: &Context) {
    members_killed(context, Client::ConfluentSticky);
}

fn kip848(context: &Context) {
    members_killed(context, Client::ConfluentKip848);
}

fn kafkajs(context: &Context) {
    members_killed(context, Client::KafkaJs);
}

fn java(context: &Context) {
    members_killed(context, Client::Java);
}

fn java_kip848(context: &Context) {
    members_killed(context, Client::JavaKip848);
}

/// One of two members is killed and starts again, while another group reads everything once more and
/// loses its only member in the middle.
fn members_killed(context: &Context, client: Client) {
    let topic = format!("killed-{}", client.name());
    let (bootstrap, tools) = (context.bootstrap(), &context.tools);
    let flow = Flow::start(&bootstrap, &topic, PARTITIONS);
    let group =
        |name: &str| Group::new(client, tools, &bootstrap, &topic, &format!("{topic}-{name}"));
    let mut groups = [group("first"), group("again")];
    groups[0].join();
    groups[0].join();
    groups[1].join();
    until("each member has read and committed", &mut groups, |groups| {
        groups.iter().all(|group| group.members.iter().all(|member| member.commits() > 2))
    });
    for group in &mut groups {
        group.members[0].kill();
        group.join();
    }
    until("those who came instead have read and committed", &mut groups, |groups| {
        groups.iter().all(|group| group.members.last().is_some_and(|last| last.commits() > 2))
    });
    finish(&bootstrap, &mut groups, &flow.stop());
}

/// All clients at once, each with a group of its own: the broker is killed while the groups are
/// stable, and while a rebalance is under way.
fn broker_killed(context: &Context) {
    let mut node = Node::start(SETTINGS);
    let (bootstrap, topic) = (node.bootstrap(), "broker-killed");
    let flow = Flow::start(&bootstrap, topic, PARTITIONS);
    let tools: &Tools = &context.tools;
    let clients = Client::ALL.iter().filter(|client| tools.missing(client.need()).is_none());
    let mut groups: Vec<Group> = clients
        .map(|client| Group::new(*client, tools, &bootstrap, topic, client.name()))
        .collect();
    for group in &mut groups {
        group.place.session_ms = 45_000; // nobody is missed but the broker
        group.join();
        group.join();
    }
    until("each member has read and committed", &mut groups, |groups| {
        groups.iter().all(|group| group.members.iter().all(|member| member.commits() > 0))
    });
    let kills = if node.is_reference() { KILLS_OF_REFERENCE } else { KILLS };
    let mut chance = Chance::new();
    println!("group_members: seed {}, {} clients", chance.seed, groups.len());
    for kill in 0..kills {
        if kill == 1 {
            groups.iter_mut().for_each(Group::join);
        }
        thread::sleep(Duration::from_millis(chance.below(1500))); // the moment of the kill
        node.kill();
        let before: Vec<i64> = groups.iter().map(total).collect();
        node.restart();
        until("each group goes on", &mut groups, |groups| {
            groups.iter().zip(&before).all(|(group, before)| total(group) > *before)
        });
    }
    finish(&bootstrap, &mut groups, &flow.stop());
}

/// How many records a group has committed.
fn total(group: &Group) -> i64 {
    group.committed().values().sum()
}

pub fn until(reason: &str, groups: &mut [Group], is_so: impl Fn(&[Group]) -> bool) {
    let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually(reason, PATIENCE, || {
            groups.iter_mut().for_each(Group::check);
            is_so(groups).then_some(())
        });
    }));
    if waited.is_err() {
        let words: String = groups.iter().map(|group| group.last_words(20)).collect();
        let names: Vec<_> = groups.iter().map(|group| group.place.group.as_str().into()).collect();
        let broker = as_the_broker_sees(&groups[0].place.bootstrap, &names);
        panic!("not so: {reason}\n{words}\n{broker}");
    }
}

/// All is read and committed, whoever did it; then the members are ended and judged.
pub fn finish(bootstrap: &str, groups: &mut [Group], ends: &BTreeMap<i32, i64>) {
    until("all is read", groups, |groups| {
        groups.iter().all(|group| judge::unread(&group.histories(), ends).is_none())
    });
    until("all is committed", groups, |groups| {
        groups.iter().all(|group| group.committed() == *ends)
    });
    for group in groups {
        group.members.iter_mut().for_each(|member| member.kill());
        let histories = group.histories();
        for verdict in
            [judge::owned_once(&histories), judge::committed_is_not_read_again(&histories)]
        {
            verdict.unwrap_or_else(|fault| panic!("{fault}\n{}", group.last_words(200)));
        }
        match judge::losses(&histories) {
            0 => {}
            losses => {
                println!("{}: {losses} times members lost their partitions", group.place.group)
            }
        }
        // whoever asks later is told the same
        assert_eq!(committed(bootstrap, &group.place.group), *ends, "{}", group.place.group);
    }
}

/// For the message of a failure: whom the broker waits for.
fn as_the_broker_sees(bootstrap: &str, groups: &[Text]) -> String {
    Runtime::new().unwrap().block_on(async {
        let cluster = Cluster::new(bootstrap, ClusterOptions::default()).unwrap();
        format!("{:#?}", Admin::new(&cluster).describe_groups(groups).await)
    })
}

/// What the broker has of the group.
fn committed(bootstrap: &str, group: &str) -> BTreeMap<i32, i64> {
    Runtime::new().unwrap().block_on(async {
        let cluster = Cluster::new(bootstrap, ClusterOptions::default()).unwrap();
        let committed = Admin::new(&cluster).committed_offsets(&[group.into()]).await.unwrap();
        let offsets = committed[0].result.as_ref().unwrap();
        offsets.iter().map(|(at, committed)| (at.partition, committed.offset)).collect()
    })
}

/// Histories that must not be, and one that may.
fn judge_sees(_: &Context) {
    let history = |name: &str, killed: Option<f64>, events: &[(f64, Event)]| History {
        name: name.to_owned(),
        told: events.iter().map(|(at, event)| Told { at: *at, event: event.clone() }).collect(),
        killed,
    };
    let assigned = || Event::Assigned(vec![0]);
    let revoked = || Event::Revoked(vec![0]);
    let lost = || Event::Lost(vec![0]);
    let refused = || Event::Refused(String::new());
    let read = |first, last| Event::Read { partition: 0, first, last };
    let committed = |next| Event::Committed { partition: 0, next };

    let first =
        history("first", Some(3.0), &[(1.0, assigned()), (2.0, read(0, 4)), (2.5, committed(5))]);
    let second =
        history("second", None, &[(4.0, assigned()), (5.0, read(5, 9)), (6.0, read(10, 12))]);
    let good = [first.clone(), second];
    assert_eq!(judge::owned_once(&good), Ok(()));
    assert_eq!(judge::committed_is_not_read_again(&good), Ok(()));
    assert_eq!(judge::unread(&good, &BTreeMap::from([(0, 13)])), None);
    assert_eq!(judge::unread(&good, &BTreeMap::from([(0, 14)])), Some((0, 13)));
    assert_eq!(judge::unread(&good[1..], &BTreeMap::from([(0, 13)])), Some((0, 0)));

    let early = history("early", None, &[(2.9, assigned())]);
    assert!(judge::owned_once(&[first.clone(), early.clone()]).is_err());
    assert!(judge::owned_once(&[early.clone(), first.clone()]).is_err());
    let gave_back = history("gave back", None, &[(1.0, assigned()), (2.8, revoked())]);
    assert_eq!(judge::owned_once(&[gave_back, early.clone()]), Ok(()));
    let knew_late = history("knew late", None, &[(1.0, assigned()), (9.0, lost())]);
    assert_eq!(judge::owned_once(&[knew_late.clone(), early]), Ok(()));
    assert_eq!(judge::losses(&[knew_late]), 1);

    for (fault, events) in [
        ("read again", [(4.0, assigned()), (5.0, read(4, 9))].as_slice()),
        ("left out", &[(4.0, assigned()), (5.0, read(5, 9)), (6.0, read(11, 12))]),
        ("repeated", &[(4.0, assigned()), (5.0, read(5, 9)), (6.0, read(9, 12))]),
        ("committed", &[(4.0, assigned()), (5.0, read(5, 9)), (6.0, refused()), (7.0, read(4, 9))]),
        ("never assigned", &[(5.0, read(5, 9))]),
    ] {
        let second = history(fault, None, events);
        assert!(judge::committed_is_not_read_again(&[first.clone(), second]).is_err(), "{fault}");
    }
}
