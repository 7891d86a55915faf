//! A live group whose members change over to KIP-848 one by one, and back, while records come: each
//! partition has one owner, all records are read, and none again that was committed before.

use duramen_client::Admin;
use duramen_client::admin::GroupKind;
use duramen_client::cluster::{Cluster, ClusterOptions};
use tokio::runtime::Runtime;

use crate::flow::Flow;
use crate::group_members::{PARTITIONS, PATIENCE, finish, until};
use crate::members::{Client, Group};
use crate::runner::{Case, Context, Need};
use crate::support::eventually;

pub const CASES: &[Case] = &[
    Case { name: "group_migration::confluent", need: Need::Python, run: confluent },
    Case { name: "group_migration::confluent_sticky", need: Need::Python, run: confluent_sticky },
    Case { name: "group_migration::java", need: Need::PythonAndJava, run: java },
    Case { name: "group_migration::java_sticky", need: Need::PythonAndJava, run: java_sticky },
];

fn confluent(context: &Context) {
    there_and_back(context, Client::Confluent);
}

fn confluent_sticky(context: &Context) {
    there_and_back(context, Client::ConfluentSticky);
}

fn java(context: &Context) {
    there_and_back(context, Client::Java);
}

fn java_sticky(context: &Context) {
    there_and_back(context, Client::JavaSticky);
}

/// There are never more members than partitions, so that each of them has something to commit.
fn there_and_back(context: &Context, classic: Client) {
    let new = Client::ConfluentKip848;
    let topic = format!("migration-{}", classic.name());
    let bootstrap = context.bootstrap();
    let flow = Flow::start(&bootstrap, &topic, PARTITIONS);
    let mut group = [Group::new(classic, &context.tools, &bootstrap, &topic, &topic)];
    // A member that left by itself may be missed only after its session.
    let is_of = |wanted: GroupKind| {
        eventually("the group is of the kind that its members are", PATIENCE, || {
            (kind(&bootstrap, &topic) == wanted).then_some(())
        });
    };
    group[0].join();
    // What librdkafka's cooperative-sticky assigns from the second generation on is not taken over by Kafka.
    if !context.node.is_reference() {
        all_go_on("a classic member reads", &mut group, &[0]);
    }
    group[0].join();
    all_go_on("classic members share", &mut group, &[0, 1]);
    is_of(GroupKind::Classic);
    group[0].join_as(new);
    all_go_on("a new member gets its share of a live group", &mut group, &[0, 1, 2]);
    is_of(GroupKind::Consumer);
    group[0].members[0].leave();
    group[0].join_as(new);
    all_go_on("one was replaced", &mut group, &[1, 2, 3]);
    group[0].members[1].leave();
    all_go_on("all were replaced", &mut group, &[2, 3]);
    group[0].join();
    all_go_on("a classic member gets its share of a new group", &mut group, &[2, 3, 4]);
    group[0].members[2].leave();
    group[0].join();
    all_go_on("one is back", &mut group, &[3, 4, 5]);
    is_of(GroupKind::Consumer);
    group[0].members[3].leave();
    all_go_on("all are back", &mut group, &[4, 5]);
    is_of(GroupKind::Classic);
    finish(&bootstrap, &mut group, &flow.stop());
}

/// Each of these members reads and commits.
fn all_go_on(reason: &str, group: &mut [Group], members: &[usize]) {
    let commits = |group: &Group| -> Vec<usize> {
        members.iter().map(|member| group.members[*member].commits()).collect()
    };
    let before = commits(&group[0]);
    until(reason, group, |group| {
        commits(&group[0]).iter().zip(&before).all(|(now, before)| *now > before + 2)
    });
}

fn kind(bootstrap: &str, group: &str) -> GroupKind {
    Runtime::new().unwrap().block_on(async {
        let cluster = Cluster::new(bootstrap, ClusterOptions::default()).unwrap();
        let described = Admin::new(&cluster).describe_groups(&[group.into()]).await.unwrap();
        described[0].result.as_ref().unwrap().kind
    })
}
