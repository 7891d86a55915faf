//! Properties of every client.

use duramen_protocol::text::Text;

use super::{Misread, Row, Take};
use crate::properties::kind::Kind::Client;
use crate::properties::value;
use crate::transport::Address;

const SECURITY: &str = "TLS and SASL are not built in yet, and without them this client would talk in the \
                        clear; leave it out, and bring a connector of your own (transport::Connector)";

pub(super) const ROWS: &[Row] = &[
    Row::new(
        "bootstrap.servers",
        Client,
        Take::Other("addresses as host:port, separated by commas", |draft, value| {
            let list = value::list(value);
            if list.is_empty() || list.iter().any(|address| Address::parse(address).is_none()) {
                return Err(Misread::Unknown);
            }
            draft.bootstrap = Some(list.join(","));
            Ok(())
        }),
        "Where to ask first: `Cluster::new`.",
    ),
    Row::new(
        "client.id",
        Client,
        Take::Other("a name", |draft, value| {
            draft.cluster.connection.client_id = Text::from(value);
            Ok(())
        }),
        "Name for the broker's logs and quotas: `client_id`.",
    ),
    Row::new(
        "default.api.timeout.ms",
        Client,
        Take::Ms(1, |draft, time| draft.cluster.operation_timeout = time),
        "How long an operation is tried, over all attempts: `operation_timeout`.",
    ),
    Row::new(
        "request.timeout.ms",
        Client,
        Take::Ms(1, |draft, time| {
            draft.cluster.connection.request_timeout = time;
            draft.producer.request_timeout = time;
        }),
        "How long a broker may take to answer: `request_timeout`.",
    ),
    Row::new(
        "socket.connection.setup.timeout.ms",
        Client,
        Take::Ms(1, |draft, time| draft.cluster.connect_timeout = time),
        "How long connecting may take: `connect_timeout`.",
    ),
    Row::new(
        "metadata.max.age.ms",
        Client,
        Take::Ms(1, |draft, time| draft.cluster.metadata_max_age = time),
        "Age at which metadata is asked for again: `metadata_max_age`.",
    ),
    Row::new(
        "reconnect.backoff.ms",
        Client,
        Take::Ms(0, |draft, time| draft.cluster.reconnect.first = time),
        "First wait before connecting again: `reconnect.first`.",
    ),
    Row::new(
        "reconnect.backoff.max.ms",
        Client,
        Take::Ms(0, |draft, time| draft.cluster.reconnect.max = time),
        "Longest of these waits: `reconnect.max`.",
    ),
    Row::new(
        "retry.backoff.ms",
        Client,
        Take::Ms(0, |draft, time| draft.cluster.backoff.first = time),
        "First wait before asking again: `backoff.first`.",
    ),
    Row::new(
        "retry.backoff.max.ms",
        Client,
        Take::Ms(0, |draft, time| draft.cluster.backoff.max = time),
        "Longest of these waits: `backoff.max`.",
    ),
    Row::new(
        "security.protocol",
        Client,
        Take::Other("PLAINTEXT", |_, value| match value.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => Ok(()),
            "SSL" | "SASL_PLAINTEXT" | "SASL_SSL" => Err(Misread::NotHere(SECURITY)),
            _ => Err(Misread::Unknown),
        }),
        "Only PLAINTEXT yet; TLS and SASL through a connector of one's own.",
    ),
    refused("sasl.*", SECURITY),
    refused("ssl.*", SECURITY),
    refused("security.providers", SECURITY),
    refused(
        "config.providers",
        "values are taken as they stand: put them in, or set them in the program",
    ),
    refused(
        "config.providers.*",
        "values are taken as they stand: put them in, or set them in the program",
    ),
    refused(
        "interceptor.classes",
        "there are no interceptors: wrap the producer or consumer in code of your own",
    ),
    ignored("auto.include.jmx.reporter", "metrics are read from Cluster::metrics"),
    ignored("client.dns.lookup", "all addresses of a name are tried"),
    ignored("connections.max.idle.ms", "connections stay open; brokers close idle ones"),
    ignored("enable.metrics.push", "metrics are read from Cluster::metrics"),
    ignored(
        "metadata.recovery.rebootstrap.trigger.ms",
        "the addresses given at the start are always tried, too",
    ),
    ignored("metadata.recovery.strategy", "the addresses given at the start are always tried, too"),
    ignored("metric.reporters", "metrics are read from Cluster::metrics"),
    ignored("metrics.num.samples", "metrics are read from Cluster::metrics"),
    ignored("metrics.recording.level", "metrics are read from Cluster::metrics"),
    ignored("metrics.sample.window.ms", "metrics are read from Cluster::metrics"),
    ignored("receive.buffer.bytes", "the operating system chooses"),
    ignored("send.buffer.bytes", "the operating system chooses"),
    ignored(
        "socket.connection.setup.timeout.max.ms",
        "socket.connection.setup.timeout.ms holds for every attempt",
    ),
];

const fn ignored(name: &'static str, why: &'static str) -> Row {
    Row::new(name, Client, Take::Ignored(why), "")
}

const fn refused(name: &'static str, why: &'static str) -> Row {
    Row::new(name, Client, Take::Refused(why), "")
}
