//! A data directory made once, after a clean stop and as of a crash, and copies of it in which a bit
//! is flipped.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use duramen::Broker;
use duramen::config::RawConfig;
use duramen::env::{Disk, Env};
use duramen::raft::snapshot::SnapshotStore;
use duramen::storage::offline::{self, Finding, Severity, Watch};
use duramen_client::cluster::Cluster;
use duramen_client::consumer::{
    Assignment, Consumer, ConsumerOptions, Event, Isolation, MovedWhy, Start,
};
use duramen_client::producer::{Producer, ProducerOptions, ProducerRecord};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::eventually;

/// How long anything may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);
const RECORDS: i64 = 300;

static TEMPLATES: LazyLock<[Template; 2]> = LazyLock::new(make);

/// The directory after a clean stop.
pub fn clean() -> &'static Template {
    &TEMPLATES[0]
}

/// The directory as a crash leaves it.
pub fn crashed() -> &'static Template {
    &TEMPLATES[1]
}

pub fn disk() -> Arc<dyn Disk> {
    Env::real().disk
}

/// A directory to copy.
pub struct Template {
    folder: TempDir,
    is_clean: bool,
}

/// The value of the record at an offset: no two are alike, and no codec makes them smaller.
fn value(offset: i64) -> Vec<u8> {
    let mut state = offset as u64 ^ 0x1234_5678_9abc_def0;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 56) as u8
    };
    (0..6000).map(|_| next()).collect()
}

async fn start(dir: &Path) -> Result<Broker, String> {
    let mut raw = RawConfig::new();
    let dir = format!("log.dirs={}", dir.display());
    let settings = [
        "listeners=PLAINTEXT://127.0.0.1:0",
        "http.listener=off",
        "log.segment.bytes=1048576",
        "metadata.log.max.record.bytes.between.snapshots=1",
        &dir,
    ];
    settings.iter().for_each(|setting| raw.add_assignment(setting).unwrap());
    let started = tokio::time::timeout(PATIENCE, Broker::start(raw.settings())).await;
    started.expect("a broker starts, or says why not").map_err(|error| error.to_string())
}

fn cluster(broker: &Broker) -> Cluster {
    Cluster::new(&broker.bootstrap(), Default::default()).unwrap()
}

async fn produce(broker: &Broker, offsets: std::ops::Range<i64>) {
    let options = ProducerOptions::default().batch_bytes(20_000);
    let producer = Producer::start(&cluster(broker), options).unwrap();
    for offset in offsets {
        let (value, key) = (value(offset), offset.to_string());
        let record = ProducerRecord {
            partition: Some(0),
            key: Some(key.as_bytes()),
            ..ProducerRecord::new("orders", &value)
        };
        drop(producer.enqueue(record).await.unwrap());
    }
    producer.flush().await;
}

fn make() -> [Template; 2] {
    let folder = tempfile::tempdir().unwrap();
    let (clean, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Runtime::new().unwrap().block_on(async {
        let dir = folder.path().join("data");
        let broker = start(&dir).await.unwrap();
        produce(&broker, 0..RECORDS / 2).await;
        broker.stop().await;
        let broker = start(&dir).await.unwrap();
        produce(&broker, RECORDS / 2..RECORDS).await;
        copy_at_rest(&dir, crashed.path());
        broker.stop().await;
        copy(&dir, clean.path());
    });
    [Template { folder: clean, is_clean: true }, Template { folder: crashed, is_clean: false }]
}

fn copy(from: &Path, to: &Path) {
    try_copy(from, to).unwrap();
}

fn try_copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            try_copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Copies the directory of a broker that runs as of one moment: one may still write a snapshot of what was
/// done last, and a copy of before and after is nothing that a crash leaves.
fn copy_at_rest(from: &Path, to: &Path) {
    eventually("nothing changes while it is copied", PATIENCE, || {
        let before = listed(from).ok()?;
        fs::remove_dir_all(to).ok()?;
        try_copy(from, to).ok()?;
        (listed(from).ok()? == before).then_some(())
    });
}

/// Every file below a directory, with its length and when it was changed.
fn listed(dir: &Path) -> io::Result<BTreeSet<(PathBuf, u64, SystemTime)>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir)? {
        let (path, about) = entry.and_then(|it| Ok((it.path(), it.metadata()?)))?;
        if about.is_dir() {
            found.extend(listed(&path)?);
        } else {
            found.insert((path, about.len(), about.modified()?));
        }
    }
    Ok(found)
}

/// All that `log verify` finds in a directory.
fn verify(dir: &Path) -> Vec<Finding> {
    let mut findings = Findings::default();
    offline::verify(&*disk(), dir, &mut findings).unwrap();
    let metadata = dir.join("__cluster_metadata-0");
    let store = SnapshotStore::new(disk(), metadata.clone());
    for id in store.list().unwrap() {
        if let Err(error) = store.read(id) {
            findings.0.push(Finding {
                path: metadata.join(id.file_name()),
                position: None,
                offsets: None,
                severity: Severity::Damage,
                reason: error.to_string(),
            });
        }
    }
    findings.0
}

impl Template {
    /// What `log verify` finds.
    pub fn verify(&self) -> Vec<Finding> {
        verify(self.folder.path())
    }

    pub fn is_clean(&self) -> bool {
        self.is_clean
    }

    pub fn path(&self, file: &Path) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn len(&self, file: &Path) -> u64 {
        fs::metadata(self.path(file)).unwrap().len()
    }

    /// All files, in order, by their paths within the directory.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut dirs = vec![PathBuf::new()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(self.path(&dir)).unwrap() {
                let entry = entry.unwrap();
                let path = dir.join(entry.file_name());
                match entry.file_type().unwrap().is_dir() {
                    true => dirs.push(path),
                    false => found.push(path),
                }
            }
        }
        found.sort();
        found
    }

    /// A copy in which bit `bit` of `file` is another.
    pub fn with_flip(&'static self, file: &Path, bit: u64) -> World {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        let path = folder.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
        fs::write(&path, bytes).unwrap();
        World { template: self, folder, file: file.to_owned(), bit }
    }
}

/// A directory with one flipped bit.
pub struct World {
    template: &'static Template,
    folder: TempDir,
    file: PathBuf,
    bit: u64,
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.template.is_clean { "closed properly" } else { "after a crash" };
        write!(f, "{state}, byte {} bit {} of {}", self.bit / 8, self.bit % 8, self.file.display())
    }
}

/// What a broker and `log verify` make of it.
pub struct Outcome {
    pub findings: Vec<Finding>,
    /// What was served, or why no broker started.
    pub served: Result<Served, String>,
}

/// What a consumer that skips damage got.
#[derive(Default)]
pub struct Served {
    offsets: Vec<i64>,
    /// Damage that was told: from, and first offset behind.
    pub moved: Vec<(i64, i64)>,
}

impl Served {
    /// Offsets that did not come.
    pub fn missing(&self) -> Vec<i64> {
        (0..RECORDS).filter(|offset| self.offsets.binary_search(offset).is_err()).collect()
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Watch for Findings {
    fn found(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    fn progress(&mut self, _: u64, _: u64) {}

    fn rebuilt(&mut self, _: &Path) {}
}

impl World {
    pub fn template(&self) -> &'static Template {
        self.template
    }

    /// The file as it was, and as it is.
    pub fn before_and_after(&self) -> (PathBuf, PathBuf) {
        (self.template.path(&self.file), self.folder.path().join(&self.file))
    }

    /// Whether the bit lies in the last line of a file of text.
    pub fn is_in_last_line(&self) -> bool {
        let bytes = fs::read(self.template.path(&self.file)).unwrap();
        let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
        self.bit / 8 > ends.iter().rev().nth(1).map_or(0, |at| *at as u64)
    }

    /// What `log verify` finds now, but for what a crash leaves lying about.
    pub fn verify(&self) -> Vec<Finding> {
        let (_, flipped) = self.before_and_after();
        let mut findings = verify(self.folder.path());
        findings.retain(|found| found.severity > Severity::Note || found.path == flipped);
        findings
    }

    pub fn repair(&self) {
        offline::repair(&*disk(), self.folder.path(), &mut Findings::default()).unwrap();
    }

    /// Checks the directory, then starts a broker on a copy of it and reads everything.
    pub fn run(&self) -> Outcome {
        let findings = self.verify();
        let served = Runtime::new().unwrap().block_on(self.serve());
        Outcome { findings, served }
    }

    /// Puts the file back as it was, and reads again what the broker has left.
    pub fn undo(&self) -> Outcome {
        let (before, after) = self.before_and_after();
        fs::copy(before, after).unwrap();
        self.run()
    }

    async fn serve(&self) -> Result<Served, String> {
        let broker = start(self.folder.path()).await?;
        let read = tokio::time::timeout(PATIENCE, self.read(&broker)).await;
        let read = read.unwrap_or_else(|_| panic!("{self}: the records do not come"));
        broker.stop().await;
        read
    }

    async fn read(&self, broker: &Broker) -> Result<Served, String> {
        let cluster = cluster(broker);
        let end = end_of(&cluster).await?;
        let options = ConsumerOptions::default().skip_damage(true);
        let assignment = Assignment::new("orders", 0, Start::Offset(0)).end(end);
        let mut consumer = Consumer::start(&cluster, options, vec![assignment]).unwrap();
        let mut served = Served::default();
        let mut scratch = Vec::new();
        while let Some(event) = consumer.next().await {
            match event.map_err(|error| error.to_string())? {
                Event::Moved(moved) => {
                    assert_eq!(moved.why, MovedWhy::Damaged, "{self}: {moved:?}");
                    served.moved.push((moved.from, moved.to));
                }
                Event::Records(fetched) => {
                    let visited = fetched.visit(&mut scratch, |_, record| {
                        let wanted = value(record.offset);
                        assert_eq!(record.value, Some(&wanted[..]), "{self}: {}", record.offset);
                        let last = served.offsets.last().copied().unwrap_or(-1);
                        assert!(record.offset > last, "{self}: {} comes again", record.offset);
                        served.offsets.push(record.offset);
                        std::ops::ControlFlow::<()>::Continue(())
                    });
                    visited.map(|_| ()).map_err(|error| error.to_string())?;
                }
                other => panic!("{self}: {other:?}"),
            }
        }
        Ok(served)
    }
}

async fn end_of(cluster: &Cluster) -> Result<i64, String> {
    use duramen_client::admin::{OffsetQuestion, OffsetSpec};
    let question = OffsetQuestion::new("orders", 0, OffsetSpec::Latest);
    let admin = duramen_client::Admin::new(cluster);
    let answers = admin.list_offsets(Isolation::ReadUncommitted, vec![question]).await;
    let answers = answers.map_err(|error| error.to_string())?;
    let answer = answers.into_iter().next().ok_or("no answer")?;
    answer.offset.map_err(|error| error.to_string())?.ok_or_else(|| "no offset".to_owned())
}
