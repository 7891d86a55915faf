//! The job of a replay and how far it has got: what a checkpoint file holds, to and from JSON.

use serde_json::{Map, Value, json};

/// The number of the file's form.
const VERSION: i64 = 1;

/// What records of one source partition went to one partition of the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// Those whose offset is below the source's position. All of them are in the target.
    pub(super) settled: u64,
    /// Those known to be in the target: as many or more.
    pub(super) arrived: u64,
}

/// One partition of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Its number.
    pub(super) partition: i32,
    /// The first offset of the range.
    pub(super) from: i64,
    /// The first offset behind it.
    pub(super) to: i64,
    /// What is wanted below has been written.
    pub(super) position: i64,
    /// By partition of the target.
    pub(super) sent: Vec<Sent>,
}

/// Where the records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A topic.
    Topic {
        /// Its id, so that one made again under its name is not taken for it.
        id: String,
        /// By partition: its end when the job began.
        began_at: Vec<i64>,
        /// By partition: what is written below counts as settled or arrived already.
        scan_from: Vec<i64>,
        /// Producer id and epoch for each source partition, or one for all where no two of them write to
        /// one partition.
        producers: Vec<(i64, i16)>,
    },
    /// A file.
    File {
        /// Bytes that are on the disk.
        length: u64,
    },
}

/// See the top of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// Its id.
    pub(super) id: String,
    /// What was asked for, by option: a resumed job must be asked for the same.
    pub(super) asked: Map<String, Value>,
    /// The cluster's id.
    pub(super) cluster: String,
    /// The source topic's id.
    pub(super) source_id: String,
    pub(super) sources: Vec<Source>,
    pub(super) target: Target,
    /// Nothing is left to do.
    pub(super) done: bool,
}

impl Job {
    /// Offsets in all ranges, and those passed.
    pub(super) fn progress(&self) -> (u64, u64) {
        let sum = |of: fn(&Source) -> i64| {
            self.sources.iter().map(|source| u64::try_from(of(source)).unwrap_or(0)).sum()
        };
        (sum(|source| source.to - source.from), sum(|source| source.position - source.from))
    }

    /// The file's text.
    pub(super) fn to_json(&self) -> Value {
        let sent = |source: &Source| -> Vec<Value> {
            source.sent.iter().map(|sent| json!([sent.settled, sent.arrived])).collect()
        };
        let sources: Vec<Value> = self
            .sources
            .iter()
            .map(|source| {
                json!({
                    "partition": source.partition, "from": source.from, "to": source.to,
                    "position": source.position, "sent": sent(source),
                })
            })
            .collect();
        let target = match &self.target {
            Target::Topic { id, began_at, scan_from, producers } => json!({
                "id": id, "began_at": began_at, "scan_from": scan_from,
                "producers": producers.iter().map(|(id, epoch)| json!([id, epoch])).collect::<Vec<_>>(),
            }),
            Target::File { length } => json!({ "length": length }),
        };
        json!({
            "version": VERSION, "job": self.id, "done": self.done, "asked": self.asked,
            "cluster": self.cluster, "source_id": self.source_id, "target": target, "sources": sources,
        })
    }

    /// Reads the file's text; `None` when it is not whole or not ours.
    pub(super) fn from_json(text: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(text).ok()?;
        if value.get("version")?.as_i64()? != VERSION {
            return None;
        }
        let target = target_of(value.get("target")?)?;
        let sources: Option<Vec<Source>> =
            value.get("sources")?.as_array()?.iter().map(source_of).collect();
        let job = Self {
            id: text_of(&value, "job")?,
            asked: value.get("asked")?.as_object()?.clone(),
            cluster: text_of(&value, "cluster")?,
            source_id: text_of(&value, "source_id")?,
            sources: sources?,
            target,
            done: value.get("done")?.as_bool()?,
        };
        job.holds_together().then_some(job)
    }

    fn holds_together(&self) -> bool {
        let in_order = self.sources.is_sorted_by_key(|source| source.partition);
        in_order
            && match &self.target {
                Target::File { .. } => true,
                Target::Topic { began_at, scan_from, producers, .. } => {
                    let partitions = began_at.len();
                    let each = |source: &Source| {
                        source.sent.len() == partitions
                            && source.sent.iter().all(|sent| sent.settled <= sent.arrived)
                    };
                    scan_from.len() == partitions
                        && (producers.len() == 1 || producers.len() == self.sources.len())
                        && self.sources.iter().all(each)
                }
            }
    }
}

fn text_of(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

fn numbers(value: &Value) -> Option<Vec<i64>> {
    value.as_array()?.iter().map(Value::as_i64).collect()
}

fn source_of(value: &Value) -> Option<Source> {
    let number = |name: &str| value.get(name)?.as_i64();
    let sent = |value: &Value| match value.as_array()?.as_slice() {
        [settled, arrived] => Some(Sent { settled: settled.as_u64()?, arrived: arrived.as_u64()? }),
        _ => None,
    };
    let (from, to, position) = (number("from")?, number("to")?, number("position")?);
    let source = Source {
        partition: i32::try_from(number("partition")?).ok()?,
        from,
        to,
        position,
        sent: value.get("sent")?.as_array()?.iter().map(sent).collect::<Option<_>>()?,
    };
    (0 <= from && from <= position && position <= to).then_some(source)
}

fn target_of(value: &Value) -> Option<Target> {
    if let Some(length) = value.get("length") {
        return Some(Target::File { length: length.as_u64()? });
    }
    let producer = |pair: &Vec<i64>| match pair.as_slice() {
        [id, epoch] => Some((*id, i16::try_from(*epoch).ok()?)),
        _ => None,
    };
    let producers: Option<Vec<Vec<i64>>> =
        value.get("producers")?.as_array()?.iter().map(numbers).collect();
    Some(Target::Topic {
        id: text_of(value, "id")?,
        began_at: numbers(value.get("began_at")?)?,
        scan_from: numbers(value.get("scan_from")?)?,
        producers: producers?.iter().map(producer).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::cli::replay) fn sample() -> Job {
        let source = |partition| Source {
            partition,
            from: 10,
            to: 1 << 60,
            position: 12,
            sent: vec![Sent { settled: 1, arrived: 5 }, Sent::default()],
        };
        Job {
            id: "job".to_owned(),
            asked: Map::from_iter([("source".to_owned(), json!("orders"))]),
            cluster: "c".to_owned(),
            source_id: "s".to_owned(),
            sources: vec![source(0), source(3)],
            target: Target::Topic {
                id: "t".to_owned(),
                began_at: vec![5, 6],
                scan_from: vec![7, 6],
                producers: vec![(1 << 40, 0), (8, 3)],
            },
            done: false,
        }
    }

    #[test]
    fn a_job_comes_back_as_it_was() {
        let topic = sample();
        let file = Job { target: Target::File { length: 1 << 40 }, done: true, ..sample() };
        for job in [topic, file] {
            let text = job.to_json().to_string();
            assert_eq!(Job::from_json(text.as_bytes()), Some(job));
        }
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let text = sample().to_json().to_string();
        for cut in [0, 1, text.len() / 2, text.len() - 1] {
            assert_eq!(Job::from_json(&text.as_bytes()[..cut]), None);
        }
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("\"position\":12", "\"position\":9"),
            ("[1,5]", "[6,5]"),
            ("\"scan_from\":[7,6]", "\"scan_from\":[7]"),
            ("[8,3]", "[8,70000]"),
            ("\"partition\":3", "\"partition\":-3"),
        ] {
            assert!(text.contains(from), "{from}");
            assert_eq!(Job::from_json(text.replace(from, to).as_bytes()), None, "{to}");
        }
    }
}
