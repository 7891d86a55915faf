//! `duramen log dump`: what stands in the files, without a broker.

use std::path::{Path, PathBuf};

use clap::Args;
use duramen_protocol::ids::topic_id_to_base64;
use duramen_protocol::records::{BatchHeader, BatchView};
use serde_json::json;

use super::rows::{RecordRow, Rows};
use super::words;
use crate::cli::exit::{Exit, Failure};
use crate::cli::offsets::{Edge, OffsetRange};
use crate::cli::output::Format;
use crate::cli::time::rfc3339;
use crate::env::{DirEntry, Disk, Env};
use crate::storage::offline::{
    Event, FileKind, IndexRow, SegmentSource, SmallFile, kind_of, read_small,
};

/// The most that one batch may unfold to.
const UNFOLDED_MAX: usize = 1 << 30;

/// Show what stands in segments, partitions and the small files beside them
///
/// Reads only: use it on a copy, on a stopped node, or while a broker runs. What is damaged is shown with
/// its place, and the dump goes on behind it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen log dump duramen-data/orders-0
  duramen log dump duramen-data/orders-0 --records --offset 100:120
  duramen log dump duramen-data/orders-0/00000000000000000000.timeindex
  duramen log dump duramen-data/__cluster_metadata-0 --records
  duramen log dump duramen-data/orders-0 --format json | jq 'select(.type == \"damage\")'")]
pub(super) struct DumpArgs {
    /// Files, or directories of partitions
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Show the records of each batch too
    #[arg(short, long)]
    records: bool,
    /// Only batches with these offsets: n:, :n, or from a up to b as a:b
    #[arg(short, long, value_name = "RANGE")]
    offset: Option<String>,
    /// How to show it; json is one object a line
    #[arg(long, env = "DURAMEN_FORMAT", default_value = "table")]
    format: Format,
}

pub(super) fn run(args: &DumpArgs) -> Result<(), Failure> {
    let (from, to) = range(args.offset.as_deref())?;
    let env = Env::real();
    let rows = Rows::new(args.format)?;
    let mut dump = Dump { disk: &*env.disk, rows, records: args.records, from, to };
    for path in &args.paths {
        dump.path(path)?;
    }
    dump.rows.finish()
}

/// The first offset wanted, and the first one not wanted.
fn range(text: Option<&str>) -> Result<(i64, i64), Failure> {
    let Some(text) = text else { return Ok((0, i64::MAX)) };
    let range = OffsetRange::parse(text, 0).map_err(Failure::usage)?;
    let plain =
        || Failure::usage(format!("--offset {text}: write offsets, as 100:, :200 or 100:200"));
    let from = match range.from {
        Edge::Start => 0,
        Edge::Offset(offset) => offset,
        _ => return Err(plain()),
    };
    match range.to {
        None | Some(Edge::End) => Ok((from, i64::MAX)),
        Some(Edge::Offset(to)) => Ok((from, to)),
        Some(_) => Err(plain()),
    }
}

struct Dump<'a> {
    disk: &'a dyn Disk,
    rows: Rows,
    records: bool,
    from: i64,
    to: i64,
}

/// Why a directory without segments can't be shown; of a whole data directory a partition is named.
fn no_partition(path: &Path, entries: &[DirEntry]) -> Failure {
    let partitions = entries.iter().filter(|entry| entry.is_dir && entry.name.ends_with("-0"));
    // The broker's own ones come only where there are no others.
    let of = partitions.min_by_key(|entry| entry.name.starts_with("__"));
    let way_out = of.map_or(String::new(), |entry| {
        format!("; name a partition in it, as {}", path.join(&entry.name).display())
    });
    let words = format!("{}: no partition: it has no segments{way_out}", path.display());
    Failure::new(Exit::NotFound, words)
}

impl Dump<'_> {
    fn path(&mut self, path: &Path) -> Result<(), Failure> {
        match self.disk.list(path) {
            Ok(entries) => {
                let files = entries.iter().filter(|entry| !entry.is_dir);
                let paths: Vec<_> = files.map(|entry| path.join(&entry.name)).collect();
                if !paths.iter().any(|path| matches!(kind_of(path), FileKind::Segment(_))) {
                    return Err(no_partition(path, &entries));
                }
                self.partition(&paths)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => self.file(path),
            Err(error) => Err(Failure::io(path.display(), &error)),
        }
    }

    /// The small files first; indexes only where they are named.
    fn partition(&mut self, paths: &[PathBuf]) -> Result<(), Failure> {
        let is_log = |kind| matches!(kind, FileKind::Segment(_) | FileKind::MetadataSnapshot);
        let is_left = |kind| matches!(kind, FileKind::OffsetIndex(_) | FileKind::TimeIndex(_));
        for path in paths.iter().filter(|path| !is_log(kind_of(path)) && !is_left(kind_of(path))) {
            self.small(path)?;
        }
        let segments: Vec<(i64, &PathBuf)> = paths
            .iter()
            .filter_map(|path| match kind_of(path) {
                FileKind::Segment(base) => Some((base, path)),
                _ => None,
            })
            .collect();
        for (index, (_, path)) in segments.iter().enumerate() {
            let end = segments.get(index + 1).map_or(i64::MAX, |(next, _)| *next);
            if end > self.from {
                self.segment(path, end)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        match kind_of(path) {
            FileKind::Segment(_) | FileKind::MetadataSnapshot => self.segment(path, i64::MAX),
            FileKind::Stray => Err(Failure::usage(format!(
                "{}: not a file of a data directory, by its name",
                path.display()
            ))),
            _ => self.small(path),
        }
    }

    fn segment(&mut self, path: &Path, end: i64) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::io(path.display(), &error);
        let source = SegmentSource::open(self.disk, path).map_err(failed)?;
        if source.base >= self.to {
            return Ok(());
        }
        let is_metadata = is_metadata(path);
        self.rows.file(path);
        self.rows.batches();
        let mut scan = source.scan(end, None);
        let mut scratch = Vec::new();
        while let Some(event) = scan.step().map_err(failed)? {
            match event {
                Event::Broken(stretch) => self.rows.broken(&stretch)?,
                Event::Batch { header, .. } if header.last_offset() < self.from => {}
                Event::Batch { header, .. } if header.base_offset >= self.to => break,
                Event::Batch { position, header } => {
                    self.rows.batch(position, &header)?;
                    if self.records {
                        let bytes = source.read(position, &header).map_err(failed)?;
                        self.records(&bytes, &header, is_metadata, &mut scratch)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn records(
        &mut self,
        bytes: &[u8],
        header: &BatchHeader,
        is_metadata: bool,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let unreadable = |rows: &mut Rows, reason: String| {
            let words = format!("batch at offset {}: {reason}", header.base_offset);
            let value = json!({ "base_offset": header.base_offset, "reason": reason });
            rows.fact("unreadable", &words, value)
        };
        let batch = match BatchView::split(bytes) {
            Ok((batch, _)) => batch,
            Err(error) => return unreadable(&mut self.rows, error.to_string()),
        };
        let records = match batch.records(scratch, UNFOLDED_MAX) {
            Ok(records) => records,
            Err(error) => return unreadable(&mut self.rows, error.to_string()),
        };
        for record in records {
            let record = match record {
                Ok(record) => record,
                Err(error) => return unreadable(&mut self.rows, error.to_string()),
            };
            if record.offset < self.from || record.offset >= self.to {
                continue;
            }
            let words = is_metadata && !header.is_control();
            self.rows.record(&RecordRow {
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key,
                value: record.value,
                headers: record.headers.map(|header| (header.key, header.value)).collect(),
                words: words.then(|| words::metadata(record.value)),
            })?;
        }
        Ok(())
    }

    fn small(&mut self, path: &Path) -> Result<(), Failure> {
        let read = read_small(self.disk, path);
        let read = match read {
            // A broker that runs replaces its small files.
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    && self.disk.exists(path).is_ok_and(|there| there) =>
            {
                return Ok(());
            }
            read => read.map_err(|error| Failure::io(path.display(), &error))?,
        };
        let content = match read {
            Ok(None) => return Ok(()),
            Ok(Some(content)) => content,
            Err(reason) => {
                self.rows.file(path);
                return self.rows.fact("damaged", &reason, json!({ "reason": reason }));
            }
        };
        self.rows.file(path);
        self.content(content)
    }

    fn content(&mut self, content: SmallFile) -> Result<(), Failure> {
        let rows = &mut self.rows;
        match content {
            SmallFile::Index(entries) => entries.into_iter().try_for_each(|row| match row {
                IndexRow::Offset { last_offset, position } => {
                    let words = format!("offset {last_offset} ends the batch at byte {position}");
                    let value = json!({ "last_offset": last_offset, "position": position });
                    rows.fact("index", &words, value)
                }
                IndexRow::Time { timestamp, last_offset } => {
                    let words = format!("{} with offset {last_offset}", rfc3339(timestamp));
                    let value = json!({ "timestamp": timestamp, "last_offset": last_offset });
                    rows.fact("time", &words, value)
                }
            }),
            SmallFile::Producers(states) => states.iter().try_for_each(|(id, entry)| {
                let (epoch, last) = (entry.epoch, entry.last_sequence());
                let open = entry.current_txn_first_offset;
                let mut words = format!("{id} epoch {epoch}, last sequence {last}");
                if let Some(open) = open {
                    words.push_str(&format!(", transaction open from offset {open}"));
                }
                let value = json!({
                    "producer_id": id,
                    "producer_epoch": epoch,
                    "last_sequence": last,
                    "last_timestamp": entry.last_timestamp,
                    "coordinator_epoch": entry.coordinator_epoch,
                    "current_txn_first_offset": open,
                });
                rows.fact("producer", &words, value)
            }),
            SmallFile::Epochs(history) => history.entries().iter().try_for_each(|entry| {
                let words = format!("{} from offset {}", entry.epoch, entry.start_offset);
                let value = json!({ "epoch": entry.epoch, "start_offset": entry.start_offset });
                rows.fact("epoch", &words, value)
            }),
            other => single(rows, other),
        }
    }
}

/// Files that name offsets and ids.
fn single(rows: &mut Rows, content: SmallFile) -> Result<(), Failure> {
    match content {
        SmallFile::Offsets(entries) => entries.into_iter().try_for_each(|entry| {
            let words = format!("{}-{} {}", entry.topic, entry.partition, entry.offset);
            let value = json!({
                "topic": entry.topic, "partition": entry.partition, "offset": entry.offset,
            });
            rows.fact("checkpoint", &words, value)
        }),
        SmallFile::Damage(list) => list.into_iter().try_for_each(|lost| {
            let words = format!(
                "offsets {} to {}, bytes {} to {} of segment {}",
                lost.first,
                lost.next - 1,
                lost.from,
                lost.to,
                lost.segment
            );
            let value = json!({
                "first_offset": lost.first, "next_offset": lost.next,
                "segment": lost.segment, "position": lost.from, "end": lost.to,
            });
            rows.fact("known-damage", &words, value)
        }),
        SmallFile::Topic(id) => {
            let id = topic_id_to_base64(&id);
            rows.fact("topic-id", &id, json!({ "topic_id": id }))
        }
        SmallFile::Meta(meta) => {
            let words = format!(
                "cluster {} node {} directory {} format {}",
                meta.cluster_id, meta.node_id, meta.directory_id, meta.format
            );
            let value = json!({
                "cluster_id": meta.cluster_id, "node_id": meta.node_id,
                "directory_id": meta.directory_id, "format": meta.format,
            });
            rows.fact("meta", &words, value)
        }
        SmallFile::CleanShutdown(epoch) => {
            let words = format!("closed properly in broker epoch {epoch}");
            rows.fact("clean-shutdown", &words, json!({ "broker_epoch": epoch }))
        }
        _ => Ok(()),
    }
}

/// Whether a file lies in the metadata log's directory.
fn is_metadata(path: &Path) -> bool {
    let own = path.parent().and_then(Path::file_name);
    let in_metadata =
        own.is_some_and(|name| name.to_string_lossy().starts_with("__cluster_metadata-"));
    in_metadata || kind_of(path) == FileKind::MetadataSnapshot
}
