//! `duramen log dump` and `duramen log verify` as commands, on the directory of a real node.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::node::Node;

fn duramen(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
    command.args(arguments).env_remove("DURAMEN_FORMAT").output().expect("duramen runs")
}

/// Objects a line.
fn json(arguments: &[&str]) -> Vec<Value> {
    let output = duramen(arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A node to which `count` records were produced by the command line.
fn node(count: usize) -> Node {
    let node = Node::start(&[]);
    let lines: String = (0..count).map(|n| format!("value {n}\n")).collect();
    let file = node.data().with_file_name("lines.txt");
    std::fs::write(&file, lines).unwrap();
    let file = file.display().to_string();
    let done = duramen(&["produce", "orders", &file, "--brokers", &node.bootstrap()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    node
}

#[test]
fn a_dump_of_a_whole_directory_names_a_partition_to_show() {
    let node = node(3);
    let output = duramen(&["log", "dump", &node.data().display().to_string()]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{words}");
    let (_, named) = words.trim_end().split_once("name a partition in it, as ").unwrap();
    assert!(duramen(&["log", "dump", named]).status.success(), "{named}");
}

#[test]
fn a_dump_shows_what_was_produced_while_the_node_runs() {
    let node = node(500);
    let dir = node.data().join("orders-0").display().to_string();
    let rows = json(&["log", "dump", &dir, "--records", "--format", "json"]);
    let of =
        |kind: &str| -> Vec<&Value> { rows.iter().filter(|row| row["type"] == kind).collect() };
    let values: Vec<&str> = of("record").iter().filter_map(|row| row["value"].as_str()).collect();
    let wanted: Vec<String> = (0..500).map(|n| format!("value {n}")).collect();
    assert_eq!(values, wanted);
    let counted: i64 = of("batch").iter().filter_map(|row| row["records"].as_i64()).sum();
    assert_eq!((counted, of("damage").len()), (500, 0));
    let some = json(&["log", "dump", &dir, "-r", "--offset", "10:12", "--format", "json"]);
    let offsets: Vec<i64> = some
        .iter()
        .filter(|row| row["type"] == "record")
        .filter_map(|row| row["offset"].as_i64())
        .collect();
    assert_eq!(offsets, [10, 11]);
    let metadata = node.data().join("__cluster_metadata-0").display().to_string();
    let words = duramen(&["log", "dump", &metadata, "--records"]).stdout;
    assert!(String::from_utf8_lossy(&words).contains("topic orders with id"));
}

#[test]
fn a_check_says_what_is_wrong_and_repairs_only_what_can_be_derived() {
    let mut node = node(500);
    let data = node.data().display().to_string();
    let sound = duramen(&["log", "verify", &data]);
    assert!(sound.status.success(), "{}", String::from_utf8_lossy(&sound.stdout));
    let refused = duramen(&["log", "verify", &data, "--repair"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("in use by a broker"), "{words}");
    assert_eq!(words.lines().count(), 1, "{words}");

    let idle = ["topic", "create", "idle", "-p", "2", "--brokers", &node.bootstrap()];
    assert!(duramen(&idle).status.success());
    node.stop();
    let sound = duramen(&["log", "verify", &data]);
    assert!(sound.status.success(), "{}", String::from_utf8_lossy(&sound.stdout));
    let index = node.data().join("orders-0/00000000000000000000.timeindex");
    std::fs::write(&index, [7; 24]).unwrap();
    let wrong = duramen(&["log", "verify", &data]);
    let words = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        words.contains("00000000000000000000.timeindex") && words.contains("--repair"),
        "{words}"
    );
    let repaired = duramen(&["log", "verify", &data, "--repair"]);
    assert!(repaired.status.success(), "{}", String::from_utf8_lossy(&repaired.stderr));
    assert!(String::from_utf8_lossy(&repaired.stdout).contains("rebuilt"));

    let log = node.data().join("orders-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let rows = json(&["log", "verify", &data, "--format", "json"]);
    let found = rows.iter().find(|row| row["type"] == "finding").expect("it is found");
    assert_eq!((&found["severity"], &found["position"]), (&"damage".into(), &0.into()));
    assert_eq!(found["first_offset"], 0);
    assert_eq!(rows.last().map(|row| &row["damage"]), Some(&1.into()));
    let told = |path: &str| {
        let output = duramen(&["log", "verify", path]);
        assert_eq!(output.status.code(), Some(1));
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(words.lines().count(), 1, "{words}");
        words
    };
    assert!(told(&data).contains("--skip-damage"));
    std::fs::write(node.data().join("recovery-point-offset-checkpoint"), "9\n").unwrap();
    assert!(told(&data).contains("the next start goes on without the file"));
    std::fs::write(node.data().join("meta.properties"), "version=1\n").unwrap();
    assert!(told(&data).contains("put a copy back"));
    assert!(told(&format!("{data}/orders-0")).contains("log.dirs"));

    let missing = duramen(&["log", "verify", "/nowhere"]);
    assert_eq!(missing.status.code(), Some(4));
}
