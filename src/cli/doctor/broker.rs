//! What Kafka's protocol tells: whether the broker is reached, where it sends its clients, which
//! versions it speaks, and what its log directories and newest records say.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use duramen_client::admin::OffsetQuestion;
use duramen_client::consumer::Isolation;
use duramen_client::transport::Address;
use duramen_client::{Admin, Connection, ConnectionOptions};
use duramen_protocol::api::{ApiSpec, TABLE};
use duramen_protocol::ids::MAX_TIMESTAMP;
use duramen_protocol::messages::{MetadataRequest, MetadataResponse};
use duramen_protocol::text::Text;
use tokio::net::TcpStream;

use super::judge::reach::{self, Advertised, Refusal};
use super::judge::{Finding, clock, directory, disk, versions};
use crate::cli::scrape::Samples;
use crate::cli::time::now_ms;
use crate::env::listens_on_loopback_only;
use crate::storage::SpaceMarks;

/// Partitions whose newest record is asked for.
const PARTITIONS_ASKED: usize = 500;

/// What was seen of the cluster.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) findings: Vec<Finding>,
    /// The cluster's id, when a broker answered.
    pub(super) cluster: Option<String>,
    pub(super) connection: Option<Connection>,
}

/// Tries the addresses given, and those that the first one to answer tells its clients.
pub(super) async fn look(addresses: &[Address], stopped: bool, patience: Duration) -> Seen {
    let mut seen = Seen::default();
    for address in addresses {
        let reached = open(address, patience).await;
        let outcome = reached.as_ref().map(|_| ());
        seen.findings.push(reach::given(&address.to_string(), outcome, stopped));
        let Ok((connection, answer)) = reached else { continue };
        if seen.cluster.is_some() {
            continue;
        }
        let cluster = answer.cluster_id.as_ref().map(Text::to_string).unwrap_or_default();
        if is_here(address)
            && let Some(loopback) = listens_on_loopback_only(address.port)
        {
            seen.findings.push(reach::listener(address.port, loopback));
        }
        for broker in &answer.brokers {
            let port = u16::try_from(broker.port).unwrap_or(0);
            let told = Address::new(broker.host.as_str(), port);
            let reached = match told == *address {
                true => Ok(cluster.clone()),
                false => open(&told, patience).await.map(|(_, answer)| {
                    answer.cluster_id.as_ref().map(Text::to_string).unwrap_or_default()
                }),
            };
            let tried = Advertised { id: broker.node_id, address: told.to_string(), reached };
            seen.findings.push(reach::advertised(&address.to_string(), &cluster, &tried));
        }
        seen.cluster = Some(cluster);
        seen.connection = Some(connection);
    }
    seen
}

fn is_here(address: &Address) -> bool {
    address.host == "localhost" || address.host.starts_with("127.") || address.host == "::1"
}

/// Connects, and asks who is there.
async fn open(
    address: &Address,
    patience: Duration,
) -> Result<(Connection, MetadataResponse), Refusal> {
    let place = (address.host.as_str(), address.port);
    let found = tokio::net::lookup_host(place).await.map(|mut found| found.next());
    if !matches!(found, Ok(Some(_))) {
        return Err(Refusal::NoSuchHost);
    }
    let stream = match tokio::time::timeout(patience, TcpStream::connect(place)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            return Err(Refusal::Closed);
        }
        Ok(Err(error)) => return Err(Refusal::Other(error.to_string())),
        Err(_) => return Err(Refusal::Silent),
    };
    let options = ConnectionOptions::default()
        .client_id(Text::from("duramen-doctor"))
        .request_timeout(patience);
    let connection =
        Connection::start(stream, options).map_err(|error| Refusal::Other(error.to_string()))?;
    let talk = async {
        connection.negotiate().await?;
        // No topics: only the brokers.
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        connection.call(&request).await
    };
    match tokio::time::timeout(patience, talk).await {
        Ok(Ok(answer)) => Ok((connection, answer)),
        Ok(Err(error)) => Err(Refusal::NotKafka(error.to_string())),
        Err(_) => Err(Refusal::Silent),
    }
}

/// The builds of both sides, where HTTP tells the broker's, and the APIs that both speak.
pub(super) fn versions(connection: Option<&Connection>, samples: Option<&Samples>) -> Vec<Finding> {
    let build = samples.and_then(|samples| samples.one("duramen_build_info"));
    let builds = |build: &str| versions::builds(env!("CARGO_PKG_VERSION"), build);
    let mut findings: Vec<Finding> =
        build.map(|sample| builds(sample.label("version"))).into_iter().collect();
    if let Some(theirs) = connection.and_then(Connection::versions) {
        let shared = |spec: &&ApiSpec| {
            let (ours, theirs) = (spec.versions(), theirs.of(spec.key));
            theirs.is_some_and(|theirs| theirs.min <= ours.max && ours.min <= theirs.max)
        };
        let (served, missing): (Vec<&ApiSpec>, Vec<&ApiSpec>) = TABLE.iter().partition(shared);
        let missing: Vec<&str> = missing.iter().map(|spec| spec.name).collect();
        findings.push(versions::apis(served.len(), &missing));
    }
    findings
}

/// The log directories of every broker: whether they work, and their room. The marks are told by
/// HTTP; without it they are taken to be the defaults.
pub(super) async fn log_dirs(admin: &Admin, samples: Option<&Samples>) -> Vec<Finding> {
    let Ok(cluster) = admin.describe_cluster().await else { return Vec::new() };
    let mut findings = Vec::new();
    for broker in &cluster.brokers {
        // A broker that can't be reached is a finding of its own already.
        let Ok(dirs) = admin.describe_log_dirs(broker.id).await else { continue };
        for dir in dirs {
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
        led.map(|partition| OffsetQuestion::new(topic.name.clone(), partition.id, MAX_TIMESTAMP))
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
