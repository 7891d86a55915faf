//! Options as another crate sets them, and what is said of those that can't hold, where something starts.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "a test may panic")]

use std::time::Duration;

use duramen_client::backoff::Backoff;
use duramen_client::consumer::group::{GroupConsumer, GroupOptions, GroupProtocol};
use duramen_client::consumer::{Assignment, Start};
use duramen_client::producer::{Acks, Compression, Identity};
use duramen_client::replay::{Pace, ReplayRange};
use duramen_client::{
    ClientError, Cluster, ClusterOptions, Connection, ConnectionOptions, Consumer, ConsumerOptions,
    Producer, ProducerOptions, Remedy, Replay,
};

const NONE: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);

fn cluster() -> Cluster {
    Cluster::new("localhost:1", ClusterOptions::default()).unwrap()
}

/// The option that is wrong; nothing may have started.
fn wrong<T: std::fmt::Debug>(started: Result<T, ClientError>) -> &'static str {
    let error = started.unwrap_err();
    assert_eq!(error.remedy(), Remedy::Change);
    match error {
        ClientError::Options { option, problem } => {
            assert!(!problem.is_empty());
            option.split(' ').next().unwrap_or_default()
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_producer_does_not_start_with_what_cant_hold() {
    let usual = ProducerOptions::default;
    let lossy = || usual().acks(Acks::Leader).idempotent(false);
    Producer::start(&cluster(), usual()).unwrap();
    Producer::start(&cluster(), lossy().max_in_flight(64)).unwrap();
    Producer::start(&cluster(), usual().identity(Identity::new(7, 0))).unwrap();
    Producer::start(&cluster(), usual().linger(NONE)).unwrap();
    for (options, option) in [
        (usual().acks(Acks::Leader), "idempotent"),
        (usual().acks(Acks::None), "idempotent"),
        (usual().max_in_flight(6), "max_in_flight"),
        (usual().max_in_flight(0), "max_in_flight"),
        (lossy().identity(Identity::new(7, 0)), "identity"),
        (usual().linger(SECOND).delivery_timeout(SECOND), "linger"),
        (usual().batch_bytes(0), "batch_bytes"),
        (usual().request_bytes(0), "request_bytes"),
        (usual().buffer_bytes(0), "buffer_bytes"),
        (usual().request_timeout(NONE), "request_timeout"),
        (usual().delivery_timeout(NONE), "delivery_timeout"),
        (usual().delivery_timeout(Duration::MAX), "delivery_timeout"),
        (usual().compression(Compression::Gzip).compression_level(10), "compression_level"),
    ] {
        assert_eq!(wrong(Producer::start(&cluster(), options)), option);
    }
}

#[tokio::test]
async fn nor_does_a_consumer() {
    let usual = ConsumerOptions::default;
    let from = || vec![Assignment::new("t", 0, Start::Earliest).end(7)];
    Consumer::start(&cluster(), usual().rack("r").max_wait(NONE), from()).unwrap();
    for (options, option) in [
        (usual().fetch_bytes(0), "fetch_bytes"),
        (usual().fetch_bytes(1 << 31), "fetch_bytes"),
        (usual().partition_bytes(0), "partition_bytes"),
        (usual().prefetch_bytes(0), "prefetch_bytes"),
        (usual().unpacked_bytes(0), "unpacked_bytes"),
        (usual().min_bytes(1 << 31), "min_bytes"),
        (usual().max_wait(Duration::MAX), "max_wait"),
    ] {
        let group = GroupOptions::new("g").consumer(options.clone());
        assert_eq!(wrong(Consumer::start(&cluster(), options, from())), option);
        assert_eq!(wrong(GroupConsumer::join(&cluster(), group, "t")), option);
    }
}

#[tokio::test]
async fn nor_a_member() {
    let usual = || GroupOptions::new("g");
    let by_the_broker = usual().protocol(GroupProtocol::Consumer).assignors(Vec::new());
    GroupConsumer::join(&cluster(), by_the_broker.server_assignor("range"), "t").unwrap();
    GroupConsumer::join(&cluster(), usual().instance("i").auto_commit(SECOND), "t").unwrap();
    for (options, option) in [
        (GroupOptions::new(""), "group"),
        (usual().assignors(Vec::new()), "assignors"),
        (usual().heartbeat(SECOND).session_timeout(SECOND), "heartbeat"),
        (usual().heartbeat(NONE), "heartbeat"),
        (usual().session_timeout(NONE), "session_timeout"),
        (usual().max_poll_interval(NONE), "max_poll_interval"),
        (usual().auto_commit(NONE), "auto_commit"),
    ] {
        assert_eq!(wrong(GroupConsumer::join(&cluster(), options, "t")), option);
    }
}

#[tokio::test]
async fn nor_a_cluster_a_connection_or_a_replay() {
    let usual = ClusterOptions::default;
    let backwards = Backoff::default().first(SECOND * 2).max(SECOND);
    let silent = || ConnectionOptions::default().client_id("c").max_in_flight(0);
    for (options, option) in [
        (usual().connect_timeout(NONE), "connect_timeout"),
        (usual().operation_timeout(NONE), "operation_timeout"),
        (usual().metadata_max_age(NONE), "metadata_max_age"),
        (usual().backoff(backwards), "backoff"),
        (usual().reconnect(backwards), "reconnect"),
        (usual().connection(silent()), "max_in_flight"),
        (usual().connection(ConnectionOptions::default().request_timeout(NONE)), "request_timeout"),
        (
            usual().connection(ConnectionOptions::default().max_response_bytes(0)),
            "max_response_bytes",
        ),
    ] {
        assert_eq!(wrong(Cluster::new("localhost:1", options)), option);
    }
    let (stream, _peer) = tokio::io::duplex(64);
    assert_eq!(wrong(Connection::start(stream, silent())), "max_in_flight");
    let replay = || Replay::builder(&cluster());
    for (builder, option) in [
        (replay().pace(Pace::Rate(0.0)), "pace"),
        (replay().pace(Pace::Original(f64::NAN)), "pace"),
        (replay().range(ReplayRange::new("t", 0, 7, 6)), "range"),
        (replay().range(ReplayRange::new("t", 0, -1, 6)), "range"),
        (replay().prefetch_bytes(0), "prefetch_bytes"),
    ] {
        assert_eq!(wrong(builder.start()), option);
    }
}
