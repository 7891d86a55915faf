//! `duramen bench` against a running node: what it counts is there, and a stall of the broker shows in
//! every record that was due meanwhile.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may panic"
)]

mod support;

use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use support::child::Running;
use support::eventually;
use support::node::Node;

fn bench(node: &Node, words: &[&str]) -> Running {
    Running::start(
        Command::new(env!("CARGO_BIN_EXE_duramen"))
            .arg("bench")
            .args(words)
            .args(["--brokers", &node.bootstrap(), "--format", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    )
}

fn told(child: Running) -> Value {
    let Output { status, stdout, stderr } = child.output();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    serde_json::from_slice(&stdout).unwrap()
}

#[test]
fn what_was_produced_is_consumed() {
    let node = Node::start(&["log.durability=page-cache"]);
    for (codec, size) in [("none", "100"), ("zstd", "1000")] {
        let words = ["produce", codec, "-p", "3", "-n", "20000", "-z", codec, "--size", size];
        let produced = told(bench(&node, &words));
        assert_eq!(produced["records"], 20_000);
        assert_eq!(produced["partitions"], 3);
        assert_eq!(produced["ack_ms"]["count"], 20_000);
        let consumed = told(bench(&node, &["consume", codec]));
        assert_eq!(consumed["records"], 20_000);
        assert_eq!(consumed["bytes"], produced["bytes"]);
    }
    let some = told(bench(&node, &["consume", "none", "-n", "7"]));
    assert_eq!(some["records"], 7);
    let missing = bench(&node, &["consume", "nowhere"]).output();
    assert_eq!(missing.status.code(), Some(4));
}

#[test]
fn a_fixed_rate_sends_what_it_says() {
    let node = Node::start(&["log.durability=page-cache"]);
    let words = ["produce", "paced", "--rate", "2k/s", "--duration", "500ms", "--linger", "0s"];
    let produced = told(bench(&node, &words));
    assert_eq!(produced["records"], 1000);
    assert!(produced["seconds"].as_f64().unwrap() >= 0.49, "{produced}");
}

#[test]
fn a_stall_counts_for_every_record_that_was_due() {
    let node = Node::start(&["log.durability=page-cache"]);
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &node.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    };
    // Long enough for a stall that comes late.
    let words = ["latency", "stall", "--rate", "1k", "--duration", "14s", "--warmup", "0s"];
    let running = bench(&node, &words);
    let log = node.data().join("stall-0/00000000000000000000.log");
    eventually("records arrive", Duration::from_secs(60), || {
        std::fs::metadata(&log).ok().filter(|file| file.len() > 0)
    });
    signal("-STOP");
    thread::sleep(Duration::from_millis(3500)); // the stall itself
    signal("-CONT");
    let told = told(running);
    for kind in ["ack_ms", "end_to_end_ms"] {
        let figures = &told[kind];
        assert_eq!(figures["count"], 14_000, "{figures}");
        // a quarter of the records was due while the broker stood still
        assert!(figures["p90"].as_f64().unwrap() > 100.0, "{figures}");
        assert!(figures["max"].as_f64().unwrap() > 1000.0, "{figures}");
    }
}

#[test]
fn groups_join_heartbeat_and_commit() {
    let node = Node::start(&["group.initial.rebalance.delay.ms=100"]);
    for (groups, members) in [("3", "1"), ("1", "3")] {
        let prefix = format!("of-{members}");
        let words = ["groups", "work", "-p", "3", "--groups", groups, "--members", members];
        let counts = ["--heartbeats", "4", "--commits", "5", "--prefix", &prefix];
        let figures = told(bench(&node, &[&words[..], &counts[..]].concat()));
        assert_eq!(figures["join_ms"]["count"], 3, "{figures}");
        assert_eq!(figures["heartbeat_ms"]["count"], 12, "{figures}");
        assert_eq!(figures["commit_ms"]["count"], 15, "{figures}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_duramen"))
        .args(["group", "lag", "of-3-0", "--brokers", &node.bootstrap(), "--format", "json"])
        .output()
        .unwrap();
    let groups: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(groups[0]["state"], "Empty", "{groups}");
    // a member's commits are the offsets 0 to 4 of its own partition
    let rows = groups[0]["partitions"].as_array().unwrap();
    assert!(rows.len() == 3 && rows.iter().all(|row| row["committed"] == 4), "{groups}");
    let nobody = bench(&node, &["groups", "work", "--members", "0"]).output();
    assert_eq!(nobody.status.code(), Some(2));
}
