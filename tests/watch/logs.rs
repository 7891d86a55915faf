//! The log: one line an event, with fields, as text and as JSON; and no client can flood it.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use duramen_client::{Admin, Cluster, ClusterOptions};
use serde_json::Value;

use super::process::child::Running;
use super::process::eventually;
use super::process::node::Node;

const PATIENCE: Duration = Duration::from_secs(60);

async fn make_and_delete(node: &Node) {
    let cluster = Cluster::new(&node.bootstrap(), ClusterOptions::default()).unwrap();
    let admin = Admin::new(&cluster);
    let topic = duramen_client::admin::NewTopic::new("orders").partitions(2);
    admin.create_topics(&[topic], false).await.unwrap()[0].result.as_ref().unwrap();
    admin.create_partitions(&[("orders".into(), 3)], false).await.unwrap()[0]
        .result
        .as_ref()
        .unwrap();
    admin.delete_topics(&["orders".into()]).await.unwrap()[0].result.as_ref().unwrap();
}

/// Lines that hold all of these.
fn lines<'a>(log: &'a str, parts: &[&str]) -> Vec<&'a str> {
    log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_one_line_with_fields() {
    let mut node = Node::start(&[]);
    if node.is_reference() {
        return;
    }
    make_and_delete(&node).await;
    node.stop();
    let log = node.output();
    for event in [
        &["serving kafka clients", "listener=", "address="][..],
        &["serving metrics and health over http", "address="],
        &["broker started", "version=", "node=1", "cluster=", "partitions=0", "ms="],
        &["topic created", "topic=orders", "id=", "partitions=2"],
        &["topic grown", "topic=orders", "partitions=3"],
        &["topic deleted", "topic=orders"],
        &["stopping", "signal=\"terminate\""],
        &["broker stopped"],
    ] {
        assert_eq!(lines(&log, event).len(), 1, "{event:?} once in:\n{log}");
    }
    // Starting again tells nothing of what is old.
    node.restart();
    node.stop();
    assert_eq!(lines(&node.output(), &["topic created"]).len(), 1);
    assert_eq!(lines(&node.output(), &["broker started"]).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_json_each_line_is_an_object_with_the_same_fields() {
    let (folder, port) = (tempfile::tempdir().unwrap(), super::process::node::free_port());
    let data = folder.path().join("data");
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut child = Running::start(
        std::process::Command::new(env!("CARGO_BIN_EXE_duramen"))
            .args(["serve", "--log-format", "json", "--http", "off", "--data"])
            .arg(&data)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .stderr(log),
    );
    let read = || std::fs::read_to_string(folder.path().join("log")).unwrap();
    eventually("the broker starts", PATIENCE, || read().contains("broker started").then_some(()));
    child.ask_to_stop();
    assert!(child.wait().unwrap().success());
    let events: Vec<Value> =
        read().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let event = |message: &str| {
        let found = events.iter().find(|event| event["message"] == message);
        found.unwrap_or_else(|| panic!("no {message}"))
    };
    assert_eq!(event("broker started")["node"], 1);
    assert!(event("broker started")["cluster"].is_string());
    assert_eq!(event("stopping")["signal"], "terminate");
    for event in &events {
        let message = event["message"].as_str().unwrap();
        assert!(!message.starts_with(char::is_uppercase), "lower case: {message}");
    }
}

#[test]
fn a_hostile_client_cannot_flood_the_log() {
    let node = Node::start(&[]);
    if node.is_reference() {
        return;
    }
    const CLIENTS: usize = 600;
    for at in 0..CLIENTS {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, node.port())).unwrap();
        // A length that is no frame's, an API that nobody serves, and half a frame.
        let bytes: &[u8] = match at % 3 {
            0 => &[0xff; 8],
            1 => &[0, 0, 0, 10, 0x7f, 0x7f, 0, 0, 0, 0, 0, 7, 0xff, 0xff],
            _ => &[0, 0, 1, 0, 0, 18],
        };
        stream.write_all(bytes).unwrap();
    }
    let http = node.http().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    eventually("every connection has ended", PATIENCE, || {
        let (_, text) = runtime.block_on(super::scraped::get(&http, "/metrics"));
        let ended =
            text.lines().filter(|line| line.starts_with("duramen_connections_ended_total{"));
        let count = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        let bad = ended.filter(|line| !line.contains("by_peer")).map(count).sum::<f64>();
        (bad >= CLIENTS as f64).then_some(())
    });
    let log = node.output();
    let told = log.lines().filter(|line| line.contains("connection ")).count();
    let windows = 1 + log.lines().filter(|line| !line.contains("held_back=0")).count();
    assert!(told >= 2, "the first ones are told:\n{log}");
    assert!(told <= 20 * windows && told < CLIENTS / 4, "{told} lines for {CLIENTS} clients");
    for line in log.lines().filter(|line| line.contains("connection ")) {
        assert!(line.contains("remote=") && line.contains("reason="), "{line}");
    }
}
