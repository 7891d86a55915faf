//! The `.snapshot` file: the producers of one log as of the offset in its name, in Kafka's format
//! (int16 version 1, uint32 CRC-32C of the rest, int32 count, entries), and which files to keep.
//!
//! Derived data: whoever reads one that does not decode deletes it, takes the next older one, and
//! replays the log from there.
//!
//! PURE: bytes in, bytes out.

use std::collections::BTreeSet;

use super::producer_state::{NO_SEQUENCE, ProducerEntry, ProducerStates, StoredBatch, expired};

const VERSION: i16 = 1;
/// Version and checksum: what the checksum does not cover, and where the entries begin.
const PREFIX_LEN: usize = 6;
/// One entry: ids, epochs, the last batch, the open transaction.
const ENTRY_LEN: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;

/// Why a producer snapshot can't be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Fewer or more bytes than the format asks for; an empty file is what a power loss leaves.
    #[error("the producer snapshot is cut or has stray bytes ({len} bytes)")]
    Length {
        /// Bytes in the file.
        len: usize,
    },
    /// A version that this build does not know.
    #[error("the producer snapshot has version {found}, this build reads version 1")]
    Version {
        /// The version as found.
        found: i16,
    },
    /// The checksum disagrees.
    #[error("the producer snapshot is damaged: checksum {stored:#010x}, expected {computed:#010x}")]
    Checksum {
        /// As stored.
        stored: u32,
        /// Of the bytes found.
        computed: u32,
    },
}

/// The file of `states`. Only the last batch of each producer goes in, as in Kafka.
pub fn encode(states: &ProducerStates) -> Vec<u8> {
    let mut entries = Vec::with_capacity(4 + states.len() * ENTRY_LEN);
    let count = i32::try_from(states.len()).unwrap_or(i32::MAX);
    entries.extend_from_slice(&count.to_be_bytes());
    for (producer_id, entry) in states.iter() {
        encode_entry(&mut entries, producer_id, entry);
    }
    let mut file = Vec::with_capacity(PREFIX_LEN + entries.len());
    file.extend_from_slice(&VERSION.to_be_bytes());
    file.extend_from_slice(&crc32c::crc32c(&entries).to_be_bytes());
    file.extend_from_slice(&entries);
    file
}

fn encode_entry(out: &mut Vec<u8>, producer_id: i64, entry: &ProducerEntry) {
    let last = entry.last_batch();
    out.extend_from_slice(&producer_id.to_be_bytes());
    out.extend_from_slice(&entry.epoch.to_be_bytes());
    out.extend_from_slice(&entry.last_sequence().to_be_bytes());
    out.extend_from_slice(&last.map_or(-1, |batch| batch.last_offset).to_be_bytes());
    out.extend_from_slice(&last.map_or(0, |batch| batch.offset_delta).to_be_bytes());
    out.extend_from_slice(&entry.last_timestamp.to_be_bytes());
    out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
    out.extend_from_slice(&entry.current_txn_first_offset.unwrap_or(-1).to_be_bytes());
}

/// Reads a snapshot named for `offset`. Producers idle for `expiration_ms` as of `now_ms`
/// (ms since 1970, judged by their last timestamp) are left out.
///
/// # Errors
/// [`SnapshotError`]: delete the file, take the next older one.
pub fn decode(
    bytes: &[u8],
    offset: i64,
    now_ms: i64,
    expiration_ms: i64,
) -> Result<ProducerStates, SnapshotError> {
    let cut = SnapshotError::Length { len: bytes.len() };
    let (version, rest) = bytes.split_first_chunk().ok_or(cut)?;
    let found = i16::from_be_bytes(*version);
    if found != VERSION {
        return Err(SnapshotError::Version { found });
    }
    let (stored, entries) = rest.split_first_chunk().ok_or(cut)?;
    let (stored, computed) = (u32::from_be_bytes(*stored), crc32c::crc32c(entries));
    if stored != computed {
        return Err(SnapshotError::Checksum { stored, computed });
    }
    let (count, entries) = entries.split_first_chunk().ok_or(cut)?;
    let count = usize::try_from(i32::from_be_bytes(*count)).map_err(|_| cut)?;
    if count.checked_mul(ENTRY_LEN) != Some(entries.len()) {
        return Err(cut);
    }
    let mut states = ProducerStates::starting_at(offset);
    for entry in entries.chunks_exact(ENTRY_LEN) {
        let (producer_id, entry) = decode_entry(entry).ok_or(cut)?;
        if expired(&entry, now_ms, expiration_ms) {
            continue;
        }
        if let Some(first_offset) = entry.current_txn_first_offset {
            states.open.insert(first_offset, producer_id);
        }
        states.producers.insert(producer_id, entry);
    }
    Ok(states)
}

fn decode_entry(bytes: &[u8]) -> Option<(i64, ProducerEntry)> {
    let (producer_id, bytes) = bytes.split_first_chunk()?;
    let (epoch, bytes) = bytes.split_first_chunk()?;
    let (last_sequence, bytes) = bytes.split_first_chunk()?;
    let (last_offset, bytes) = bytes.split_first_chunk()?;
    let (offset_delta, bytes) = bytes.split_first_chunk()?;
    let (timestamp, bytes) = bytes.split_first_chunk()?;
    let (coordinator_epoch, bytes) = bytes.split_first_chunk()?;
    let (txn_first_offset, _) = bytes.split_first_chunk()?;

    let timestamp = i64::from_be_bytes(*timestamp);
    let txn_first_offset = i64::from_be_bytes(*txn_first_offset);
    let mut entry = ProducerEntry::new(i16::from_be_bytes(*epoch));
    entry.coordinator_epoch = i32::from_be_bytes(*coordinator_epoch);
    entry.last_timestamp = timestamp;
    entry.touched_ms = timestamp;
    entry.current_txn_first_offset = (txn_first_offset >= 0).then_some(txn_first_offset);
    let last_offset = i64::from_be_bytes(*last_offset);
    if last_offset >= 0 {
        entry.batches.push_back(StoredBatch {
            last_sequence: i32::from_be_bytes(*last_sequence).max(NO_SEQUENCE),
            last_offset,
            offset_delta: i32::from_be_bytes(*offset_delta).max(0),
            timestamp,
        });
    }
    Some((i64::from_be_bytes(*producer_id), entry))
}

/// Which of the snapshots at `snapshots` (offsets) lie outside a log from `log_start` to `log_end`
/// and must go before it is loaded.
pub fn out_of_range(snapshots: &[i64], log_start: i64, log_end: i64) -> Vec<i64> {
    let outside = |offset: &&i64| **offset <= log_start || **offset > log_end;
    snapshots.iter().filter(outside).copied().collect()
}

/// Which of the snapshots at `snapshots` (offsets) belong to no segment: all but those at a base
/// offset in `segments` and the newest one above all segments, which a clean shutdown leaves.
pub fn strays(snapshots: &[i64], segments: &[i64]) -> Vec<i64> {
    let bases: BTreeSet<i64> = segments.iter().copied().collect();
    let mut strays: Vec<i64> =
        snapshots.iter().filter(|offset| !bases.contains(offset)).copied().collect();
    strays.sort_unstable();
    let newest_above = strays.last().zip(bases.last()).is_none_or(|(stray, base)| stray > base);
    if newest_above {
        strays.pop();
    }
    strays
}

#[cfg(test)]
mod tests;
