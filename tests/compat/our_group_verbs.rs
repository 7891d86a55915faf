//! `duramen group` on a group of the Java client, in each of the two protocols that the broker serves.

use std::process::Stdio;
use std::time::Duration;

use duramen_client::cluster::{Cluster, ClusterOptions};
use duramen_protocol::api::ApiKey;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::runner::{Case, Context, Need};
use crate::support::child::Running;
use crate::support::command::{done, fails, run};
use crate::support::eventually;

pub const CASES: &[Case] =
    &[Case { name: "our_group_verbs::on_groups_of_java", need: Need::Java, run: java }];

/// A JVM takes some seconds to begin and to end.
const PATIENCE: Duration = Duration::from_secs(180);

fn java(context: &Context) {
    on_protocol(context, "classic");
    if serves(context, ApiKey::ConsumerGroupHeartbeat) {
        on_protocol(context, "consumer");
    }
}

fn serves(context: &Context, api: ApiKey) -> bool {
    Runtime::new().unwrap().block_on(async {
        let cluster = Cluster::new(&context.bootstrap(), ClusterOptions::default()).unwrap();
        let connection = cluster.any().await.unwrap();
        connection.versions().is_some_and(|versions| versions.of(api).is_some())
    })
}

fn on_protocol(context: &Context, protocol: &str) {
    let node = &context.node;
    let name = format!("verbs-{protocol}");
    let name = name.as_str();
    done(node, &["topic", "create", name, "-p", "3"], "");
    done(node, &["produce", name, "-p", "1"], "a\nb\nc\n");
    let consumer = consumer(context, name, protocol);
    let json = |arguments: &[&str]| -> Option<Value> {
        let ran = run(&context.bootstrap(), &[arguments, &["--format", "json"]].concat(), "");
        serde_json::from_str(&ran.out).ok()
    };
    eventually("the group has read everything", PATIENCE, || {
        let lag = json(&["group", "lag", name])?;
        (lag[0]["lag"] == 0 && lag[0]["partitions"][1]["committed"] == 3).then_some(())
    });
    let described = json(&["group", "describe", name]).unwrap();
    assert_eq!(
        (&described[0]["type"], &described[0]["state"]),
        (&protocol.into(), &"Stable".into())
    );
    assert_eq!(described[0]["members"][0]["partitions"].as_array().unwrap().len(), 3);
    let listed = json(&["group", "list", name, "--type", protocol]).unwrap();
    assert_eq!(listed[0]["type"], protocol);
    let reset = ["group", "reset", name, "--to", "start", "--execute"];
    fails(&context.bootstrap(), &reset, "", (6, "console-consumer at"));
    fails(&context.bootstrap(), &["group", "delete", name], "", (6, "NON_EMPTY_GROUP"));

    consumer.ask_to_stop();
    eventually("the group is empty", PATIENCE, || {
        (json(&["group", "describe", name])?[0]["state"] == "Empty").then_some(())
    });
    done(node, &reset, "");
    assert_eq!(json(&["group", "lag", name]).unwrap()[0]["lag"], 3);
    assert_eq!(done(node, &["consume", name, "--group", name, "-e"], ""), "a\nb\nc\n");
    done(node, &["group", "delete", name], "");
    fails(&context.bootstrap(), &["group", "describe", name], "", (4, "there is no group"));
}

fn consumer(context: &Context, name: &str, protocol: &str) -> Running {
    let protocol = format!("group.protocol={protocol}");
    let mut command = context.tools.java_command(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        &[
            "--bootstrap-server",
            &context.bootstrap(),
            "--topic",
            name,
            "--group",
            name,
            "--from-beginning",
            "--command-property",
            &protocol,
            "--command-property",
            "auto.commit.interval.ms=200",
        ],
    );
    Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}
