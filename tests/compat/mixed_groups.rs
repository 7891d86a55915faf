//! Our client and another in one group: whoever leads, the partitions are shared, and every record
//! comes to one of them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::time::Duration;

use duramen_client::Admin;
use duramen_client::admin::NewTopic;
use duramen_client::cluster::{Cluster, ClusterOptions};
use duramen_client::consumer::group::{
    Assignor, GroupConsumer, GroupEvent, GroupOptions, GroupProtocol,
};
use duramen_client::producer::{Producer, ProducerOptions, ProducerRecord};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout};

use crate::runner::{Case, Context, Need};
use crate::support::child::Running;

const PARTITIONS: i32 = 6;
/// Numbers of a round.
const ROUND: u32 = 300;
const PATIENCE: Duration = Duration::from_secs(240);

pub const CASES: &[Case] = &[
    Case { name: "mixed_groups::with_kcat", need: Need::Kcat, run: kcat },
    Case { name: "mixed_groups::with_kafka_python", need: Need::Python, run: kafka_python },
    Case { name: "mixed_groups::with_aiokafka", need: Need::Python, run: aiokafka },
    Case { name: "mixed_groups::with_confluent_sticky", need: Need::Python, run: confluent },
    Case { name: "mixed_groups::with_java", need: Need::Java, run: java },
    Case { name: "mixed_groups::with_java_sticky", need: Need::Java, run: java_sticky },
    Case { name: "mixed_groups::with_java_eager_sticky", need: Need::Java, run: java_eager },
    Case { name: "mixed_groups::with_java_round_robin", need: Need::Java, run: java_round_robin },
    Case { name: "mixed_groups::with_java_kip848", need: Need::Java, run: java_kip848 },
    Case { name: "mixed_groups::with_confluent_round_robin", need: Need::Python, run: round_robin },
    Case { name: "mixed_groups::with_confluent_kip848", need: Need::Python, run: kip848 },
];

const COMMON: How = How::Classic(&[Assignor::Range, Assignor::CooperativeSticky]);
const STICKY: How = How::Classic(&[Assignor::CooperativeSticky]);

/// How our side shares the partitions out with the other.
#[derive(Clone, Copy)]
enum How {
    Classic(&'static [Assignor]),
    Kip848,
}

fn kcat(context: &Context) {
    let command = context.tools.kcat_command(&[
        "-b",
        &context.bootstrap(),
        "-X",
        "auto.offset.reset=earliest",
        "-X",
        "auto.commit.interval.ms=200",
        "-uqf",
        "%s\\n",
        "-G",
        "mixed-kcat",
        "mixed-kcat",
    ]);
    mixed(context, "mixed-kcat", COMMON, command);
}

fn kafka_python(context: &Context) {
    let source = r"
from kafka import KafkaConsumer
consumer = KafkaConsumer('TOPIC', bootstrap_servers='SERVERS', group_id='TOPIC',
                         auto_offset_reset='earliest', auto_commit_interval_ms=200)
for record in consumer:
    print(record.value.decode(), flush=True)
";
    python(context, "mixed-kafka-python", COMMON, source);
}

fn aiokafka(context: &Context) {
    let source = r"
import asyncio
from aiokafka import AIOKafkaConsumer
async def main():
    consumer = AIOKafkaConsumer('TOPIC', bootstrap_servers='SERVERS', group_id='TOPIC',
                                auto_offset_reset='earliest', auto_commit_interval_ms=200)
    await consumer.start()
    async for record in consumer:
        print(record.value.decode(), flush=True)
asyncio.run(main())
";
    let how = How::Classic(&[Assignor::RoundRobin, Assignor::Range]);
    python(context, "mixed-aiokafka", how, source);
}

fn confluent(context: &Context) {
    librdkafka(context, "mixed-confluent", STICKY, STRATEGY, "cooperative-sticky");
}

fn round_robin(context: &Context) {
    let how = How::Classic(&[Assignor::RoundRobin]);
    librdkafka(context, "mixed-confluent-round-robin", how, STRATEGY, "roundrobin");
}

fn kip848(context: &Context) {
    librdkafka(context, "mixed-confluent-kip848", How::Kip848, "group.protocol", "consumer");
}

const STRATEGY: &str = "partition.assignment.strategy";

fn librdkafka(context: &Context, topic: &str, how: How, name: &str, value: &str) {
    let source = r"
from confluent_kafka import Consumer
consumer = Consumer({'bootstrap.servers': 'SERVERS', 'group.id': 'TOPIC',
                     'auto.offset.reset': 'earliest', 'auto.commit.interval.ms': 200,
                     'NAME': 'VALUE'})
consumer.subscribe(['TOPIC'])
while True:
    record = consumer.poll(1)
    if record is not None and record.error() is None:
        print(record.value().decode(), flush=True)
";
    python(context, topic, how, &source.replace("NAME", name).replace("VALUE", value));
}

fn python(context: &Context, topic: &str, how: How, source: &str) {
    let source = source.replace("TOPIC", topic).replace("SERVERS", &context.bootstrap());
    mixed(context, topic, how, context.tools.python_command(&source));
}

fn java(context: &Context) {
    java_assignor(context, "mixed-java", COMMON, "RangeAssignor");
}

fn java_sticky(context: &Context) {
    java_assignor(context, "mixed-java-sticky", STICKY, "CooperativeStickyAssignor");
}

fn java_eager(context: &Context) {
    let how = How::Classic(&[Assignor::Sticky]);
    java_assignor(context, "mixed-java-eager", how, "StickyAssignor");
}

fn java_round_robin(context: &Context) {
    let how = How::Classic(&[Assignor::RoundRobin]);
    java_assignor(context, "mixed-java-round-robin", how, "RoundRobinAssignor");
}

fn java_kip848(context: &Context) {
    console_consumer(context, "mixed-java-kip848", How::Kip848, "group.protocol=consumer");
}

fn java_assignor(context: &Context, topic: &str, how: How, theirs: &str) {
    let theirs = format!("{STRATEGY}=org.apache.kafka.clients.consumer.{theirs}");
    console_consumer(context, topic, how, &theirs);
}

fn console_consumer(context: &Context, topic: &str, ours: How, theirs: &str) {
    let command = context.tools.java_command(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        &[
            "--bootstrap-server",
            &context.bootstrap(),
            "--topic",
            topic,
            "--group",
            topic,
            "--from-beginning",
            "--command-property",
            theirs,
            "--command-property",
            "auto.commit.interval.ms=200",
        ],
    );
    mixed(context, topic, ours, command);
}

/// The other client, and where it prints.
struct Other {
    child: Running,
    folder: TempDir,
}

impl Other {
    fn start(mut command: Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        Self { child: Running::start(&mut command), folder }
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Asks it to end, so that it writes what it still holds; the numbers that it printed.
    fn stop(mut self) -> Vec<u32> {
        self.child.ask_to_stop();
        self.child.wait().unwrap();
        self.text("out").lines().filter_map(|line| line.trim().parse().ok()).collect()
    }
}

/// Our side.
struct Ours<'a> {
    cluster: Cluster,
    topic: &'a str,
    how: How,
    member: Option<GroupConsumer>,
    owned: usize,
    seen: Vec<u32>,
}

fn mixed(context: &Context, topic: &str, how: How, command: Command) {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::new(&context.bootstrap(), ClusterOptions::default()).unwrap();
        let mut ours = Ours { cluster, topic, how, member: None, owned: 0, seen: Vec::new() };
        ours.make_topic().await;
        // We are here first, and lead.
        ours.join();
        ours.until("we own all", |ours, _| ours.owned == 6).await;
        let other = Other::start(command);
        ours.until("we share", |ours, members| ours.owned == 3 && members == 2).await;
        ours.write(0).await;
        ours.until_all_is_read(1).await;
        // The other is left alone, and leads when we come back.
        ours.leave().await;
        ours.write(1).await;
        ours.until_all_is_read(2).await;
        ours.join();
        ours.until("we share again", |ours, members| ours.owned == 3 && members == 2).await;
        ours.write(2).await;
        ours.until_all_is_read(3).await;
        ours.leave().await;

        let errors = other.text("err");
        let theirs = other.stop();
        let all: BTreeSet<u32> = ours.seen.iter().chain(&theirs).copied().collect();
        assert_eq!(all.len(), 3 * ROUND as usize, "every record came to one of us: {errors}");
        let distinct: BTreeSet<u32> = ours.seen.iter().copied().collect();
        assert_eq!(distinct.len(), ours.seen.len(), "and none twice to us");
        assert!(!theirs.is_empty() && !distinct.is_empty());
    });
}

impl Ours<'_> {
    fn admin(&self) -> Admin {
        Admin::new(&self.cluster)
    }

    async fn make_topic(&self) {
        let topic = NewTopic::new(self.topic).partitions(PARTITIONS);
        for made in self.admin().create_topics(&[topic], false).await.unwrap() {
            made.result.unwrap();
        }
    }

    fn join(&mut self) {
        let (protocol, assignors) = match self.how {
            How::Classic(assignors) => (GroupProtocol::Classic, assignors.to_vec()),
            How::Kip848 => (GroupProtocol::Consumer, Vec::new()),
        };
        let options = GroupOptions::new(self.topic)
            .protocol(protocol)
            .assignors(assignors)
            .heartbeat(Duration::from_millis(500))
            .auto_commit(Some(Duration::from_millis(200)));
        self.owned = 0;
        self.member = Some(GroupConsumer::join(&self.cluster, options, [self.topic]).unwrap());
    }

    async fn leave(&mut self) {
        if let Some(member) = self.member.take() {
            member.close().await.unwrap();
        }
    }

    async fn write(&self, round: u32) {
        let producer = Producer::start(&self.cluster, ProducerOptions::default()).unwrap();
        let mut sent = Vec::new();
        for number in round * ROUND..(round + 1) * ROUND {
            let value = number.to_string();
            let mut record = ProducerRecord::new(self.topic, value.as_bytes());
            record.partition = Some(number.cast_signed() % PARTITIONS);
            sent.push(producer.enqueue(record).await.unwrap());
        }
        for delivery in sent {
            delivery.await.unwrap();
        }
    }

    /// Reads for a while, if we are in the group.
    async fn read(&mut self) {
        let Some(member) = &mut self.member else {
            return tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let Ok(event) = timeout(Duration::from_millis(100), member.next()).await else { return };
        match event.unwrap().unwrap() {
            GroupEvent::Records(fetched) => {
                let seen = &mut self.seen;
                let visited = fetched.visit::<()>(&mut Vec::new(), |_, record| {
                    let text = std::str::from_utf8(record.value.unwrap()).unwrap();
                    seen.push(text.parse().unwrap());
                    ControlFlow::Continue(())
                });
                assert!(visited.is_ok());
            }
            GroupEvent::Assigned(added) => self.owned += added.len(),
            GroupEvent::Revoked(gone) | GroupEvent::Lost(gone) => self.owned -= gone.len(),
            event => panic!("{event:?}"),
        }
    }

    /// Reads until that is so; `is_so` also gets how many members a stable group has.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Self, usize) -> bool) {
        let began = Instant::now();
        loop {
            self.read().await;
            let group = self.admin().describe_groups(&[self.topic.into()]).await.unwrap();
            let members = match &group[0].result {
                Ok(group) if group.state.as_str() == "Stable" => group.members.len(),
                _ => 0,
            };
            if is_so(self, members) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: {} owned, {members} members", self.owned);
        }
    }

    /// Reads until the group has committed so many rounds.
    async fn until_all_is_read(&mut self, rounds: u32) {
        let began = Instant::now();
        loop {
            self.read().await;
            let committed = self.admin().committed_offsets(&[self.topic.into()]).await.unwrap();
            let committed = committed[0].result.as_ref().unwrap();
            let sum: i64 = committed.values().map(|committed| committed.offset).sum();
            if sum == i64::from(rounds * ROUND) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{sum} committed in round {rounds}");
        }
    }
}
