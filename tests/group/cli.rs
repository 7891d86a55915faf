//! `duramen group`, `duramen consume --group` and `duramen profile` as a user meets them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::lab::PATIENCE;
use crate::support::chance::Chance;
use crate::support::child::Running;
use crate::support::command::{done, fails, run};
use crate::support::eventually;
use crate::support::node::{Node, free_port};

fn node() -> Node {
    Node::start(&["group.initial.rebalance.delay.ms=0"])
}

/// A topic of three partitions with so many records in each.
fn topic(node: &Node, name: &str, records: usize) {
    done(node, &["topic", "create", name, "-p", "3"], "");
    let lines: String = (0..records).map(|number| format!("{number}\n")).collect();
    for partition in ["0", "1", "2"] {
        done(node, &["produce", name, "-p", partition], &lines);
    }
}

/// Reads up to the end as a member.
fn consume(node: &Node, group: &str, more: &[&str]) -> Vec<String> {
    let arguments = [&["consume", "orders", "-e", "--group", group], more].concat();
    done(node, &arguments, "").lines().map(str::to_owned).collect()
}

fn json(node: &Node, arguments: &[&str]) -> Value {
    let out = done(node, &[arguments, &["--format", "json"]].concat(), "");
    serde_json::from_str(&out).unwrap()
}

fn lag(node: &Node, group: &str) -> Value {
    json(node, &["group", "lag", group])[0].clone()
}

/// A member that goes on until it is stopped.
struct Member {
    child: Running,
    out: BufReader<ChildStdout>,
}

impl Member {
    fn spawn(node: &Node, group: &str, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
        command.args(["consume", "orders", "--group", group]).args(more);
        command.env("DURAMEN_BROKERS", node.bootstrap()).env_remove("DURAMEN_PROFILE");
        let mut child = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn start(node: &Node, group: &str, more: &[&str]) -> Self {
        let member = Self::spawn(node, group, more);
        eventually("the member has its partitions", PATIENCE, || {
            let described =
                run(&node.bootstrap(), &["group", "members", group, "--format", "json"], "");
            let members: Value = serde_json::from_str(&described.out).ok()?;
            let partitions = members[0]["partitions"].as_array()?.len();
            (partitions == 3).then_some(())
        });
        member
    }

    /// Waits until it has printed so many lines and asks it to stop; it printed nothing else.
    fn stop_after(mut self, lines: usize) {
        let printed = self.out.by_ref().lines().take(lines).map(Result::unwrap).count();
        assert_eq!(printed, lines, "it ended by itself");
        self.child.ask_to_stop();
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn a_group_goes_on_where_it_stopped_by_the_commit_that_was_asked_for() {
    let node = node();
    topic(&node, "orders", 4);
    assert_eq!(consume(&node, "g", &["--commit", "none"]).len(), 12);
    assert_eq!(consume(&node, "g", &["-n", "5"]).len(), 5, "nothing was committed");
    assert_eq!(consume(&node, "g", &["-n", "3", "--commit", "auto"]).len(), 3);
    assert_eq!(consume(&node, "g", &[]).len(), 4, "exactly those that were not shown");
    assert_eq!(consume(&node, "g", &[]).len(), 0);
    assert_eq!(consume(&node, "other", &[]).len(), 12, "another group gets all again");
    assert_eq!(consume(&node, "late", &["--offset", "end"]).len(), 0);
    done(&node, &["produce", "orders", "-p", "1"], "new\n");
    assert_eq!(consume(&node, "late", &[]), ["new"]);
}

#[test]
fn lag_is_told_in_records_and_in_time() {
    let node = node();
    topic(&node, "orders", 0);
    let old = r#"{"value":"a","partition":0,"timestamp":1700000000000}
{"value":"b","partition":0,"timestamp":1700000001000}
{"value":"c","partition":1,"timestamp":1700000002000}
"#;
    done(&node, &["produce", "orders", "--format", "json"], old);
    consume(&node, "g", &[]);
    assert_eq!(
        (lag(&node, "g")["lag"].clone(), lag(&node, "g")["time_lag_ms"].clone()),
        (0.into(), 0.into())
    );
    done(&node, &["group", "seek", "g", "orders", "0", "1", "--execute"], "");
    // A broker that is busy may not tell the age in time.
    let looked = eventually("the age is told", PATIENCE, || {
        let looked = lag(&node, "g");
        looked["partitions"][0]["time_lag_ms"].is_i64().then_some(looked)
    });
    let first = &looked["partitions"][0];
    assert_eq!(
        (first["committed"].clone(), first["end"].clone(), first["lag"].clone()),
        (1.into(), 2.into(), 1.into())
    );
    let since = duration_since_ms(1_700_000_001_000);
    let told = first["time_lag_ms"].as_i64().unwrap();
    assert!((since - told).abs() < 60_000, "{told} ms, of about {since}");
    assert_eq!(looked["lag"], 1);
    assert_eq!(looked["partitions"][1]["time_lag_ms"], 0);
    assert_eq!(looked["state"], "Empty");
    let text = done(&node, &["group", "lag", "g", "--format", "text", "--no-time"], "");
    assert_eq!(text.lines().next().unwrap(), "g\torders\t0\t1\t2\t1\t-\t-");
    let table = done(&node, &["group", "lag"], "");
    assert!(table.contains("TIME LAG") && table.contains("PARTITIONS"), "{table}");
}

fn duration_since_ms(at: i64) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap() - at
}

#[test]
fn lag_goes_on_with_watch_until_it_is_stopped() {
    let node = node();
    topic(&node, "orders", 1);
    consume(&node, "g", &[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
    command.args(["group", "lag", "g", "--watch", "100ms", "--format", "text"]);
    command.env("DURAMEN_BROKERS", node.bootstrap()).stdout(Stdio::piped());
    let mut child = Running::start(&mut command);
    let mut seen = [0; 200];
    child.stdout.as_mut().unwrap().read_exact(&mut seen).unwrap();
    assert!(String::from_utf8_lossy(&seen).matches("g\torders\t0\t1\t1\t0").count() > 1);
    child.ask_to_stop();
    let ended = eventually("it stops", PATIENCE, || child.try_wait().unwrap());
    assert!(ended.success());
}

#[test]
fn a_live_group_is_shown_and_not_moved() {
    let node = node();
    topic(&node, "orders", 2);
    let member = Member::start(&node, "g", &["--instance", "one", "--protocol", "classic"]);
    let listed = json(&node, &["group", "list", "--state", "stable"]);
    assert_eq!(
        (listed[0]["group"].clone(), listed[0]["type"].clone()),
        ("g".into(), "classic".into())
    );
    let described = json(&node, &["group", "describe", "g"]);
    assert_eq!(described[0]["state"], "Stable");
    assert_eq!(described[0]["members"][0]["instance"], "one");
    assert_eq!(described[0]["members"][0]["client"], "duramen-cli");
    let members = done(&node, &["group", "members", "g"], "");
    assert!(members.contains("orders:0,1,2"), "{members}");
    for arguments in [
        &["group", "reset", "g", "--to", "start", "--execute"][..],
        &["group", "reset", "g", "--to", "start", "--topic", "orders"],
        &["group", "seek", "g", "orders", "0", "0", "--execute"],
    ] {
        fails(&node.bootstrap(), arguments, "", (6, "stop them, wait until"));
    }
    fails(&node.bootstrap(), &["group", "delete", "g"], "", (6, "stop its members first"));
    member.stop_after(6);
    done(&node, &["group", "members", "g", "--remove", "one"], "");
    assert_eq!(lag(&node, "g")["lag"], 0, "what was shown is committed");
    done(&node, &["group", "reset", "g", "--to", "start", "--execute"], "");
    assert_eq!(consume(&node, "g", &[]).len(), 6);
    done(&node, &["group", "delete", "g"], "");
    assert_eq!(json(&node, &["group", "list", "g"]), Value::Array(Vec::new()));
}

#[test]
fn members_of_either_protocol_are_shown_and_removed_by_name() {
    let node = node();
    topic(&node, "orders", 2);
    let old = Member::start(&node, "g", &["--instance", "one", "--protocol", "classic"]);
    let new = Member::spawn(&node, "g", &["--instance", "two", "--protocol", "consumer"]);
    let members = eventually("two members share the topic", PATIENCE, || {
        let members = json(&node, &["group", "members", "g"]);
        let all = members.as_array()?.clone();
        let shares =
            all.iter().all(|it| it["partitions"].as_array().is_some_and(|it| !it.is_empty()));
        (all.len() == 2 && shares).then_some(all)
    });
    let mut kinds: Vec<_> =
        members.iter().map(|it| (it["instance"].as_str(), it["protocol"].as_str())).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [(Some("one"), Some("classic")), (Some("two"), Some("consumer"))]);
    let table = done(&node, &["group", "members", "g", "--format", "table"], "");
    assert!(table.contains("PROTOCOL") && table.contains("classic"), "{table}");

    // Both are killed, and their places would be kept for their sessions.
    drop((old, new));
    let said = done(&node, &["group", "members", "g", "--remove", "two", "--remove", "one"], "");
    assert!(said.contains("two removed from g"), "{said}");
    assert_eq!(json(&node, &["group", "members", "g"]), Value::Array(Vec::new()));
    fails(
        &node.bootstrap(),
        &["group", "members", "g", "--remove", "two"],
        "",
        (6, "see `duramen"),
    );
}

#[test]
fn a_group_is_given_its_own_times() {
    let node = node();
    topic(&node, "orders", 1);
    let session = "consumer.session.timeout.ms=50000";
    let alter = ["group", "alter", "g", "--set", session];
    assert_eq!(done(&node, &[&alter[..], &["--dry-run"]].concat(), ""), "g could be changed\n");
    // The group need not be there.
    assert_eq!(done(&node, &alter, ""), "g changed\n");
    consume(&node, "g", &[]);
    let described = json(&node, &["group", "describe", "g"]);
    let configs = described[0]["configs"].as_array().unwrap();
    assert_eq!(configs.len(), 1, "{described}");
    assert_eq!(configs[0]["value"], "50000");
    assert_eq!(configs[0]["source"], "DYNAMIC_GROUP_CONFIG");
    let all = done(&node, &["group", "describe", "g", "--configs", "--format", "table"], "");
    assert!(all.contains("consumer.heartbeat.interval.ms") && all.contains("5000"), "{all}");
    done(&node, &["group", "alter", "g", "--unset", "consumer.session.timeout.ms"], "");
    assert_eq!(json(&node, &["group", "describe", "g"])[0]["configs"], Value::Array(Vec::new()));
    for (arguments, expected) in [
        (&["group", "alter", "g", "--set", "consumer.session.timeout.ms=1"][..], (6, "(45000)")),
        (&["group", "alter", "g", "--set", "retention.ms=1"], (6, "Unknown group config")),
        (&["group", "alter", "g"], (2, "nothing to change")),
    ] {
        fails(&node.bootstrap(), arguments, "", expected);
    }
}

#[test]
fn a_reset_says_what_it_would_do_and_does_it_when_told() {
    let node = node();
    topic(&node, "orders", 10);
    consume(&node, "g", &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let after = |arguments: &[&str]| -> Vec<i64> {
        let plan = json(&node, &[&["group", "reset", "g"], arguments].concat());
        let partitions = plan["partitions"].as_array().unwrap();
        partitions.iter().map(|partition| partition["after"].as_i64().unwrap()).collect()
    };
    for (arguments, want) in [
        (&["--to", "start"][..], vec![0, 0, 0]),
        (&["--to", "end"], vec![10, 10, 10]),
        (&["--to", "4"], vec![4, 4, 4]),
        (&["--to", "400"], vec![10, 10, 10]),
        (&["--to", "-3"], vec![7, 7, 7]),
        (&["--to", "@-1h"], vec![0, 0, 0]),
        (&["--to", "current"], vec![10, 10, 10]),
        (&["--shift", "-4"], vec![6, 6, 6]),
        (&["--to", "2", "--topic", "orders:0,2"], vec![2, 2]),
    ] {
        assert_eq!(after(arguments), want, "{arguments:?}");
    }
    assert_eq!(lag(&node, "g")["lag"], 0, "nothing was changed");

    for (arguments, left) in [
        (&["--to", "current", "--export", &path("end.csv")][..], 0),
        (&["--shift", "-4", "--execute"], 12),
        (&["--to", "current", "--export", &path("now.json")], 12),
        (&["--topic", "orders:1", "--to", "@-1h", "--execute"], 18),
        (&["--from-file", &path("now.json"), "--execute"], 12),
        (&["--from-file", &path("end.csv"), "--execute"], 0),
    ] {
        after(arguments);
        assert_eq!(lag(&node, "g")["lag"], left, "{arguments:?}");
    }
    let exported = fs::read_to_string(path("end.csv")).unwrap();
    assert_eq!(exported, "orders,0,10\norders,1,10\norders,2,10\n");

    done(&node, &["group", "seek", "g", "orders", "2", "3", "--execute"], "");
    let from = ["group", "reset", "copy", "--from-group", "g", "--execute"];
    done(&node, &from, "");
    assert_eq!(lag(&node, "copy")["lag"], 7, "a new group stands where the other does");
    assert_eq!(consume(&node, "copy", &[]).len(), 7);
    done(&node, &["group", "delete", "copy", "--topic", "orders:0"], "");
    assert_eq!(lag(&node, "copy")["partitions"].as_array().unwrap().len(), 2);
}

#[test]
fn topics_are_read_by_a_pattern_in_either_protocol() {
    let node = node();
    for name in ["orders-1", "orders-2", "old-orders"] {
        topic(&node, name, 2);
    }
    for protocol in ["classic", "consumer", "auto"] {
        let arguments =
            ["consume", "--topic-regex", "orders-.", "-e", "-g", protocol, "--protocol", protocol];
        assert_eq!(done(&node, &arguments, "").lines().count(), 12, "{protocol}");
        assert_eq!(lag(&node, protocol)["lag"], 0);
        assert_eq!(lag(&node, protocol)["partitions"].as_array().unwrap().len(), 6);
    }
    let listed = json(&node, &["group", "list", "--type", "classic"]);
    assert_eq!(listed[0]["group"], "classic", "{listed}");
    let wrong = ["consume", "--topic-regex", "orders(", "-g", "g"];
    fails(&node.bootstrap(), &wrong, "", (2, "pattern orders("));
    for (arguments, words) in [
        (&["consume", "--topic-regex", "o", "orders-1", "-g", "g"][..], "cannot be used with"),
        (&["consume", "--topic-regex", "o"], "--group <GROUP>"),
        (&["consume", "-g", "g"], "<TOPIC>"),
    ] {
        let ran = run(&node.bootstrap(), arguments, "");
        assert!(ran.code == 2 && ran.err.contains(words), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn failures_have_a_code_and_say_what_to_do() {
    let node = node();
    topic(&node, "orders", 1);
    consume(&node, "g", &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.csv");
    fs::write(&file, "orders,0,1\norders,one,1\n").unwrap();
    let file = file.display().to_string();
    let no_broker = format!("127.0.0.1:{}", free_port());
    fails(&no_broker, &["group", "list"], "", (3, "is a broker running there?"));
    for (arguments, expected) in [
        (&["group", "describe", "nope"][..], (4, "there is no group nope")),
        (&["group", "lag", "nope"], (4, "duramen group list")),
        (&["group", "members", "nope"], (4, "there is no group")),
        (&["group", "delete", "nope"], (4, "duramen group list")),
        (&["group", "delete", "g", "--topic", "other"], (4, "has committed nothing of that")),
        (&["group", "reset", "nope", "--to", "start"], (4, "name what to set with --topic")),
        (&["group", "reset", "g", "--to", "later"], (2, "is no offset")),
        (&["group", "reset", "g", "--to", "1:2"], (2, "is a range")),
        (&["group", "reset", "g", "--topic", "nope", "--to", "start"], (4, "does not exist")),
        (
            &["group", "reset", "g", "--topic", "orders:7", "--to", "start"],
            (4, "no partition orders-7"),
        ),
        (&["group", "reset", "g", "--from-group", "nope"], (4, "has committed nothing")),
        (
            &["group", "reset", "g", "--from-file", &file],
            (7, "line 2: write topic,partition,offset"),
        ),
        (&["group", "reset", "g", "--from-file", "no-such-file"], (4, "no such file")),
        (&["group", "seek", "g", "orders", "9", "0"], (4, "no partition orders-9")),
        (&["group", "members", "g", "--remove", "nobody"], (6, "duramen group members")),
        (&["consume", "nope", "--group", "g"], (4, "does not exist")),
        (&["consume", "orders", "--group", "g", "-o", "5"], (2, "duramen group reset g")),
    ] {
        fails(&node.bootstrap(), arguments, "", expected);
    }
    let usage = run(&node.bootstrap(), &["group", "reset", "g"], "");
    assert_eq!(usage.code, 2, "{}", usage.err);
    assert!(usage.err.contains("--from-file"), "{}", usage.err);
}

#[test]
fn a_profile_stands_for_brokers() {
    let node = node();
    topic(&node, "orders", 1);
    let config = tempfile::tempdir().unwrap();
    let duramen = |arguments: &[&str], more: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
        for name in ["DURAMEN_BROKERS", "DURAMEN_PROFILE", "DURAMEN_FORMAT"] {
            command.env_remove(name);
        }
        command.args(arguments).envs(more.iter().copied());
        let output = command.env("XDG_CONFIG_HOME", config.path()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let brokers = node.bootstrap();
    let list = ["topic", "list", "--format", "text"];
    assert_eq!(duramen(&["profile", "set", "here", "--to", &brokers], &[]).0, 0);
    assert_eq!(duramen(&["profile", "set", "gone", "--to", "127.0.0.1:1"], &[]).0, 0);
    assert!(duramen(&[&list[..], &["--profile", "here"]].concat(), &[]).1.contains("orders"));
    assert!(duramen(&list, &[("DURAMEN_PROFILE", "here")]).1.contains("orders"));
    assert_eq!(duramen(&["profile", "use", "here"], &[]).1, "here is in use\n");
    assert!(duramen(&list, &[]).1.contains("orders"));
    assert_eq!(duramen(&list, &[("DURAMEN_BROKERS", "127.0.0.1:1")]).0, 3, "brokers named win");
    let both = duramen(&[&list[..], &["--profile", "here", "--brokers", &brokers]].concat(), &[]);
    assert_eq!((both.0, both.2.contains("leave one out")), (2, true), "{}", both.2);
    let listed = duramen(&["profile", "list", "--format", "text"], &[]).1;
    assert_eq!(listed, format!("\tgone\t127.0.0.1:1\n*\there\t{brokers}\n"));
    assert_eq!(duramen(&["profile", "delete", "here"], &[]).0, 0);
    assert_eq!(duramen(&list, &[("DURAMEN_PROFILE", "here")]).0, 4);
    assert_eq!(duramen(&["profile", "use", "nope"], &[]).0, 4);
    assert_eq!(duramen(&["profile", "set", "a b", "--to", "x:1"], &[]).0, 2);
    assert_eq!(duramen(&["profile", "set", "a", "--to", "x:port"], &[]).0, 2);
}

/// Numbers that `duramen produce` writes into `orders`, some more each moment.
struct Flow {
    producer: Running,
    stop: Sender<()>,
    writer: JoinHandle<usize>,
}

impl Flow {
    fn start(node: &Node) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
        command.args(["produce", "orders"]).env("DURAMEN_BROKERS", node.bootstrap());
        let mut producer = Running::start(command.stdin(Stdio::piped()));
        let mut stdin = producer.stdin.take().unwrap();
        let (stop, stopped) = channel();
        let writer = thread::spawn(move || {
            let mut count = 0;
            // A test that fails is no longer there to ask, which ends this as well.
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                let lines: String = (count..count + 20).map(|it| format!("{it}\n")).collect();
                stdin.write_all(lines.as_bytes()).unwrap();
                count += 20;
                thread::sleep(Duration::from_millis(2)); // nobody waits for this: it is the pace
            }
            count
        });
        Self { producer, stop, writer }
    }

    /// How many there are, once all are written.
    fn stop(self) -> usize {
        self.stop.send(()).unwrap();
        let count = self.writer.join().unwrap();
        assert!(self.producer.output().status.success());
        count
    }
}

/// Killed at any moment, it repeats what it had not committed, and leaves nothing out.
#[test]
fn a_member_that_is_killed_leaves_nothing_out() {
    // Its place is kept for the session of the one that was killed.
    let node = Node::start(&[
        "group.initial.rebalance.delay.ms=0",
        "group.consumer.min.session.timeout.ms=1000",
        "group.consumer.session.timeout.ms=6000",
        "group.consumer.min.heartbeat.interval.ms=500",
        "group.consumer.heartbeat.interval.ms=1000",
    ]);
    topic(&node, "orders", 0);
    let flow = Flow::start(&node);
    // One that comes back under its name waits for no session to end, in a classic group.
    let member = "consume orders --group g --instance one --protocol classic --prefetch 4k";
    let arguments: Vec<&str> = member.split(' ').collect();
    let folder = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut chance = Chance::new();
    println!("seed {}", chance.seed);
    for round in 0..4 {
        let path = folder.path().join(round.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
        command.args(&arguments).env("DURAMEN_BROKERS", node.bootstrap());
        let mut child = Running::start(command.stdout(fs::File::create(&path).unwrap()));
        eventually("it prints", PATIENCE, || {
            (fs::metadata(&path).unwrap().len() > 0).then_some(())
        });
        thread::sleep(Duration::from_millis(chance.below(300))); // the moment of the kill
        child.kill().unwrap();
        child.wait().unwrap();
        let printed = fs::read_to_string(&path).unwrap();
        // The last line may be torn.
        let whole = &printed[..printed.rfind('\n').map_or(0, |end| end + 1)];
        seen.extend(whole.lines().map(str::to_owned));
    }
    let records = flow.stop();
    let rest = done(&node, &[&arguments[..], &["-e"]].concat(), "");
    seen.extend(rest.lines().map(str::to_owned));
    assert_eq!(seen.len(), records);
    assert_eq!(lag(&node, "g")["lag"], 0);
}

#[test]
fn shells_complete_the_verbs() {
    let completion = run("", &["completion", "bash"], "");
    assert_eq!(completion.code, 0, "{}", completion.err);
    for word in ["duramen__group__reset", "--from-group", "duramen__profile__use", "--commit"] {
        let other = word.replace("__", "__subcmd__");
        assert!(completion.out.contains(word) || completion.out.contains(&other), "{word}");
    }
}
