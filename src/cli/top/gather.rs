//! One look at a broker: topics and offsets by Kafka's protocol, the rest by HTTP where that is there.

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_client::admin::LogDir;
use duramen_client::cluster::Topic;
use duramen_client::consumer::Isolation;
use duramen_client::{Admin, ClientError};

use super::rates::{ClientLook, DiskLook, Look, NodeLook, TopicLook};
use crate::cli::edges::edges_of;
use crate::cli::scrape::{Sample, Samples};
use crate::env::Env;

/// How long HTTP may take, unless --timeout says so: the view goes on without it.
pub(super) const HTTP_PATIENCE: Duration = Duration::from_secs(2);

/// Where to look.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) admin: Admin,
    /// `HOST:PORT`, or off.
    pub(super) http: String,
    /// How long that may take.
    pub(super) patience: Duration,
    /// Topics shown: those whose whole name matches, and the broker's own only if asked for.
    pub(super) pattern: regex::Regex,
    pub(super) internal: bool,
    pub(super) env: Env,
}

impl Place {
    /// Looks once.
    ///
    /// # Errors
    /// When the broker does not answer Kafka's protocol.
    pub(super) async fn look(&self) -> Result<Look, ClientError> {
        let cluster = self.admin.describe_cluster().await?;
        let all = self.admin.list_topics().await?;
        let shown = all.iter().filter(|topic| {
            (self.internal || !topic.internal) && self.pattern.is_match(&topic.name)
        });
        let mut topics = BTreeMap::new();
        let mut partitions = Vec::new();
        for topic in shown {
            let look = TopicLook { partitions: topic.partitions.len(), ..TopicLook::default() };
            topics.insert(topic.name.to_string(), look);
            partitions.extend(led(topic));
        }
        let edges = edges_of(self.admin.cluster(), Isolation::ReadUncommitted, partitions, None);
        for edge in edges.await? {
            if let Some(topic) = topics.get_mut(edge.topic.as_str()) {
                let natural = |offset: i64| u64::try_from(offset).unwrap_or(0);
                topic.held += natural(edge.edges.end - edge.edges.start);
                topic.end += natural(edge.edges.end);
            }
        }
        let mut look = Look {
            at: self.env.clock.now(),
            cluster: cluster.cluster_id.to_string(),
            brokers: cluster.brokers.len(),
            topics,
            ..Look::default()
        };
        let brokers: Vec<i32> = cluster.brokers.iter().map(|broker| broker.id).collect();
        for told in self.admin.describe_log_dirs(&brokers).await? {
            // A broker of another make may refuse: sizes stay unknown then.
            told.result.iter().flatten().for_each(|dir| look.add_dir(dir));
        }
        match self.samples(&look.cluster).await {
            Ok(Some(samples)) => look.add_samples(&samples),
            Ok(None) => {}
            Err(note) => look.note = Some(note),
        }
        Ok(look)
    }

    /// The broker's metrics; `None` when they were switched off here.
    async fn samples(&self, cluster: &str) -> Result<Option<Samples>, String> {
        const WITHOUT: &str = "without it there are no bytes in and out, connections and marks";
        let http = &self.http;
        if http == "off" {
            return Ok(None);
        }
        let samples = Samples::of(http, self.patience)
            .await
            .map_err(|reason| format!("http {http}: {reason}; {WITHOUT} (see --http)"))?;
        match samples.cluster_id() {
            theirs if theirs == cluster => Ok(Some(samples)),
            theirs => {
                Err(format!("http {http} belongs to cluster {theirs}; {WITHOUT} (see --http)"))
            }
        }
    }
}

fn clients(samples: &Samples) -> Vec<ClientLook> {
    let told = samples.all("duramen_client_connections").map(|sample| ClientLook {
        software: sample.label("software").to_owned(),
        version: sample.label("version").to_owned(),
        connections: sample.value as u64,
    });
    let mut clients: Vec<_> = told.collect();
    clients.sort_by_key(|client| std::cmp::Reverse(client.connections));
    clients
}

fn led(topic: &Topic) -> impl Iterator<Item = (duramen_client::Text, i32)> {
    let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
    led.map(|partition| (topic.name.clone(), partition.id))
}

impl Look {
    fn add_dir(&mut self, dir: &LogDir) {
        for replica in &dir.replicas {
            if let Some(topic) = self.topics.get_mut(replica.topic.as_str()) {
                *topic.bytes.get_or_insert(0) += replica.bytes;
            }
        }
        let (free, total) = dir.space.unwrap_or_default();
        let (path, offline) = (dir.path.to_string(), dir.error.is_some());
        self.disks.push(DiskLook { path, free, total, low: None, full: false, offline });
    }

    fn add_samples(&mut self, samples: &Samples) {
        let mut each = |metric, take: fn(&mut TopicLook, &Sample)| {
            for sample in samples.all(metric) {
                if let Some(topic) = self.topics.get_mut(sample.label("topic")) {
                    take(topic, sample);
                }
            }
        };
        each("duramen_topic_produced_bytes_total", |topic, it| topic.in_bytes = Some(it.value));
        each("duramen_topic_fetched_bytes_total", |topic, it| topic.out_bytes = Some(it.value));
        each("duramen_topic_durability_info", |topic, it| {
            topic.durability = Some(it.label("durability").to_owned());
        });
        for disk in &mut self.disks {
            let figure = |metric| samples.with(metric, "dir", &disk.path);
            disk.low = figure("duramen_disk_low_mark_bytes").map(|bytes| bytes as u64);
            disk.full = figure("duramen_disk_full") == Some(1.0);
        }
        let sum = |metric| samples.sum(metric).unwrap_or(0.0);
        let build = samples.one("duramen_build_info");
        self.node = Some(NodeLook {
            version: build.map(|sample| sample.label("version").to_owned()).unwrap_or_default(),
            connections: sum("duramen_connections") as u64,
            clients: clients(samples),
            accepted: sum("duramen_connections_accepted_total"),
            requests: sum("duramen_requests_total"),
            errors: sum("duramen_request_errors_total"),
            received: sum("duramen_network_received_bytes_total"),
            sent: sum("duramen_network_sent_bytes_total"),
            cpu_seconds: sum("process_cpu_seconds_total"),
            anonymous_bytes: sum("duramen_process_anonymous_memory_bytes") as u64,
            open_files: sum("process_open_fds") as u64,
            waiting: (sum("duramen_produce_waiting") + sum("duramen_fetch_waiting")) as u64,
        });
    }
}
