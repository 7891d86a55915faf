//! Property maps: what each name sets, and what is said of those that can't be taken.

use std::time::Duration;

use duramen_protocol::records::Compression;
use proptest::prelude::*;

use super::*;
use crate::consumer::group::{Assignor, GroupProtocol};
use crate::consumer::{Isolation, Reset, Start};
use crate::producer::{Acks, Partitioner};

fn of(pairs: &[(&str, &str)]) -> Properties {
    pairs.iter().copied().collect()
}

fn words<T: std::fmt::Debug>(result: Result<Loaded<T>, ClientError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_producers_file_sets_every_option() {
    let file = "\
# The orders.
bootstrap.servers = a:9092, b:9093
client.id: billing
acks=all
linger.ms 20
batch.size=131072
max.request.size=1048576
buffer.memory=67108864
compression.type=gzip
compression.gzip.level=9
compression.zstd.level=7
max.in.flight.requests.per.connection=3
request.timeout.ms=10000
delivery.timeout.ms=\\
  60000
partitioner.class=org.apache.kafka.clients.producer.UniformStickyPartitioner
retry.backoff.ms=10
retry.backoff.max.ms=200
reconnect.backoff.ms=20
reconnect.backoff.max.ms=400
metadata.max.age.ms=1000
default.api.timeout.ms=5000
socket.connection.setup.timeout.ms=2000
security.protocol=PLAINTEXT
sasl.jaas.config=
";
    let loaded = Properties::parse(file).unwrap().producer().unwrap();
    assert_eq!(loaded.bootstrap.as_deref(), Some("a:9092,b:9093"));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let options = &loaded.options;
    assert!(options.idempotent && options.acks == Acks::All);
    assert_eq!(options.linger, Duration::from_millis(20));
    let bytes = (options.batch_bytes, options.request_bytes, options.buffer_bytes);
    assert_eq!(bytes, (131_072, 1_048_576, 67_108_864));
    assert_eq!((options.compression, options.compression_level), (Compression::Gzip, Some(9)));
    assert_eq!(options.max_in_flight, 3);
    assert_eq!(options.request_timeout, Duration::from_secs(10));
    assert_eq!(options.delivery_timeout, Duration::from_secs(60));
    assert!(matches!(options.partitioner, Partitioner::IgnoreKeys));
    let connect = &loaded.connect;
    assert_eq!(connect.connection.client_id.as_str(), "billing");
    assert_eq!(connect.connection.request_timeout, Duration::from_secs(10));
    assert_eq!(connect.backoff.first, Duration::from_millis(10));
    assert_eq!(connect.backoff.max, Duration::from_millis(200));
    assert_eq!(connect.reconnect.first, Duration::from_millis(20));
    assert_eq!(connect.reconnect.max, Duration::from_millis(400));
    assert_eq!(connect.metadata_max_age, Duration::from_secs(1));
    assert_eq!(connect.operation_timeout, Duration::from_secs(5));
    assert_eq!(connect.connect_timeout, Duration::from_secs(2));
    loaded.cluster().unwrap();
}

#[test]
fn a_members_map_sets_every_option() {
    let classes = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor, range";
    let loaded = of(&[
        ("group.id", "billing"),
        ("group.instance.id", "billing-1"),
        ("group.protocol", "CLASSIC"),
        ("partition.assignment.strategy", classes),
        ("session.timeout.ms", "20000"),
        ("heartbeat.interval.ms", "2000"),
        ("max.poll.interval.ms", "60000"),
        ("auto.commit.interval.ms", "1000"),
        ("auto.offset.reset", "by_duration:P1D"),
        ("isolation.level", "read_committed"),
        ("fetch.min.bytes", "2"),
        ("fetch.max.wait.ms", "100"),
        ("fetch.max.bytes", "1000000"),
        ("max.partition.fetch.bytes", "200000"),
        ("check.crcs", "false"),
        ("client.rack", "r1"),
    ])
    .group()
    .unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let options = loaded.options;
    assert_eq!(options.group.as_str(), "billing");
    assert_eq!(options.instance.as_deref(), Some("billing-1"));
    assert_eq!(options.protocol, GroupProtocol::Classic);
    assert_eq!(options.assignors, [Assignor::CooperativeSticky, Assignor::Range]);
    assert_eq!(options.session_timeout, Duration::from_secs(20));
    assert_eq!(options.heartbeat, Duration::from_secs(2));
    assert_eq!(options.max_poll_interval, Duration::from_secs(60));
    assert_eq!(options.auto_commit, Some(Duration::from_secs(1)));
    let day = Duration::from_secs(86_400);
    assert_eq!(options.start, Some(Start::Ago(day)));
    let consumer = options.consumer;
    assert_eq!(consumer.reset, Reset::Ago(day));
    assert_eq!(consumer.isolation, Isolation::ReadCommitted);
    assert_eq!((consumer.min_bytes, consumer.fetch_bytes), (2, 1_000_000));
    assert_eq!(consumer.partition_bytes, 200_000);
    assert_eq!(consumer.max_wait, Duration::from_millis(100));
    assert!(!consumer.check_crc);
    assert_eq!(consumer.rack.as_deref(), Some("r1"));
}

#[test]
fn what_is_not_set_is_as_without_properties() {
    let bare = of(&[("group.id", "g"), ("enable.auto.commit", "false")]).group().unwrap().options;
    assert_eq!(format!("{bare:?}"), format!("{:?}", GroupOptions::new("g").auto_commit(None)));
    let bare = Properties::default().producer().unwrap();
    assert_eq!(format!("{:?}", bare.options), format!("{:?}", ProducerOptions::default()));
    assert_eq!(format!("{:?}", bare.connect), format!("{:?}", ClusterOptions::default()));
    let bare = Properties::default().consumer().unwrap().options;
    assert_eq!(format!("{bare:?}"), format!("{:?}", ConsumerOptions::default()));
    let kept = of(&[("linger.ms", "no number"), ("linger.ms", "7")]).producer().unwrap().options;
    assert_eq!(kept.linger, Duration::from_millis(7), "the last one holds");
}

#[test]
fn what_cant_be_taken_says_what_would_be_right() {
    let producer = |name, value| words(of(&[(name, value)]).producer());
    for (name, value, said) in [
        ("linger.sm", "1", "no client has a property linger.sm; did you mean linger.ms?"),
        ("group_id", "g", "no client has a property group_id; did you mean group.id?"),
        ("wholly.unlike.anything", "1", "no client has a property wholly.unlike.anything"),
        (
            "fetch.min.bytes",
            "1",
            "fetch.min.bytes belongs to a consumer without a group, not to a producer: leave it out here",
        ),
        (
            "linger.ms",
            "5s",
            "linger.ms: \"5s\" is not understood; it takes milliseconds, 0 to 2147483647",
        ),
        ("batch.size", "0", "batch.size: \"0\" is not understood; it takes bytes, 1 to 2147483647"),
        ("acks", "2", "acks: \"2\" is not understood; it takes all, 1 or 0"),
        (
            "enable.idempotence",
            "yes",
            "enable.idempotence: \"yes\" is not understood; it takes true or false",
        ),
        (
            "bootstrap.servers",
            "a:x",
            "bootstrap.servers: \"a:x\" is not understood; it takes addresses as host:port, separated by commas",
        ),
        (
            "transactional.id",
            "t",
            "transactional.id: there are no transactions yet: leave it out, and have idempotence",
        ),
    ] {
        assert_eq!(producer(name, value), said);
    }
    for (name, value) in [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "PLAIN"),
        ("ssl.truststore.location", "/t"),
    ] {
        let said = producer(name, value);
        assert!(said.contains("TLS and SASL are not built in yet"), "{said}");
        assert!(!said.contains(value) || name == "security.protocol", "no secret is told: {said}");
    }
    let group = |name, value| words(of(&[("group.id", "g"), (name, value)]).group());
    assert!(
        group("auto.offset.reset", "by_duration:1d").contains("by_duration: and a time as P7D")
    );
    assert!(group("linger.ms", "1").contains("belongs to a producer"));
    assert!(group("max.poll.record", "1").ends_with("did you mean max.poll.records?"));
    assert!(words(Properties::default().group()).starts_with("group.id is missing"));
    assert!(words(of(&[("group.id", "g")]).consumer()).contains("belongs to a member of a group"));
    assert!(words(of(&[("acks", "1")]).client()).contains("belongs to a producer"));
    let nowhere = Properties::default().client().unwrap().cluster().unwrap_err();
    assert!(nowhere.to_string().starts_with("bootstrap.servers is missing"), "{nowhere}");
}

#[test]
fn what_does_not_go_together_is_told() {
    let lossy = of(&[("acks", "1"), ("enable.idempotence", "true")]);
    assert!(words(lossy.producer()).starts_with("idempotent (enable.idempotence) needs acks"));
    let many =
        of(&[("max.in.flight.requests.per.connection", "6"), ("enable.idempotence", "true")]);
    assert!(words(many.producer()).contains("with idempotence at most 5"));
    let late = of(&[("linger.ms", "2000"), ("delivery.timeout.ms", "1000")]);
    assert!(words(late.producer()).starts_with("linger (linger.ms) is 2s; it must be below"));
    let hasty = of(&[("group.id", "g"), ("heartbeat.interval.ms", "45000")]);
    assert!(words(hasty.group()).starts_with("heartbeat (heartbeat.interval.ms) is 45s"));
}

#[test]
fn what_does_no_harm_is_a_warning() {
    let loaded =
        of(&[("acks", "0"), ("retries", "3"), ("value.serializer", "x")]).producer().unwrap();
    assert!(!loaded.options.idempotent, "as in Kafka, where nobody asked for it");
    assert_eq!(loaded.warnings.len(), 3, "{:?}", loaded.warnings);
    assert_eq!(
        loaded.warnings[0],
        "retries has no effect: it is tried until delivery.timeout.ms is over"
    );
    let group =
        of(&[("group.id", "g"), ("group.protocol", "consumer"), ("heartbeat.interval.ms", "1")]);
    assert!(group.group().unwrap().warnings[0].starts_with("heartbeat.interval.ms has no effect"));
}

#[test]
fn values_stay_out_of_the_log() {
    let said = format!("{:?}", of(&[("sasl.jaas.config", "secret")]));
    assert_eq!(said, "{\"sasl.jaas.config\"}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_map_panics(pairs in proptest::collection::vec(
        (
            prop_oneof![
                "[a-z.]{0,20}",
                proptest::sample::select(&[
                    "acks", "linger.ms", "batch.size", "auto.offset.reset", "group.id",
                    "bootstrap.servers", "delivery.timeout.ms", "compression.gzip.level", "partitioner.class",
                    "partition.assignment.strategy", "retry.backoff.ms", "session.timeout.ms",
                ][..]).prop_map(str::to_owned),
            ],
            prop_oneof![any::<String>(), any::<i64>().prop_map(|n| n.to_string()), "[a-z:,P0-9DTHMS.]{0,12}"],
        ),
        0..6,
    )) {
        let properties: Properties = pairs.into_iter().collect();
        let _ = (properties.client().is_ok(), properties.producer().is_ok());
        let _ = (properties.consumer().is_ok(), properties.group().is_ok());
    }
}
