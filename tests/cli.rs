//! The command line as a user meets it: the real binary against a real node. What it prints, what a
//! round trip keeps, which exit code a failure has and what its one line says.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test: real processes and files, and a panic is a failure"
)]

mod support;

use serde_json::Value;
use support::command::{done, fails, run};
use support::node::{Node, free_port};

fn columns(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn what_consume_writes_as_json_produce_reads_back_without_loss() {
    let node = Node::start(&[]);
    done(&node, &["topic", "create", "first", "-p", "3"], "");
    let records = r#"{"key":{"hex":"00ff80"},"value":null,"headers":[{"key":"a","value":null},{"key":"a","value":"x"},{"key":"","value":{"hex":"fe"}}],"partition":1,"timestamp":1234567890123}
{"key":null,"value":"","partition":2,"timestamp":1}
{"key":"","value":{"base64":"/wA="},"partition":0,"timestamp":1700000000000}
{"key":"k","value":"{\"hex\":\"00\"}","partition":0,"timestamp":"2026-01-01T00:00:00Z"}
{"value":"é\u0000\u2028😀","headers":{"h":"{\"base64\":\"\"}"},"partition":2,"timestamp":2}
"#;
    done(&node, &["produce", "first", "--format", "json"], records);
    let consume = |topic: &str| -> Vec<Value> {
        let out = done(&node, &["consume", topic, "-e", "--format", "json"], "");
        let mut records: Vec<Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for record in &mut records {
            record.as_object_mut().unwrap().remove("topic");
        }
        records.sort_by_key(|record| (record["partition"].as_i64(), record["offset"].as_i64()));
        records
    };
    let first = consume("first");
    assert_eq!(first.len(), 5);
    assert_eq!(first[0]["value"]["base64"], "/wA=");
    assert_eq!(first[1]["value"], r#"{"hex":"00"}"#);
    assert_eq!(first[1]["timestamp"], 1_767_225_600_000_i64);
    assert_eq!(
        (&first[2]["value"], &first[2]["headers"][0]["value"]),
        (&Value::Null, &Value::Null)
    );
    for how in [&[][..], &["--hex"], &["--base64"]] {
        let out = done(&node, &[&["consume", "first", "-e", "--format", "json"], how].concat(), "");
        done(&node, &["topic", "create", "again", "-p", "3"], "");
        done(&node, &["produce", "again", "--format", "json", "-z", "lz4"], &out);
        assert_eq!(consume("again"), first, "{how:?}");
        done(&node, &["topic", "delete", "again"], "");
    }
}

#[test]
fn ranges_begin_and_stop_where_they_say() {
    let node = Node::start(&[]);
    done(&node, &["topic", "create", "numbers"], "");
    let lines: String = (0..100)
        .map(|n| {
            format!("{{\"value\":\"{n}\",\"timestamp\":{}}}\n", 1_700_000_000_000_i64 + n * 1000)
        })
        .collect();
    done(&node, &["produce", "numbers", "--format", "json"], &lines);
    for (range, expected) in [
        ("start", (0..100)),
        ("end", (0..0)),
        ("+98", (98..100)),
        ("-3", (97..100)),
        ("95", (95..100)),
        ("95:", (95..100)),
        (":2", (0..2)),
        ("10:13", (10..13)),
        ("-2:end", (98..100)),
        ("@1700000097", (97..100)),
        ("@1700000010000:1700000012000", (10..12)),
        ("@2023-11-14T22:13:25Z:2s", (5..7)),
        ("@:2023-11-14T22:13:22Z", (0..2)),
        ("@-1h", (0..0)),
    ] {
        let out = done(&node, &["consume", "numbers", "-e", "-o", range], "");
        let expected: Vec<_> = expected.map(|n: i32| n.to_string()).collect();
        assert_eq!(columns(&out), expected, "{range}");
    }
    let out = done(&node, &["consume", "numbers", "-n", "2", "-f", "%p/%o %d{rfc3339} %v|"], "");
    assert_eq!(out, "0/0 2023-11-14T22:13:20.000Z 0|0/1 2023-11-14T22:13:21.000Z 1|");
}

#[test]
fn topics_are_made_changed_trimmed_and_deleted() {
    let node = Node::start(&[]);
    let made =
        done(&node, &["topic", "create", "orders", "-p", "2", "-c", "retention.ms=1000"], "");
    assert_eq!(made, "orders created with 2 partitions of 1 replica\n");
    done(&node, &["topic", "create", "orders", "--if-not-exists"], "");
    done(&node, &["topic", "add-partitions", "orders", "--to", "3"], "");
    assert_eq!(
        columns(&done(&node, &["topic", "list", "--format", "text"], "")),
        ["orders", "3", "1"]
    );
    done(
        &node,
        &["topic", "alter", "orders", "--unset", "retention.ms", "--set", "segment.ms=9"],
        "",
    );
    let described = done(&node, &["topic", "describe", "orders"], "");
    assert!(described.contains("segment.ms") && !described.contains("retention.ms"), "{described}");
    done(&node, &["produce", "orders", "-p", "1"], "a\nb\nc\n");
    let trimmed = done(&node, &["topic", "trim", "orders", "--before", "-1", "-p", "1"], "");
    assert_eq!(trimmed, "orders-1 starts at 2 (2 records less)\n");
    assert_eq!(done(&node, &["consume", "orders", "-e"], ""), "c\n");
    assert_eq!(done(&node, &["topic", "delete", "orders"], ""), "orders deleted\n");
    assert_eq!(done(&node, &["topic", "list", "--format", "text"], ""), "");
}

#[test]
fn failures_have_a_code_by_cause_and_one_line_that_says_what_to_do() {
    let node = Node::start(&[]);
    let brokers = node.bootstrap();
    done(&node, &["topic", "create", "orders"], "");
    done(&node, &["topic", "create", "small", "-c", "max.message.bytes=100"], "");
    let no_broker = format!("127.0.0.1:{}", free_port());
    fails(&no_broker, &["topic", "list"], "", (3, "is a broker running there?"));
    let long = "x".repeat(200);
    for (arguments, input, expected) in [
        (&["topic", "create", "orders"][..], "", (6, "already exists")),
        (&["topic", "create", "a b"], "", (6, "INVALID_TOPIC_EXCEPTION")),
        (&["topic", "alter", "orders", "--set", "retention.m=1"], "", (6, "did you mean")),
        (&["topic", "describe", "nope"], "", (4, "duramen topic create")),
        (&["consume", "nope", "-e"], "", (4, "does not exist")),
        (&["consume", "orders", "-p", "7"], "", (4, "has no partition 7")),
        (&["consume", "orders", "-o", "later"], "", (2, "is no offset")),
        (&["consume", "orders", "-f", "%z"], "", (2, "is no verb")),
        (&["produce", "orders", "no-such-file"], "", (4, "no such file")),
        (&["produce", "nope", "--no-create"], "a\n", (4, "does not exist")),
        (&["produce", "orders", "-p", "7"], "a\n", (4, "stdin:1: topic orders has no partition 7")),
        (&["produce", "orders", "-K", ":"], "a:b\nc\n", (7, "stdin:2: no key separator")),
        (
            &["produce", "orders", "--format", "json"],
            "{}\n",
            (7, "stdin:1: column 2: no \"value\""),
        ),
        (&["produce", "small"], &long, (5, "stdin:1: partition small-0: the record batch has")),
    ] {
        fails(&brokers, arguments, input, expected);
    }
    let run = run(&brokers, &["produce", "small"], &format!("ok\n{long}\n"));
    // The two were one batch: what is too large fails alone, and only what was delivered counts.
    assert!(run.err.contains("duramen: 1 record, 3 B in"), "{}", run.err);
    assert!(run.err.contains("stdin:2: partition small-0: the record batch has"), "{}", run.err);
}

#[test]
fn a_broker_that_cannot_start_says_why_and_how_it_could() {
    let node = Node::start(&[]);
    let data = node.data().display().to_string();
    let file = node.data().join("meta.properties").display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("data").display().to_string();
    let (taken, free) = (node.bootstrap(), format!("127.0.0.1:{}", free_port()));
    let serve = |more: &[&str], expected| {
        let arguments = [&["serve", "--http", "off"], more].concat();
        fails("", &arguments, "", expected);
    };
    serve(&["--data", &data, "--listen", &free], (1, "in use by another broker"));
    serve(&["--set", "listeners=off"], (2, "name where clients connect"));
    serve(&["--data", &other, "--listen", &taken], (1, "the port is in use"));
    serve(&["--data", &file, "--listen", &free], (1, "choose another with --data"));
    serve(&["--set", "log.retenton.ms=1"], (2, "did you mean `log.retention.ms`?"));
    serve(&["--set", "num.partitions=none"], (2, "num.partitions"));
    serve(&["no-such.properties"], (2, "no-such.properties"));
    assert!(!folder.path().join("data").exists(), "nothing was begun");
}
