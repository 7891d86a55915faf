//! `duramen doctor`: each finding that can be provoked, on a node that runs and on one that does not.

use std::path::Path;

use serde_json::Value;

use super::broker::{Batch, Node};
use super::process::node::free_port;
use super::{duramen, with_http};

/// What a run found.
struct Found {
    findings: Vec<Value>,
    code: Option<i32>,
}

impl Found {
    async fn of(words: &[&str]) -> Self {
        // Nobody here is silent for ever, but the machine may be busy with other things.
        let patient = ["--timeout", "60s"];
        let patient: &[&str] = if words.contains(&"--timeout") { &[] } else { &patient };
        let output = duramen(&[&["doctor", "--format", "json"], words, patient].concat()).await;
        let text = String::from_utf8_lossy(&output.stdout);
        let json: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{output:?}"));
        let findings = json["findings"].as_array().unwrap().clone();
        let failed = findings.iter().filter(|finding| finding["level"] == "fail").count();
        assert_eq!(json["failed"], failed);
        // The code is 0 only when nothing failed.
        assert_eq!(output.status.code() == Some(0), failed == 0, "{json}");
        for finding in findings.iter().filter(|finding| finding["level"] != "ok") {
            assert!(finding["way_out"].is_string(), "a way out of {finding}");
        }
        Self { findings, code: output.status.code() }
    }

    /// The finding of a check that says this.
    fn says(&self, level: &str, check: &str, part: &str) {
        let is = |finding: &&Value| {
            finding["level"] == level
                && finding["check"] == check
                && finding["finding"].as_str().unwrap().contains(part)
        };
        assert!(
            self.findings.iter().any(|it| is(&it)),
            "no {level} {check} {part}: {:#?}",
            self.findings
        );
    }
}

/// A directory that a broker with a topic has left, properly closed.
async fn left() -> Node {
    let mut node = Node::start().await;
    let client = node.connect().await;
    client.create("orders", 1).await;
    client.send("orders", 0, &Batch::of(["x"])).await;
    drop(client);
    node.stop().await;
    node
}

fn closed() -> String {
    format!("127.0.0.1:{}", free_port())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_well() {
    let (node, kafka, http) = with_http(&[]).await;
    let client = node.connect().await;
    client.create("orders", 1).await;
    client.send("orders", 0, &Batch::of(["x"])).await;
    let found = Found::of(&["-b", &kafka, "--http", &http]).await;
    found.says("ok", "broker", "answers");
    found.says("ok", "advertised address", "and it works");
    found.says("ok", "listener", "this machine only");
    found.says("ok", "health", "ready");
    found.says("ok", "versions", env!("CARGO_PKG_VERSION"));
    found.says("ok", "protocol", "speaks all");
    found.says("ok", "clock", "agrees");
    found.says("ok", "record times", "future");
    found.says("ok", "directory", &format!("process {}", std::process::id()));
    found.says("ok", "format", node.broker().cluster_id());
    let checks: Vec<_> = found.findings.iter().filter_map(|it| it["check"].as_str()).collect();
    for check in ["disk space", "descriptors", "memory maps", "sync", "disk speed"] {
        assert!(checks.contains(&check), "{check} in {checks:?}");
    }
    let probe = node.log_dir().join(".duramen-doctor-probe");
    assert!(!probe.exists(), "the probe is taken away");
    let without = Found::of(&["-b", &kafka, "--http", &http, "--no-probe"]).await;
    assert!(without.findings.iter().all(|finding| finding["check"] != "sync"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advertised_address_that_leads_nowhere() {
    let wrong = free_port();
    let advertised = format!("advertised.listeners=PLAINTEXT://127.0.0.1:{wrong}");
    let (_node, kafka, http) = with_http(&[&advertised]).await;
    let found = Found::of(&["-b", &kafka, "--http", &http, "--no-probe"]).await;
    found.says("ok", "broker", "answers");
    found.says("fail", "advertised address", &format!("127.0.0.1:{wrong}"));
    assert_eq!(found.code, Some(1));
    let (_named, kafka, http) =
        with_http(&["advertised.listeners=PLAINTEXT://no-such-host.invalid:9092"]).await;
    let found = Found::of(&["-b", &kafka, "--http", &http, "--no-probe"]).await;
    found.says("fail", "advertised address", "can't be resolved");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advertised_address_of_another_cluster() {
    let (_other, others, _) = with_http(&[]).await;
    let advertised = format!("advertised.listeners=PLAINTEXT://{others}");
    let (_node, kafka, http) = with_http(&[&advertised]).await;
    let found = Found::of(&["-b", &kafka, "--http", &http, "--no-probe"]).await;
    found.says("fail", "advertised address", "where cluster");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_closed_or_not_kafkas() {
    let found = Found::of(&["-b", &closed(), "--http", "off"]).await;
    found.says("fail", "broker", "nothing listens there");
    assert_eq!(found.code, Some(1));
    let (_node, kafka, http) = with_http(&[]).await;
    let found = Found::of(&["-b", &http, "--http", "off", "--timeout", "3s"]).await;
    assert!(found.findings[0]["level"] == "fail", "{:?}", found.findings);
    // The other way round: a Kafka port is no HTTP.
    let found = Found::of(&["-b", &kafka, "--http", &kafka, "--no-probe"]).await;
    found.says("warn", "http", "no metrics and health");
    assert_eq!(found.code, Some(0), "warnings are no failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_that_is_off_or_another_brokers() {
    let (_node, kafka, _) = with_http(&[]).await;
    let (_other, _, others) = with_http(&[]).await;
    let found = Found::of(&["-b", &kafka, "--http", &closed(), "--no-probe"]).await;
    found.says("warn", "http", "nothing listens there");
    found.says("ok", "disk space", "free");
    let found = Found::of(&["-b", &kafka, "--http", &others, "--no-probe"]).await;
    found.says("warn", "http", "belongs to cluster");
    found.says("ok", "versions", "the broker tells no version");
    let of_the_other = ["directory", "descriptors", "sync", "format"];
    let is_of_the_other = |check: &serde_json::Value| of_the_other.iter().any(|it| check == it);
    let left: Vec<_> = found.findings.iter().filter(|it| is_of_the_other(&it["check"])).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_closed_and_one_that_was_not() {
    let node = left().await;
    let dir = node.log_dir();
    let words = ["-b", &closed(), "--http", "off", "--data", text(&dir)];
    let found = Found::of(&words).await;
    found.says("warn", "broker", "the node is stopped");
    found.says("ok", "directory", "was closed properly");
    found.says("ok", "format", "has format 1");
    assert_eq!(found.code, Some(0));
    assert!(node.has_clean_marker(), "a look is no start");
    std::fs::remove_file(dir.join(".kafka_cleanshutdown")).unwrap();
    let found = Found::of(&words).await;
    found.says("warn", "directory", "was not closed properly");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_another_process_has() {
    let node = Node::start().await;
    let found = Found::of(&[
        "-b",
        &closed(),
        "--http",
        "off",
        "--no-probe",
        "--data",
        text(&node.log_dir()),
    ])
    .await;
    found.says("fail", "broker", "nothing listens there");
    found.says("warn", "directory", &format!("in use by process {}", std::process::id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_format_a_damaged_file_and_kafkas_own_directory() {
    let node = left().await;
    let dir = node.log_dir();
    let meta = dir.join("meta.properties");
    let whole = std::fs::read_to_string(&meta).unwrap();
    // Without the line of the checksum, as Kafka writes it.
    let (_, plain) = whole.split_once('\n').unwrap();
    let words = ["-b", &closed(), "--http", "off", "--no-probe", "--data", text(&dir)];
    for (content, part) in [
        (plain.replace("duramen.format=1", "duramen.format=99"), "format 99"),
        (whole[..whole.len() / 2].to_owned(), "damaged"),
        (plain.replace("duramen.format=1\n", ""), "Apache Kafka"),
    ] {
        std::fs::write(&meta, content).unwrap();
        let found = Found::of(&words).await;
        found.says("fail", "format", part);
        assert_eq!(found.code, Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_are_lost() {
    let mut node = Node::start().await;
    let client = node.connect().await;
    client.create("orders", 1).await;
    for _ in 0..4 {
        client.send("orders", 0, &Batch::of(["x"])).await;
    }
    drop(client);
    node.stop().await;
    let segment = node.segments("orders", 0).remove(0);
    let mut bytes = std::fs::read(&segment).unwrap();
    let (from, to) = (bytes.len() / 2, bytes.len() / 4 * 3);
    bytes[from..to].fill(0xee);
    std::fs::write(&segment, bytes).unwrap();
    // Without its derived files the next start walks over all of it, and finds the damage.
    std::fs::remove_file(node.log_dir().join(".kafka_cleanshutdown")).unwrap();
    for file in std::fs::read_dir(node.partition_dir("orders", 0)).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".snapshot") || name == "leader-epoch-checkpoint" {
            std::fs::remove_file(path).unwrap();
        }
    }
    let client = node.again().await;
    drop(client);
    node.stop().await;
    let dir = node.log_dir();
    let known = dir.join("orders-0/damage-checkpoint").exists();
    let found =
        Found::of(&["-b", &closed(), "--http", "off", "--no-probe", "--data", text(&dir)]).await;
    assert!(known, "recovery noted the damage");
    found.says("fail", "damage", "orders-0 has lost offsets");
    assert_eq!(found.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_missing_or_cannot_be_written() {
    let node = left().await;
    let missing = node.log_dir().join("nothing");
    let words = ["-b", &closed(), "--http", "off", "--data"];
    let found = Found::of(&[&words[..], &[text(&missing)]].concat()).await;
    found.says("fail", "directory", "there is no");
    let file = node.log_dir().join("meta.properties");
    let found = Found::of(&[&words[..], &[text(&file)]].concat()).await;
    found.says("fail", "permissions", "Not a directory");
    let partition = node.log_dir().join("__cluster_metadata-0");
    let found = Found::of(&[&words[..], &[text(&partition)]].concat()).await;
    found.says("warn", "format", "no meta.properties");
    // The system refuses what everyone may be refused, root too: a name that is taken by a directory.
    std::fs::create_dir(node.log_dir().join(".duramen-doctor-probe")).unwrap();
    let found = Found::of(&[&words[..], &[text(&node.log_dir())]].concat()).await;
    found.says("fail", "permissions", "can't write in");
    assert_eq!(found.code, Some(1));
}

/// Runs the doctor as a user who may read the directory and not write in it, which root can't be.
#[test]
fn a_directory_that_may_only_be_read() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let node = runtime.block_on(left());
    let (dir, folder) = (node.log_dir(), tempfile::tempdir().unwrap());
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(dir.parent().unwrap(), 0o755);
    mode(folder.path(), 0o755);
    mode(&dir, 0o555);
    // Another user may not reach the folder of the build. A process of its own copies: what this one had
    // open for writing, a child that another test begins would have too, and then nobody may run it.
    let binary = folder.path().join("duramen");
    let (from, mut copy) = (env!("CARGO_BIN_EXE_duramen"), std::process::Command::new("cp"));
    assert!(copy.arg(from).arg(&binary).status().unwrap().success());
    let mut command = std::process::Command::new(&binary);
    if rustix::process::geteuid().is_root() {
        command.uid(65_534);
    }
    let address = closed();
    let words = ["doctor", "-b", &address, "--http", "off", "--format", "text", "--data"];
    let output = command.args(words).arg(&dir).output().unwrap();
    mode(&dir, 0o755);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.starts_with("fail\tpermissions\t"));
    assert!(line.is_some_and(|line| line.contains("can't write in")), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_from_the_future() {
    let (node, kafka, http) = with_http(&[]).await;
    let client = node.connect().await;
    client.create("orders", 1).await;
    let batch = Batch::timed(&[super::broker::now_ms() + 1_800_000]);
    client.send("orders", 0, &batch).await;
    let found = Found::of(&["-b", &kafka, "--http", &http, "--no-probe"]).await;
    found.says("warn", "record times", "orders-0");
}
