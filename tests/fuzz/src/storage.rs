//! What lies on the disk: logs after a crash, and the files beside them.

use std::io::IoSlice;
use std::path::Path;
use std::sync::OnceLock;

use duramen::env::OpenMode;
use duramen::env::Patience;
use duramen::env::sim::SimEnv;
use duramen::storage::checkpoint::{decode_offsets, encode_offsets};
use duramen::storage::epochs::EpochHistory;
use duramen::storage::producer_state::{Origin, ProducerStates};
use duramen::storage::validate::ValidatedBatch;
use duramen::storage::{
    AppendInfo, Log, LogConfig, LogDir, LogDirOptions, ReadError, ReadRequest, UnrecoveredLog,
    partition_metadata, producer_snapshot, trusted_prefix,
};
use duramen_protocol::ids::TopicPartition;
use duramen_protocol::records::BatchView;
use duramen_protocol::records::control::EndTxnMarker;
use uuid::Uuid;

const DIR: &str = "/data";
const TOPIC_ID: Uuid = Uuid::from_u128(7);

/// The files of a directory that the input tells, each behind its length (u16), and where they go.
pub const FILES: [&str; 13] = [
    "orders-0/00000000000000000000.log",
    "orders-0/00000000000000000000.index",
    "orders-0/00000000000000000000.timeindex",
    "orders-0/00000000000000000010.snapshot",
    "orders-0/leader-epoch-checkpoint",
    "orders-0/damage-checkpoint",
    "recovery-point-offset-checkpoint",
    "log-start-offset-checkpoint",
    ".kafka_cleanshutdown",
    "orders-0/00000000000000000000.swap",
    "orders-0/00000000000000000000.log.swap",
    "orders-0/00000000000000000000.index.swap",
    "orders-0/00000000000000000010.log.deleted",
];

/// A directory as a crash, a bad disk or another program may have left it. It must open, and give a log
/// with all that is sound at its beginning, which can be read to its end, past what is damaged, appended
/// to, closed and opened again as it was.
pub fn recovery(data: &[u8]) {
    let place = Place(SimEnv::new(1, 1_700_000_000_000));
    // The first start makes the directory and says whose it is.
    drop(place.open_dir());
    place.0.env().disk.create_dir_all(&Path::new(DIR).join("orders-0")).unwrap();
    let mut files = [&[][..]; FILES.len()];
    let mut rest = data;
    for (name, file) in FILES.iter().zip(&mut files) {
        let Some((content, behind)) = section(rest) else { break };
        (*file, rest) = (content, behind);
        place.write(name, content);
    }
    place.write("orders-0/partition.metadata", &partition_metadata::encode(TOPIC_ID));

    let (dir, mut log) = place.open();
    let before = read_all(&log);
    let kept = sound_beginning(&files, dir.was_clean());
    let kept = kept.into_iter().filter(|batch| batch.base_offset() >= log.log_start_offset());
    for batch in kept {
        let offset = batch.base_offset();
        assert!(before.sound.iter().any(|it| it == batch.bytes()), "no sound batch at {offset}");
    }
    let marker = EndTxnMarker { commit: true, coordinator_epoch: 1 };
    let batch = marker.to_batch(1_700_000_000_000, 4000, 3).unwrap();
    let batch = ValidatedBatch::own(&batch).unwrap();
    let origin = Origin::Coordinator;
    let info = AppendInfo { leader_epoch: i32::MAX, now_ms: 1_700_000_000_000, origin };
    // A log that was damaged up to the last offset there is has no room for more.
    let appended = log.append(&batch, info).is_ok();
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    let after = read_all(&log);
    let count = before.sound.len();
    assert_eq!(after.sound.len(), count + usize::from(appended));
    assert_eq!(after.sound[..count], before.sound);
    log.close().unwrap();
    dir.close(-1).unwrap();

    let (_dir, log) = place.open();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (start, end), "{appended}");
    let again = read_all(&log);
    assert_eq!(again.sound, after.sound);
    // A wrong checksum that a clean shutdown vouches for is found when indexes are made anew, and told.
    for wrong in &after.wrong {
        let is_told = again.lost.iter().any(|(first, next)| *first <= wrong.0 && wrong.1 <= *next);
        assert!(is_told || again.wrong.contains(wrong), "{wrong:?} of {again:?}");
    }
    for wrong in &again.wrong {
        assert!(after.wrong.contains(wrong), "{wrong:?} of {after:?}");
    }
    for (first, next) in &after.lost {
        let is_told = again.lost.iter().any(|lost| lost.0 <= *first && *next <= lost.1);
        assert!(is_told, "{first} to {next} of {again:?}");
    }
}

/// The batches before the first thing that is wrong with the log: whatever else is damaged, they are
/// there. Nothing is known of files that take the place of others, or when the list of damage or the
/// history of epochs may lie.
fn sound_beginning<'a>(files: &[&'a [u8]; FILES.len()], was_clean: bool) -> Vec<BatchView<'a>> {
    let [log, .., swap, log_swap, index_swap, deleted] = files;
    let hides = [swap, log_swap, index_swap, deleted, &files[4], &files[5]];
    if hides.iter().any(|file| !file.is_empty()) {
        return Vec::new();
    }
    // A log that was closed properly ends where its recovery point says.
    let mut end = i64::MAX;
    if let Some(entries) = decode_offsets(files[6]).ok().filter(|_| was_clean) {
        let mut of_log = entries.iter().filter(|at| at.topic == "orders" && at.partition == 0);
        end = of_log.next().map_or(0, |at| at.offset);
        end = if end == 0 { i64::MAX } else { end };
    }
    let (mut kept, mut next, mut epoch, mut rest) = (Vec::new(), 0, 0, *log);
    while let Ok((batch, behind)) = BatchView::split(rest) {
        let fits = batch.base_offset() == next && batch.last_offset_delta() >= 0;
        let of_term = batch.partition_leader_epoch() >= epoch;
        if !fits || !of_term || batch.next_offset() > end || !batch.crc_is_valid() {
            break;
        }
        (next, epoch, rest) = (batch.next_offset(), batch.partition_leader_epoch(), behind);
        kept.push(batch);
    }
    // The last one may be what does not fit.
    if !rest.is_empty() {
        kept.pop();
    }
    kept
}

fn section(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    let len = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    Some(rest.split_at(len))
}

/// What a log gives out, from its start to its end.
#[derive(Debug, Default)]
struct Contents {
    /// Batches whose checksum is right, as they are.
    sound: Vec<Vec<u8>>,
    /// Offsets of the others: the first, and the one after the last.
    wrong: Vec<(i64, i64)>,
    /// What is told to be lost.
    lost: Vec<(i64, i64)>,
}

/// Reads in small pieces, and on behind what is damaged.
fn read_all(log: &Log) -> Contents {
    let mut all = Contents::default();
    let (mut offset, end) = (log.log_start_offset(), log.log_end_offset());
    while offset < end {
        let request = ReadRequest {
            offset,
            max_bytes: 1000,
            min_one: true,
            up_to: end,
            patience: Patience::Wait,
        };
        let before = offset;
        match log.read(&request) {
            Ok(read) => {
                // What a reader is given: of a hot batch memory speaks for the bytes.
                let mut served = read.bytes;
                if !read.hot {
                    served.truncate(trusted_prefix(&served, read.segment_end));
                }
                for batch in BatchView::iter(&served).map_while(Result::ok) {
                    let (base, next) = (batch.base_offset(), batch.next_offset());
                    assert!(base >= offset || offset == before, "{base} after {offset}");
                    assert!(next > offset, "{base} to {next} at {offset}");
                    if batch.crc_is_valid() {
                        all.sound.push(batch.bytes().to_vec());
                    } else {
                        all.wrong.push((base, next));
                    }
                    offset = next;
                }
                if offset == before {
                    // Behind the last batch, where one was compacted away.
                    break;
                }
            }
            Err(ReadError::Damaged { first, next }) => {
                assert!(first <= offset && offset < next, "{first} to {next} at {offset}");
                all.lost.push((first, next));
                offset = next;
            }
            Err(error) => panic!("at {offset}: {error}"),
        }
    }
    let _ = log.offset_for_timestamp(1_700_000_000_000);
    let _ = log.max_timestamp_offset();
    all
}

/// A directory on a disk of memory.
struct Place(SimEnv);

impl Place {
    fn write(&self, file: &str, content: &[u8]) {
        if content.is_empty() {
            return;
        }
        let disk = &self.0.env().disk;
        let file = disk.open(&Path::new(DIR).join(file), OpenMode::Create).unwrap();
        file.write_at(&[IoSlice::new(content)], 0).unwrap();
        file.sync_data().unwrap();
    }

    fn open_dir(&self) -> LogDir {
        let options = LogDirOptions { threads: false, ..LogDirOptions::default() };
        LogDir::open(&self.0.env(), Path::new(DIR), options).unwrap()
    }

    fn open(&self) -> (LogDir, Log) {
        let dir = self.open_dir();
        let found: Vec<UnrecoveredLog> = dir.unrecovered().unwrap();
        let only = found.into_iter().next().unwrap();
        let config = LogConfig { index_interval_bytes: 100, ..LogConfig::default() };
        let log = only.recover(TOPIC_ID, config).unwrap().log;
        (dir, log)
    }
}

/// Batches of the log that [`index`] looks up, one record each.
const INDEXED: i64 = 60;
const INDEXED_FROM_MS: i64 = 1_700_000_000_000;

/// The offset index, behind its length (u16), and the time index of a log that was closed properly.
/// Whatever they say, what is looked up by offset and by time is found where it is.
pub fn index(data: &[u8]) {
    let Some((offsets, times)) = section(data) else { return };
    let base = indexed();
    let place = Place(SimEnv { disk: base.disk.fork(), ..base.clone() });
    for (file, content) in [(FILES[1], offsets), (FILES[2], times)] {
        let path = Path::new(DIR).join(file);
        let written = place.0.env().disk.open(&path, OpenMode::Truncate).unwrap();
        written.write_at(&[IoSlice::new(content)], 0).unwrap();
    }
    let (dir, log) = place.open();
    assert_eq!(log.log_end_offset(), INDEXED);
    // not in order, and not each: one that is right would hide the next that is wrong
    for offset in (0..INDEXED).rev().step_by(7).chain([0, 1, INDEXED / 2]) {
        let request = ReadRequest {
            offset,
            max_bytes: 1,
            min_one: true,
            up_to: INDEXED,
            patience: Patience::Wait,
        };
        assert_eq!(log.read(&request).unwrap().first_batch_offset, offset);
        let found = log.offset_for_timestamp(INDEXED_FROM_MS + offset * 10).unwrap().unwrap();
        assert_eq!(found.offset, offset);
    }
    assert_eq!(log.max_timestamp_offset().unwrap().map(|found| found.offset), Some(INDEXED - 1));
    log.close().unwrap();
    dir.close(-1).unwrap();
}

/// A log with indexes, closed properly; made once.
fn indexed() -> &'static SimEnv {
    static MADE: OnceLock<SimEnv> = OnceLock::new();
    MADE.get_or_init(|| {
        let place = Place(SimEnv::new(1, INDEXED_FROM_MS));
        let dir = place.open_dir();
        let config = LogConfig { index_interval_bytes: 100, ..LogConfig::default() };
        let mut log = dir.create_log(&TopicPartition::new("orders", 0), TOPIC_ID, config).unwrap();
        for number in 0..INDEXED {
            let marker = EndTxnMarker { commit: true, coordinator_epoch: 1 };
            let now_ms = INDEXED_FROM_MS + number * 10;
            let batch = marker.to_batch(now_ms, 4000, 3).unwrap();
            let batch = ValidatedBatch::own(&batch).unwrap();
            let info = AppendInfo { leader_epoch: 1, now_ms, origin: Origin::Coordinator };
            log.append(&batch, info).unwrap();
        }
        log.close().unwrap();
        dir.close(-1).unwrap();
        place.0
    })
}

/// What [`index`] takes when the indexes are as they were written.
#[allow(dead_code, reason = "the fuzzer's binaries make no seeds")]
pub fn indexed_files() -> [Vec<u8>; 2] {
    let env = indexed().env();
    [FILES[1], FILES[2]].map(|file| env.disk.read(&Path::new(DIR).join(file), 1 << 20).unwrap())
}

/// The small files that stand beside a log. The first byte picks one.
pub fn checkpoint(data: &[u8]) {
    let [kind, file @ ..] = data else { return };
    match kind % 4 {
        0 => offsets_survive(file),
        1 => epochs_survive(file),
        2 => snapshot_survives(file),
        _ => {
            if let Ok(id) = partition_metadata::decode(file) {
                assert_eq!(partition_metadata::decode(&partition_metadata::encode(id)), Ok(id));
            }
        }
    }
}

fn offsets_survive(file: &[u8]) {
    let Ok(entries) = decode_offsets(file) else { return };
    let lines = entries.iter().map(|entry| (entry.topic.as_str(), entry.partition, entry.offset));
    assert_eq!(decode_offsets(&encode_offsets(lines)), Ok(entries));
}

fn epochs_survive(file: &[u8]) {
    let Ok(mut epochs) = EpochHistory::decode(file) else { return };
    let again = EpochHistory::decode(&epochs.encode()).unwrap();
    assert_eq!(again.entries(), epochs.entries());
    let latest = epochs.latest_epoch();
    let _ = (epochs.end_offset_for(latest, i64::MAX), epochs.epoch_for_offset(0));
    epochs.assign(latest.saturating_add(1), 100);
    epochs.truncate_from_end(50);
    epochs.truncate_from_start(10);
}

fn snapshot_survives(entries: &[u8]) {
    // No fuzzer guesses a checksum: version and checksum are made right here.
    let nothing = producer_snapshot::encode(&ProducerStates::starting_at(0));
    let crc = crc32c::crc32c(entries).to_be_bytes();
    let file = [&nothing[..2], &crc, entries].concat();
    let decode = |file: &[u8]| producer_snapshot::decode(file, 1000, 0, i64::MAX);
    let Ok(states) = decode(&file) else { return };
    let again = decode(&producer_snapshot::encode(&states)).unwrap();
    assert!(states.iter().eq(again.iter()));
}
