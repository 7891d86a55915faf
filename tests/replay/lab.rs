//! A broker, a folder to run `duramen replay` in, and records that can be told apart.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use duramen_client::admin::NewTopic;
use duramen_client::cluster::{Cluster, ClusterOptions};
use duramen_client::consumer::{Assignment, Consumer, ConsumerOptions, Isolation, Start};
use duramen_client::producer::{Delivery, HeaderView, Producer, ProducerOptions, ProducerRecord};
use duramen_client::{Admin, ClientError};
use tempfile::TempDir;

use crate::api::Node;
use crate::process::child::Running;

/// What is kept of a record by a replay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rec {
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Rec {
    pub fn new(timestamp: i64, key: &str, value: &str) -> Self {
        Self { timestamp, key: Some(key.into()), value: Some(value.into()), headers: Vec::new() }
    }

    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), Some(value.into())));
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or(b"<null>")).into_owned()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(String::from_utf8_lossy(value.as_deref()?).into_owned())
    }

    /// Without what the replay added.
    pub fn plain(&self) -> Self {
        let mut plain = self.clone();
        plain.headers.retain(|(name, _)| !name.starts_with("duramen.replay."));
        plain
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    #[track_caller]
    pub fn failed(self, code: i32, words: &str) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(words), "{self:?}");
        assert_eq!(self.err.trim_end().lines().count(), 1, "one line: {self:?}");
        self
    }
}

/// See the top of the file.
pub struct Lab {
    pub cluster: Cluster,
    bootstrap: String,
    folder: TempDir,
    /// Kept for as long as the lab.
    pub node: Option<Node>,
}

impl Lab {
    /// On a broker in this process.
    pub async fn start() -> Self {
        let node = Node::start().await;
        let mut lab = Self::on(&node.address().to_string());
        lab.node = Some(node);
        lab
    }

    /// On a broker that runs somewhere.
    pub fn on(bootstrap: &str) -> Self {
        Self {
            cluster: Cluster::new(bootstrap, ClusterOptions::default()).unwrap(),
            bootstrap: bootstrap.to_owned(),
            folder: tempfile::tempdir().unwrap(),
            node: None,
        }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub async fn topic(&self, name: &str, partitions: i32) {
        let topic = NewTopic::new(name).partitions(partitions);
        let made = Admin::new(&self.cluster).create_topics(&[topic], false).await.unwrap();
        made.into_iter().for_each(|outcome| {
            outcome.result.unwrap();
        });
    }

    pub async fn fill(&self, topic: &str, partition: i32, records: &[Rec]) {
        let producer = Producer::start(&self.cluster, ProducerOptions::default()).unwrap();
        let mut deliveries = Vec::new();
        for record in records {
            deliveries.push(enqueue(&producer, topic, partition, record).await);
        }
        producer.flush().await;
        for delivery in deliveries {
            delivery.await.unwrap();
        }
    }

    /// Everything in a partition, in order.
    pub async fn read(&self, topic: &str, partition: i32) -> Vec<Rec> {
        let assignment = Assignment::new(topic, partition, Start::Earliest)
            .end(self.end(topic, partition).await.unwrap());
        let options = ConsumerOptions::default().isolation(Isolation::ReadCommitted);
        let mut consumer = Consumer::start(&self.cluster, options, vec![assignment]).unwrap();
        let (mut records, mut scratch) = (Vec::new(), Vec::new());
        while let Some(event) = consumer.next().await {
            let duramen_client::consumer::Event::Records(fetched) = event.unwrap() else {
                panic!("nothing moves here")
            };
            let visited = fetched.visit(&mut scratch, |_, record| {
                let headers = record.headers.clone().map(|header| {
                    (
                        String::from_utf8_lossy(header.key).into_owned(),
                        header.value.map(<[u8]>::to_vec),
                    )
                });
                records.push(Rec {
                    timestamp: record.timestamp,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    headers: headers.collect(),
                });
                std::ops::ControlFlow::<()>::Continue(())
            });
            assert!(visited.unwrap().is_continue());
        }
        records
    }

    pub async fn end(&self, topic: &str, partition: i32) -> Result<i64, ClientError> {
        use duramen_client::admin::offsets::{OffsetQuestion, OffsetSpec, list_offsets};
        self.cluster.refresh(duramen_client::cluster::Topics::Named(&[topic.into()])).await?;
        let question = OffsetQuestion::new(topic, partition, OffsetSpec::Latest);
        let answers =
            list_offsets(&self.cluster, Isolation::ReadUncommitted, vec![question]).await?;
        Ok(answers[0].offset.clone()?.unwrap())
    }

    /// `duramen WORDS…` in the lab's folder, not yet started.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
        command.args(words).args(["--brokers", &self.bootstrap]).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn spawn(&self, words: &[&str]) -> Running {
        Running::start(&mut self.command(words))
    }

    /// Runs `duramen replay WORDS…` to its end.
    pub async fn replay(&self, words: &[&str]) -> Ended {
        let mut all = vec!["replay"];
        all.extend(words);
        self.run(&all).await
    }

    pub async fn run(&self, words: &[&str]) -> Ended {
        let child = self.spawn(words);
        tokio::task::spawn_blocking(move || ended(child)).await.unwrap()
    }
}

/// Puts a record on its way.
pub async fn enqueue(producer: &Producer, topic: &str, partition: i32, record: &Rec) -> Delivery {
    let headers: Vec<_> = record
        .headers
        .iter()
        .map(|(name, value)| HeaderView { key: name.as_bytes(), value: value.as_deref() })
        .collect();
    let record = ProducerRecord {
        topic,
        partition: Some(partition),
        timestamp: Some(record.timestamp),
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &headers,
    };
    producer.enqueue(record).await.unwrap()
}

/// Waits for a process.
pub fn ended(child: Running) -> Ended {
    let out = child.output();
    Ended {
        code: out.status.code(),
        out: String::from_utf8_lossy(&out.stdout).into_owned(),
        err: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

/// `count` records of a partition, all different, a millisecond apart.
pub fn numbered(partition: i32, count: usize) -> Vec<Rec> {
    let filler = "x".repeat(80);
    (0..count)
        .map(|number| {
            let at = 1_700_000_000_000 + i64::try_from(number).unwrap();
            let key = format!("key-{}", number % 97);
            let value = format!("{partition}/{number}:{}", &filler[..number % 80]);
            let mut record = Rec::new(at, &key, &value);
            if number % 5 == 0 {
                record = record.with_header("n", &number.to_string());
            }
            if number % 7 == 0 {
                record.key = None;
            }
            if number % 101 == 100 {
                record.value = None;
            }
            record
        })
        .collect()
}

/// The text of a file.
pub fn text_of(path: &Path) -> String {
    String::from_utf8(std::fs::read(path).unwrap()).unwrap()
}
