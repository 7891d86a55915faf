//! The story: somebody at a shell, or a script whose output is read later, waits for a broker that can't do
//! what it should for now: its disk is full. One line on stderr says so soon, and one when it works again;
//! what goes to stdout is data and nothing else.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use tempfile::TempDir;

use crate::device::{Device, or_skip};
use crate::stream::Client;
use crate::support::child::Running;
use crate::support::command::done;
use crate::support::eventually;
use crate::support::node::Node;
use crate::support::wire::Wire;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn who_waits_for_a_full_disk_is_told_once_and_hears_when_it_works_again() {
    let Some(mut device) = or_skip("told", Device::new(48)) else { return };
    let node = Node::start_at(&device.path().join("data"), &["log.segment.bytes=1048576"]);
    let client = Client::new(node.port());
    for topic in ["source", "target", "piped"] {
        client.create(topic, &[]).unwrap();
    }
    done(&node, &["produce", "source"], "one\ntwo\n");
    // The topic of the groups is there before the disk is full.
    done(&node, &["consume", "source", "--group", "first", "-n", "1"], "");
    client.create("probe", &[]).unwrap();
    device.fill();
    // What was reserved before is taken first.
    let refused = || {
        let code = Wire::connect(node.port()).unwrap().produce("probe", 0, &[7; 900_000]).unwrap();
        (code == ErrorCode::KafkaStorageError).then_some(())
    };
    eventually("produce is refused", PATIENCE, refused);
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint").display().to_string();
    let mut produce = Verb::start(&node, &folder, &["produce", "piped"]);
    let consume = ["consume", "source", "--group", "second", "--format", "json"];
    let consume = Verb::start(&node, &folder, &consume);
    let replay = ["replay", "source", "--to", "target", "--checkpoint", &checkpoint];
    let replay = Verb::start(&node, &folder, &replay);
    produce.says("three\n");
    for (verb, words) in [
        (&produce, "partition piped-0: the disk of"),
        (&replay, "partition target-0: the disk of"),
        (&consume, "group second: what the group decides can't be written"),
    ] {
        eventually(words, PATIENCE, || verb.told().contains("still trying").then_some(()));
        assert!(verb.told().contains(words), "{}", verb.told());
    }
    device.free();
    for verb in [&produce, &consume] {
        eventually("it is told", PATIENCE, || verb.told().contains("works again").then_some(()));
    }
    let shown = || fs::read_to_string(&consume.out).unwrap();
    eventually("the records come", PATIENCE, || (shown().lines().count() == 2).then_some(()));
    for line in shown().lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(record.get("value").is_some(), "{line}");
    }
    consume.child.ask_to_stop();
    for mut verb in [produce, consume, replay] {
        drop(verb.child.stdin.take());
        let ended = eventually("it ends", PATIENCE, || verb.child.try_wait().unwrap());
        assert!(ended.success(), "{}", verb.told());
        assert_eq!(verb.told().matches("still trying").count(), 1, "{}", verb.told());
    }
    let read = |topic| done(&node, &["consume", topic, "-e"], "");
    assert_eq!((read("target").as_str(), read("piped").as_str()), ("one\ntwo\n", "three\n"));
}

/// A verb that runs, its output in files.
struct Verb {
    child: Running,
    out: PathBuf,
    err: PathBuf,
}

impl Verb {
    fn start(node: &Node, folder: &TempDir, arguments: &[&str]) -> Self {
        let file = |kind: &str| folder.path().join(format!("{}.{kind}", arguments[0]));
        let (out, err) = (file("out"), file("err"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
        command.args(arguments).env("DURAMEN_BROKERS", node.bootstrap());
        command.stdin(Stdio::piped());
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        Self { child: Running::start(&mut command), out, err }
    }

    fn says(&mut self, words: &str) {
        self.child.stdin.as_mut().unwrap().write_all(words.as_bytes()).unwrap();
    }

    fn told(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }
}
