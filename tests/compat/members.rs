//! Members of groups: processes of real clients, and what they tell of themselves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::runner::{Need, tail};
use crate::support::child::Running;
use crate::support::eventually;
use crate::tools::Tools;

/// The clients that can be a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    KafkaPython,
    Aiokafka,
    Confluent,
    ConfluentSticky,
    ConfluentKip848,
    KafkaJs,
    Java,
    JavaSticky,
    JavaKip848,
    /// Tells only what it reads, at the moment when that is heard.
    Kcat,
}

/// What a member says that happens to it; numbers are partitions and offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Assigned(Vec<i32>),
    Revoked(Vec<i32>),
    /// Its place in the group was gone before it knew.
    Lost(Vec<i32>),
    Read {
        partition: i32,
        first: i64,
        last: i64,
    },
    /// The group goes on there; the broker has answered.
    Committed {
        partition: i32,
        next: i64,
    },
    /// A commit failed: some clients then read again what they have not committed.
    Refused(String),
    /// Anything else.
    Said(String),
}

/// An event and its moment, in seconds of the monotonic clock that all processes share.
#[derive(Debug, Clone)]
pub struct Told {
    pub at: f64,
    pub event: Event,
}

/// Where a member reads.
#[derive(Debug, Clone)]
pub struct Place {
    pub bootstrap: String,
    pub topic: String,
    pub group: String,
    /// Where it is the member that says after how long it is missed, in the classic protocol.
    pub session_ms: u32,
}

/// All that a member has told, and when it was killed.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub name: String,
    pub told: Vec<Told>,
    pub killed: Option<f64>,
}

impl Client {
    /// Those that tell all.
    pub const ALL: [Self; 8] = [
        Self::KafkaPython,
        Self::Aiokafka,
        Self::Confluent,
        Self::ConfluentSticky,
        Self::ConfluentKip848,
        Self::KafkaJs,
        Self::Java,
        Self::JavaKip848,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::KafkaPython => "kafka-python",
            Self::Aiokafka => "aiokafka",
            Self::Confluent => "confluent",
            Self::ConfluentSticky => "confluent-sticky",
            Self::ConfluentKip848 => "confluent-kip848",
            Self::KafkaJs => "kafkajs",
            Self::Java => "java",
            Self::JavaSticky => "java-sticky",
            Self::JavaKip848 => "java-kip848",
            Self::Kcat => "kcat",
        }
    }

    pub fn need(self) -> Need {
        match self {
            Self::KafkaJs => Need::Node,
            Self::Java | Self::JavaSticky | Self::JavaKip848 => Need::Java,
            Self::Kcat => Need::Kcat,
            _ => Need::Python,
        }
    }

    /// A process that joins the group and reads until it is killed.
    fn command(self, tools: &Tools, place: &Place) -> Command {
        let Place { bootstrap, topic, group, session_ms } = place;
        match self {
            // its place is never left empty for long: it gives up soon, and comes back as another
            Self::KafkaJs => tools.node_command("member.js", &[bootstrap, topic, group]),
            Self::Java => {
                verifiable(tools, place, &format!("classic --session-timeout {session_ms}"))
            }
            Self::JavaSticky => {
                let sticky = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
                let own = format!(
                    "classic --session-timeout {session_ms} --assignment-strategy {sticky}"
                );
                verifiable(tools, place, &own)
            }
            Self::JavaKip848 => verifiable(tools, place, "consumer"),
            Self::Kcat => {
                let mut command = tools.kcat_command(&["-b", bootstrap, "-uqf", "%p %o\\n"]);
                let session = format!("session.timeout.ms={session_ms}");
                for setting in SETTINGS_OF_KCAT.iter().chain([&session.as_str()]) {
                    command.args(["-X", setting]);
                }
                command.args(["-G", group, topic]);
                command
            }
            python => {
                let session = session_ms.to_string();
                let arguments = [python.name(), bootstrap, topic, group, &session];
                tools.python_script("member.py", &arguments)
            }
        }
    }

    fn parse(self, line: &str) -> Vec<Told> {
        match self {
            Self::Java | Self::JavaSticky | Self::JavaKip848 => parse_verifiable(line),
            Self::Kcat => parse_kcat(line).into_iter().collect(),
            _ => parse_plain(line).into_iter().collect(),
        }
    }
}

const SETTINGS_OF_KCAT: [&str; 3] =
    ["auto.offset.reset=earliest", "auto.commit.interval.ms=200", "heartbeat.interval.ms=500"];

/// Kafka's VerifiableConsumer commits what it has read before it reads on.
fn verifiable(tools: &Tools, place: &Place, protocol: &str) -> Command {
    let Place { bootstrap, topic, group, .. } = place;
    let arguments = format!(
        "--bootstrap-server {bootstrap} --topic {topic} --group-id {group} \
         --reset-policy earliest --group-protocol {protocol}"
    );
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    tools.java_command("org.apache.kafka.tools.VerifiableConsumer", &arguments)
}

/// A member that runs, until it is killed or dropped.
pub struct Member {
    client: Client,
    child: Running,
    history: Arc<Mutex<History>>,
    errors: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Member {
    fn start(client: Client, tools: &Tools, place: &Place, name: String) -> Self {
        let mut command = client.command(tools, place);
        // a member ends with its standard input
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Running::start(&mut command);
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let history = Arc::new(Mutex::new(History { name, ..History::default() }));
        let errors = Arc::new(Mutex::new(String::new()));
        let (told, kept) = (Arc::clone(&history), Arc::clone(&errors));
        let readers = vec![
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    locked(&told).told.extend(client.parse(&line));
                }
            }),
            thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(length @ 1..) = stderr.read(&mut piece) {
                    locked(&kept).push_str(&String::from_utf8_lossy(&piece[..length]));
                }
            }),
        ];
        Self { client, child, history, errors, readers }
    }

    /// Asks it to leave the group, and waits until it has.
    pub fn leave(&mut self) {
        self.child.ask_to_stop();
        eventually("a member leaves", Duration::from_secs(120), || self.child.try_wait().unwrap());
        self.kill();
    }

    /// Ends it at once, as `kill -9` does. From then on it owns nothing.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let killed = now();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        locked(&self.history).killed.get_or_insert(killed);
    }

    pub fn history(&self) -> History {
        locked(&self.history).clone()
    }

    pub fn commits(&self) -> usize {
        let is_commit = |told: &&Told| matches!(told.event, Event::Committed { .. });
        locked(&self.history).told.iter().filter(is_commit).count()
    }

    /// Panics when it has ended by itself.
    pub fn check(&mut self) {
        if locked(&self.history).killed.is_some() {
            return;
        }
        if let Ok(Some(status)) = self.child.try_wait() {
            panic!("{:?} ended with {status}: {}", self.client, self.last_words(8));
        }
    }

    /// The last things that it told, for the message of a failure.
    pub fn last_words(&self, count: usize) -> String {
        let history = self.history();
        let mut words = format!("{}, killed {:?}:", history.name, history.killed);
        for told in history.told.iter().rev().take(count).rev() {
            let _ = write!(words, "\n  {:.3} {:?}", told.at, told.event);
        }
        let errors = locked(&self.errors);
        let _ = write!(words, "\n  it complained: {}", tail(&errors, 12));
        words
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no reader panics")
}

/// All members that one group has had.
pub struct Group<'a> {
    client: Client,
    tools: &'a Tools,
    pub place: Place,
    pub members: Vec<Member>,
}

impl<'a> Group<'a> {
    /// A group whose dead are missed after a while, and those not that the machine holds up for a moment.
    pub fn new(client: Client, tools: &'a Tools, bootstrap: &str, topic: &str, name: &str) -> Self {
        let (bootstrap, topic, group) = (bootstrap.to_owned(), topic.to_owned(), name.to_owned());
        let place = Place { bootstrap, topic, group, session_ms: 15_000 };
        Self { client, tools, place, members: Vec::new() }
    }

    /// Starts one member more.
    pub fn join(&mut self) {
        self.join_as(self.client);
    }

    /// Starts one member more, of this client.
    pub fn join_as(&mut self, client: Client) {
        let name = format!("{} of {}", self.members.len(), self.place.group);
        self.members.push(Member::start(client, self.tools, &self.place, name));
    }

    pub fn histories(&self) -> Vec<History> {
        self.members.iter().map(Member::history).collect()
    }

    /// Panics when a member has ended by itself.
    pub fn check(&mut self) {
        self.members.iter_mut().for_each(Member::check);
    }

    /// Where each partition's commits stand.
    pub fn committed(&self) -> BTreeMap<i32, i64> {
        let mut offsets = BTreeMap::new();
        for told in self.histories().into_iter().flat_map(|history| history.told) {
            if let Event::Committed { partition, next } = told.event {
                let best = offsets.entry(partition).or_insert(next);
                *best = next.max(*best);
            }
        }
        offsets
    }

    pub fn last_words(&self, count: usize) -> String {
        self.members.iter().map(|member| format!("\n{}", member.last_words(count))).collect()
    }
}

/// Seconds of the monotonic clock.
pub fn now() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.cast_unsigned(), now.tv_nsec as u32).as_secs_f64()
}

/// `TIME WORD NUMBER…`, as the members in python/ and node/ tell it.
fn parse_plain(line: &str) -> Option<Told> {
    let (at, rest) = line.split_once(' ')?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (word, numbers) = words.split_first()?;
    let numbers: Option<Vec<i64>> = numbers.iter().map(|number| number.parse().ok()).collect();
    let numbers = numbers.unwrap_or_default();
    let partitions = || numbers.iter().map(|number| *number as i32).collect();
    let event = match (*word, numbers.as_slice()) {
        ("assigned", _) => Event::Assigned(partitions()),
        ("revoked", _) => Event::Revoked(partitions()),
        ("lost", _) => Event::Lost(partitions()),
        ("read", [partition, first, last]) => {
            Event::Read { partition: *partition as i32, first: *first, last: *last }
        }
        ("committed", [partition, next]) => {
            Event::Committed { partition: *partition as i32, next: *next }
        }
        ("refused", _) => Event::Refused(rest.to_owned()),
        _ => Event::Said(rest.to_owned()),
    };
    Some(Told { at: at.parse().ok()?, event })
}

/// `PARTITION OFFSET`
fn parse_kcat(line: &str) -> Option<Told> {
    let (partition, offset) = line.split_once(' ')?;
    let offset = offset.parse().ok()?;
    let event = Event::Read { partition: partition.parse().ok()?, first: offset, last: offset };
    Some(Told { at: now(), event })
}

/// One line of JSON, as VerifiableConsumer prints it; its times are those of the wall clock.
fn parse_verifiable(line: &str) -> Vec<Told> {
    let Ok(told) = serde_json::from_str::<Value>(line) else { return Vec::new() };
    let began = *BOOTED.get_or_init(booted);
    let at = told["timestamp"].as_f64().unwrap_or_default() / 1000.0 - began;
    let list = |name: &str| told[name].as_array().cloned().unwrap_or_default();
    let partition = |one: &Value| one["partition"].as_i64().unwrap_or(-1) as i32;
    let partitions = || list("partitions").iter().map(partition).collect();
    let offset = |one: &Value, name: &str| one[name].as_i64().unwrap_or(-1);
    let events = match told["name"].as_str().unwrap_or_default() {
        "partitions_assigned" => vec![Event::Assigned(partitions())],
        "partitions_revoked" => vec![Event::Revoked(partitions())],
        "records_consumed" => list("partitions")
            .iter()
            .map(|one| Event::Read {
                partition: partition(one),
                first: offset(one, "minOffset"),
                last: offset(one, "maxOffset"),
            })
            .collect(),
        "offsets_committed" if told["success"] == true => list("offsets")
            .iter()
            .map(|one| Event::Committed { partition: partition(one), next: offset(one, "offset") })
            .collect(),
        "offsets_committed" => vec![Event::Refused(line.to_owned())],
        _ => vec![Event::Said(line.to_owned())],
    };
    events.into_iter().map(|event| Told { at, event }).collect()
}

/// Asks both clocks at one moment, again if the machine held us up in between.
fn booted() -> f64 {
    loop {
        let before = now();
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        if now() - before < 0.001 {
            return since_1970.expect("after 1970").as_secs_f64() - before;
        }
    }
}

/// What the monotonic clock's zero is on the wall clock; asked once, so that it is the same for all.
static BOOTED: std::sync::OnceLock<f64> = std::sync::OnceLock::new();
