//! PURE. Two looks at a broker → rates. A figure that was not told stays unknown, and a counter that
//! went back (the broker was restarted) has no rate until the next look.

use std::collections::BTreeMap;
use std::time::Duration;

/// A topic at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TopicLook {
    pub(super) partitions: usize,
    /// Records between the log start and the log end.
    pub(super) held: u64,
    /// Sum of the log end offsets.
    pub(super) end: u64,
    /// Bytes of the segments.
    pub(super) bytes: Option<u64>,
    /// Bytes appended since the broker's start.
    pub(super) in_bytes: Option<f64>,
    /// Bytes handed out since the broker's start.
    pub(super) out_bytes: Option<f64>,
    /// What an ack means.
    pub(super) durability: Option<String>,
}

/// The disk of a log directory.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DiskLook {
    pub(super) path: String,
    pub(super) free: u64,
    pub(super) total: u64,
    /// Topics stop growing below; known by HTTP only.
    pub(super) low: Option<u64>,
    pub(super) full: bool,
    pub(super) offline: bool,
}

/// The connections of one client software.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ClientLook {
    pub(super) software: String,
    pub(super) version: String,
    pub(super) connections: u64,
}

/// What only HTTP tells of the broker.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct NodeLook {
    pub(super) version: String,
    pub(super) connections: u64,
    /// What clients say that they are, and how many connections each has; most first.
    pub(super) clients: Vec<ClientLook>,
    pub(super) accepted: f64,
    pub(super) requests: f64,
    pub(super) errors: f64,
    pub(super) received: f64,
    pub(super) sent: f64,
    pub(super) cpu_seconds: f64,
    pub(super) anonymous_bytes: u64,
    pub(super) open_files: u64,
    pub(super) waiting: u64,
}

/// All of it at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Look {
    /// Monotonic.
    pub(super) at: Duration,
    pub(super) cluster: String,
    pub(super) brokers: usize,
    pub(super) topics: BTreeMap<String, TopicLook>,
    pub(super) disks: Vec<DiskLook>,
    pub(super) node: Option<NodeLook>,
    /// Why something is missing, in one line.
    pub(super) note: Option<String>,
}

/// A topic and what flows through it, each second.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) topic: String,
    pub(super) look: TopicLook,
    pub(super) in_records: Option<f64>,
    pub(super) in_bytes: Option<f64>,
    /// Bytes out over the mean size of the records held: nobody counts records on their way out.
    pub(super) out_records: Option<f64>,
    pub(super) out_bytes: Option<f64>,
}

/// The broker's own rates, each second.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct NodeRates {
    pub(super) requests: Option<f64>,
    pub(super) errors: Option<f64>,
    pub(super) accepted: Option<f64>,
    pub(super) received: Option<f64>,
    pub(super) sent: Option<f64>,
    /// Of one processor, 1.0 is all.
    pub(super) cpu: Option<f64>,
}

/// By what the topics are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Sort {
    /// Records in, a second
    #[default]
    In,
    /// Bytes out, a second
    Out,
    /// Bytes held
    Size,
    /// Records held
    Records,
    /// The name
    Name,
}

/// What went up between two looks, a second.
fn rate(before: Option<f64>, after: Option<f64>, seconds: f64) -> Option<f64> {
    let grown = after? - before?;
    (grown >= 0.0 && seconds > 0.0).then(|| grown / seconds)
}

/// The topics of the later look, sorted.
pub(super) fn rows(before: Option<&Look>, after: &Look, sort: Sort) -> Vec<Row> {
    let seconds = before.map_or(0.0, |before| after.at.saturating_sub(before.at).as_secs_f64());
    let row = |(topic, look): (&String, &TopicLook)| {
        let was = before.and_then(|before| before.topics.get(topic));
        let of =
            |pick: fn(&TopicLook) -> Option<f64>| rate(was.and_then(pick), pick(look), seconds);
        let out_bytes = of(|look| look.out_bytes);
        let mean =
            look.bytes.filter(|_| look.held > 0).map(|bytes| bytes as f64 / look.held as f64);
        Row {
            topic: topic.clone(),
            in_records: of(|look| Some(look.end as f64)),
            in_bytes: of(|look| look.in_bytes),
            out_records: out_bytes
                .zip(mean.filter(|mean| *mean > 0.0))
                .map(|(out, mean)| out / mean),
            out_bytes,
            look: look.clone(),
        }
    };
    let mut rows: Vec<Row> = after.topics.iter().map(row).collect();
    let weight = |row: &Row| match sort {
        Sort::In => row.in_records.unwrap_or(0.0),
        Sort::Out => row.out_bytes.unwrap_or(0.0),
        Sort::Size => row.look.bytes.unwrap_or(0) as f64,
        Sort::Records => row.look.held as f64,
        Sort::Name => 0.0,
    };
    // Stable: topics of the same weight stay in the order of their names.
    rows.sort_by(|left, right| weight(right).total_cmp(&weight(left)));
    rows
}

/// The broker's own rates.
pub(super) fn node_rates(before: Option<&Look>, after: &Look) -> NodeRates {
    let seconds = before.map_or(0.0, |before| after.at.saturating_sub(before.at).as_secs_f64());
    let of = |pick: fn(&NodeLook) -> f64| {
        let was = before.and_then(|before| before.node.as_ref()).map(pick);
        rate(was, after.node.as_ref().map(pick), seconds)
    };
    NodeRates {
        requests: of(|node| node.requests),
        errors: of(|node| node.errors),
        accepted: of(|node| node.accepted),
        received: of(|node| node.received),
        sent: of(|node| node.sent),
        cpu: of(|node| node.cpu_seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at: u64, topics: &[(&str, u64, f64)]) -> Look {
        let topic = |(name, end, out): &(&str, u64, f64)| {
            let look = TopicLook {
                held: 100,
                bytes: Some(1000),
                end: *end,
                out_bytes: Some(*out),
                ..TopicLook::default()
            };
            ((*name).to_owned(), look)
        };
        Look {
            at: Duration::from_secs(at),
            topics: topics.iter().map(topic).collect(),
            ..Look::default()
        }
    }

    #[test]
    fn rates_come_from_two_looks_and_a_new_topic_has_none_yet() {
        let (before, after) = (
            look(1, &[("a", 10, 0.0), ("b", 10, 50.0)]),
            look(3, &[("a", 30, 400.0), ("b", 10, 0.0), ("c", 5, 0.0)]),
        );
        let rows = rows(Some(&before), &after, Sort::In);
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row.topic.as_str(), row.in_records, row.out_bytes, row.out_records))
            .collect();
        assert_eq!(
            seen,
            [
                ("a", Some(10.0), Some(200.0), Some(20.0)),
                ("b", Some(0.0), None, None),
                ("c", None, None, None),
            ],
            "b's counter went back: the broker was restarted"
        );
    }

    #[test]
    fn a_first_look_has_no_rates_and_keeps_the_order_of_names() {
        let after = look(3, &[("b", 30, 0.0), ("a", 10, 0.0)]);
        let rows = rows(None, &after, Sort::Out);
        assert_eq!(rows.iter().map(|row| row.topic.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(rows[0].in_records, None);
        assert_eq!(node_rates(None, &after), NodeRates::default());
    }
}
