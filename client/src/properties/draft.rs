//! What properties have said so far, and what that comes to when all are read, pure.

use std::time::Duration;

use duramen_protocol::records::Compression;

use super::kind::Kind;
use crate::cluster::ClusterOptions;
use crate::consumer::ConsumerOptions;
use crate::consumer::group::{GroupOptions, GroupProtocol};
use crate::producer::{Acks, ProducerOptions};

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) bootstrap: Option<String>,
    pub(super) cluster: ClusterOptions,
    pub(super) producer: ProducerOptions,
    pub(super) consumer: ConsumerOptions,
    pub(super) group: GroupOptions,
    /// Levels by codec; the one that is used counts.
    pub(super) levels: Vec<(Compression, i32)>,
    pub(super) idempotent: Option<bool>,
    pub(super) auto_commit: bool,
    pub(super) auto_commit_interval: Option<Duration>,
    pub(super) warnings: Vec<String>,
}

impl Draft {
    pub(super) fn new(wanted: Kind) -> Self {
        let group = GroupOptions::new("");
        let consumer = match wanted {
            Kind::Group => group.consumer.clone(),
            _ => ConsumerOptions::default(),
        };
        Self {
            bootstrap: None,
            cluster: ClusterOptions::default(),
            producer: ProducerOptions::default(),
            consumer,
            auto_commit_interval: group.auto_commit,
            group,
            levels: Vec::new(),
            idempotent: None,
            auto_commit: true,
            warnings: Vec::new(),
        }
    }

    /// Puts together what several properties say. `given` tells whether a property was.
    pub(super) fn finish(&mut self, given: impl Fn(&str) -> bool) {
        let codec = self.producer.compression;
        let level = self.levels.iter().rev().find(|(of, _)| *of == codec);
        self.producer.compression_level = level.map(|(_, level)| *level);
        self.settle_idempotence();
        self.group.auto_commit = self.auto_commit_interval.filter(|_| self.auto_commit);
        self.group.consumer = self.consumer.clone();
        let (useless, why): (&[&str], _) = match self.group.protocol {
            GroupProtocol::Consumer => (
                &["heartbeat.interval.ms", "partition.assignment.strategy"],
                "has no effect with group.protocol=consumer: the broker says so",
            ),
            GroupProtocol::Classic => (
                &["group.remote.assignor"],
                "has no effect with group.protocol=classic: the members share out",
            ),
            GroupProtocol::Auto => (&[], ""),
        };
        let told = useless.iter().filter(|name| given(name)).map(|name| format!("{name} {why}"));
        self.warnings.extend(told);
    }

    /// As in Kafka, idempotence is on unless something else that was asked for excludes it; asked for
    /// itself, it stays and the options are refused.
    fn settle_idempotence(&mut self) {
        self.producer.idempotent = self.idempotent.unwrap_or_else(|| {
            let options = self.producer.clone().idempotent(true);
            let excluded = match options.acks {
                Acks::All => options.check().is_err() && options.idempotent(false).check().is_ok(),
                _ => true,
            };
            if excluded {
                let words = "enable.idempotence is off, as acks or \
                             max.in.flight.requests.per.connection exclude it: records may be lost, \
                             doubled or reordered";
                self.warnings.push(words.to_owned());
            }
            !excluded
        });
    }
}
