//! What Kafka's protocol tells: whether the broker is reached, where it sends its clients, which
//! versions it speaks, and what its log directories and newest records say.

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_client::admin::{OffsetQuestion, OffsetSpec};
use duramen_client::consumer::Isolation;
use duramen_client::probe::{Probed, ProbedApi, probe};
use duramen_client::transport::Address;
use duramen_client::{Admin, Text};

use super::judge::reach::{self, Advertised};
use super::judge::{Finding, clock, directory, disk, versions};
use crate::cli::scrape::Samples;
use crate::cli::time::now_ms;
use crate::env::listens_on_loopback_only;
use crate::storage::SpaceMarks;

/// Who a broker's log says it was.
const CLIENT_ID: &str = "duramen-doctor";
/// Partitions whose newest record is asked for.
const PARTITIONS_ASKED: usize = 500;

/// What was seen of the cluster.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) findings: Vec<Finding>,
    /// The cluster's id, when a broker answered.
    pub(super) cluster: Option<String>,
    /// What that one speaks.
    pub(super) apis: Vec<ProbedApi>,
}

/// Tries the addresses given, and those that the first one to answer tells its clients.
pub(super) async fn look(addresses: &[Address], stopped: bool, patience: Duration) -> Seen {
    let mut seen = Seen::default();
    for address in addresses {
        let reached = probe(address, CLIENT_ID, patience).await;
        let outcome = reached.as_ref().map(|_| ());
        seen.findings.push(reach::given(&address.to_string(), outcome, stopped));
        let Ok(probed) = reached else { continue };
        if seen.cluster.is_some() {
            continue;
        }
        let cluster = cluster_of(&probed);
        if is_here(address)
            && let Some(loopback) = listens_on_loopback_only(address.port)
        {
            seen.findings.push(reach::listener(address.port, loopback));
        }
        for broker in &probed.brokers {
            let reached = match broker.address == *address {
                true => Ok(cluster.clone()),
                false => {
                    let reached = probe(&broker.address, CLIENT_ID, patience).await;
                    reached.as_ref().map(cluster_of).map_err(Clone::clone)
                }
            };
            let tried = Advertised { id: broker.id, address: broker.address.to_string(), reached };
            seen.findings.push(reach::advertised(&address.to_string(), &cluster, &tried));
        }
        seen.cluster = Some(cluster);
        seen.apis = probed.apis;
    }
    seen
}

fn cluster_of(probed: &Probed) -> String {
    probed.cluster_id.as_ref().map(Text::to_string).unwrap_or_default()
}

fn is_here(address: &Address) -> bool {
    address.host == "localhost" || address.host.starts_with("127.") || address.host == "::1"
}

/// The builds of both sides, where HTTP tells the broker's, or else its metadata version; and the APIs
/// that both speak.
pub(super) async fn versions(
    admin: &Admin,
    apis: &[ProbedApi],
    samples: Option<&Samples>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ours = env!("CARGO_PKG_VERSION");
    if let Some(build) = samples.and_then(|samples| samples.one("duramen_build_info")) {
        findings.push(versions::builds(ours, build.label("version")));
    }
    if !apis.is_empty() {
        if findings.is_empty() {
            let told = admin.describe_features().await.unwrap_or_default().finalized;
            let level = told.iter().find(|feature| feature.name == "metadata.version");
            findings.push(versions::unnamed(ours, level.map(|feature| feature.max)));
        }
        let (served, missing): (Vec<&ProbedApi>, Vec<&ProbedApi>) =
            apis.iter().partition(|api| api.is_shared());
        let missing: Vec<&str> = missing.iter().map(|api| api.name).collect();
        findings.push(versions::apis(served.len(), &missing));
    }
    findings
}

/// The log directories of every broker: whether they work, and their room. The marks are told by
/// HTTP; without it they are taken to be the defaults.
pub(super) async fn log_dirs(admin: &Admin, samples: Option<&Samples>) -> Vec<Finding> {
    let Ok(cluster) = admin.describe_cluster().await else { return Vec::new() };
    let brokers: Vec<i32> = cluster.brokers.iter().map(|broker| broker.id).collect();
    let Ok(told) = admin.describe_log_dirs(&brokers).await else { return Vec::new() };
    let mut findings = Vec::new();
    for broker in told {
        // A broker that can't be reached is a finding of its own already.
        for dir in broker.result.into_iter().flatten() {
            let path = dir.path.as_str();
            if dir.error.is_some() {
                findings.push(directory::offline(path));
            }
            let Some((free, total)) = dir.space else { continue };
            let mark = |name| Some(samples?.with(name, "dir", path)? as u64);
            let defaults = SpaceMarks::default().on(crate::env::Space { free, total });
            let low = mark("duramen_disk_low_mark_bytes").unwrap_or(defaults.low);
            let high = mark("duramen_disk_high_mark_bytes").unwrap_or(defaults.high);
            findings.push(disk::room(path, disk::Room { free, total, low, high }));
        }
    }
    findings
}

/// The record whose time is furthest ahead.
pub(super) async fn newest_record(admin: &Admin) -> Option<Finding> {
    let topics = admin.list_topics().await.ok()?;
    let questions = topics.iter().flat_map(|topic| {
        let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
        let newest = OffsetSpec::MaxTimestamp;
        led.map(move |partition| OffsetQuestion::new(topic.name.clone(), partition.id, newest))
    });
    let questions = questions.take(PARTITIONS_ASKED).collect();
    let answers = admin.list_offsets(Isolation::ReadUncommitted, questions).await.ok()?;
    let newest: BTreeMap<i64, String> = answers
        .into_iter()
        .map(|answer| {
            let OffsetQuestion { topic, partition, .. } = answer.question;
            (answer.timestamp, format!("{topic}-{partition}"))
        })
        .collect();
    let (timestamp, partition) = newest.last_key_value()?;
    Some(clock::newest_record(partition, timestamp.saturating_sub(now_ms())))
}
