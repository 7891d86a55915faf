//! The text of Kafka's checkpoint files: a version line, a count line, one entry a line.
//!
//! `recovery-point-offset-checkpoint`, `replication-offset-checkpoint` and
//! `log-start-offset-checkpoint` hold `topic partition offset`; `leader-epoch-checkpoint` holds
//! `epoch offset` (see [`super::epochs`]). Kafka's format has no checksum, and a digit that changed
//! still reads as an offset; so our offset checkpoints end with an entry of a topic that can't be,
//! `#crc32 0 N`, over the lines before it. Without it (Kafka wrote the file) strict parsing has to
//! do. Whoever reads a file that does not decode treats it as missing and rebuilds it.
//!
//! PURE: bytes in, bytes out. Writing them safely (temp, fsync, rename, fsync of the directory)
//! is the caller's work.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

/// The only version of these files that exists (Kafka 0.8 to 4.3).
const VERSION: &str = "0";

/// Why a checkpoint file can't be believed. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The file has no bytes: created, but never written to the end.
    #[error("the checkpoint is empty")]
    Empty,
    /// Bytes that are not UTF-8 text.
    #[error("the checkpoint is not text")]
    NotText,
    /// A version that this build does not know.
    #[error("the checkpoint has version {found:?}, this build reads version 0")]
    Version {
        /// The first line as found.
        found: String,
    },
    /// A line that is not what the format says.
    #[error("line {line} of the checkpoint is not a valid entry")]
    Line {
        /// Line number, from 1.
        line: usize,
    },
    /// The count line disagrees with the entries, or the last line is cut.
    #[error("the checkpoint announces {announced} entries and holds {found} whole ones")]
    Count {
        /// What the count line says.
        announced: usize,
        /// Entries that are whole.
        found: usize,
    },
    /// The checksum disagrees.
    #[error("the checkpoint's checksum is wrong")]
    Checksum,
    /// The same key twice.
    #[error("line {line} of the checkpoint repeats an earlier entry")]
    Repeated {
        /// Line number, from 1.
        line: usize,
    },
}

/// One line of an offset checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetEntry {
    /// Topic name.
    pub topic: String,
    /// Partition number, from 0.
    pub partition: i32,
    /// The checkpointed offset, from 0.
    pub offset: i64,
}

/// The file text for `entries` of topic, partition and offset, in the order given.
pub fn encode_offsets<'a>(entries: impl IntoIterator<Item = (&'a str, i32, i64)>) -> Vec<u8> {
    encode_sealed(entries.into_iter().map(|(topic, partition, offset)| {
        let mut line = String::with_capacity(topic.len() + 24);
        // Writing to a String can't fail.
        let _ = write!(line, "{topic} {partition} {offset}");
        line
    }))
}

/// Reads an offset checkpoint.
///
/// # Errors
/// Any [`CheckpointError`]: an unknown version, a malformed or negative field, a count that
/// disagrees, a missing last newline, or the same partition twice.
pub fn decode_offsets(bytes: &[u8]) -> Result<Vec<OffsetEntry>, CheckpointError> {
    let entries = decode_sealed(bytes, |line| {
        let mut fields = line.split_ascii_whitespace();
        let (topic, partition, offset) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() {
            return None;
        }
        let (partition, offset) = (natural::<i32>(partition)?, natural::<i64>(offset)?);
        Some(OffsetEntry { topic: topic.to_owned(), partition, offset })
    })?;
    let mut seen = BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        if !seen.insert((entry.topic.as_str(), entry.partition)) {
            return Err(CheckpointError::Repeated { line: index + 3 });
        }
    }
    Ok(entries)
}

/// The begin of the line that seals the lines before it.
const SEAL: &str = "#crc32 0 ";

/// A frame whose last line holds the checksum of those before it.
pub(super) fn encode_sealed(lines: impl Iterator<Item = String>) -> Vec<u8> {
    let mut lines: Vec<String> = lines.collect();
    lines.push(format!("{SEAL}{}", checksum(&lines)));
    encode_lines(lines.into_iter())
}

/// Reads a frame, sealed or not; each entry by `parse`.
pub(super) fn decode_sealed<T>(
    bytes: &[u8],
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, CheckpointError> {
    let mut lines = decode_lines(bytes, |line| Some(line.to_owned()))?;
    if let Some(seal) = lines.pop_if(|last| last.starts_with('#')) {
        let claimed = seal.strip_prefix(SEAL).and_then(natural::<u32>);
        if claimed != Some(checksum(&lines)) {
            return Err(CheckpointError::Checksum);
        }
    }
    let parsed = lines.iter().enumerate();
    parsed
        .map(|(index, line)| parse(line).ok_or(CheckpointError::Line { line: index + 3 }))
        .collect()
}

/// CRC-32 of lines with their ends.
fn checksum(lines: &[String]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    for line in lines {
        sum.update(line.as_bytes());
        sum.update(b"\n");
    }
    sum.finalize()
}

/// The frame all checkpoint files share: version, count, lines.
pub(super) fn encode_lines<L: Display>(lines: impl Iterator<Item = L>) -> Vec<u8> {
    let mut body = String::new();
    let mut count = 0_usize;
    for line in lines {
        let _ = writeln!(body, "{line}");
        count += 1;
    }
    format!("{VERSION}\n{count}\n{body}").into_bytes()
}

/// Reads the frame all checkpoint files share, each entry by `parse`.
pub(super) fn decode_lines<T>(
    bytes: &[u8],
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, CheckpointError> {
    if bytes.is_empty() {
        return Err(CheckpointError::Empty);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| CheckpointError::NotText)?;
    let mut lines = text.split_inclusive('\n');
    let version = lines.next().unwrap_or_default().trim_end();
    if version != VERSION {
        return Err(CheckpointError::Version { found: version.chars().take(32).collect() });
    }
    let announced = lines.next().ok_or(CheckpointError::Count { announced: 0, found: 0 })?;
    let announced: usize =
        natural(announced.trim_end()).ok_or(CheckpointError::Line { line: 2 })?;
    // An entry is at least "0 0\n": the count can't ask for more memory than the file has bytes.
    let mut entries = Vec::with_capacity(announced.min(bytes.len() / 4));
    for (index, line) in lines.enumerate() {
        // Without its newline a number may have lost its last digits and still look whole.
        let Some(line) = line.strip_suffix('\n') else {
            return Err(CheckpointError::Count { announced, found: entries.len() });
        };
        entries.push(parse(line).ok_or(CheckpointError::Line { line: index + 3 })?);
    }
    if entries.len() != announced || !text.ends_with('\n') {
        return Err(CheckpointError::Count { announced, found: entries.len() });
    }
    Ok(entries)
}

/// A number from 0 in plain digits: no sign, no spaces.
pub(super) fn natural<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_the_text_that_kafka_writes_and_seals_it() {
        let bytes = encode_offsets([("orders", 0, 17), ("orders", 1, 0), ("a.b_c-d", 12, 99)]);
        let text = "orders 0 17\norders 1 0\na.b_c-d 12 99\n";
        let sum = crc32fast::hash(text.as_bytes());
        assert_eq!(bytes, format!("0\n4\n{text}#crc32 0 {sum}\n").into_bytes());
        assert_eq!(encode_offsets([]), b"0\n1\n#crc32 0 0\n");
    }

    #[test]
    fn reads_what_kafka_wrote() {
        let entries =
            decode_offsets(b"0\n2\norders 0 17\norders  1\t9223372036854775807\n").unwrap();
        assert_eq!(entries[0], OffsetEntry { topic: "orders".into(), partition: 0, offset: 17 });
        assert_eq!(entries[1].offset, i64::MAX);
    }

    #[test]
    fn every_cut_of_a_file_is_found() {
        let bytes = encode_offsets([("orders", 0, 1234), ("orders", 1, 5678)]);
        for end in 0..bytes.len() {
            assert!(decode_offsets(&bytes[..end]).is_err(), "cut at {end} was believed");
        }
    }

    #[test]
    fn damage_is_named() {
        let err = |text: &str| decode_offsets(text.as_bytes()).unwrap_err();
        assert_eq!(err(""), CheckpointError::Empty);
        assert_eq!(err("1\n0\n"), CheckpointError::Version { found: "1".into() });
        assert_eq!(err("0\nx\n"), CheckpointError::Line { line: 2 });
        assert_eq!(err("0\n1\na 0 -5\n"), CheckpointError::Line { line: 3 });
        assert_eq!(err("0\n1\na 0\n"), CheckpointError::Line { line: 3 });
        assert_eq!(err("0\n1\na 0 1 2\n"), CheckpointError::Line { line: 3 });
        assert_eq!(err("0\n2\na 0 1\n"), CheckpointError::Count { announced: 2, found: 1 });
        assert_eq!(err("0\n2\na 0 1\na 0 2\n"), CheckpointError::Repeated { line: 4 });
        assert_eq!(decode_offsets(&[0xff, 0xfe]).unwrap_err(), CheckpointError::NotText);
        assert!(decode_offsets(&[0; 4096]).is_err(), "a file of zeros is damage");
    }

    #[test]
    fn a_hostile_count_takes_no_memory() {
        assert!(decode_offsets(b"0\n18446744073709551615\n").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn offsets_round_trip(
            entries in proptest::collection::btree_map(
                ("[a-zA-Z0-9._-]{1,40}", 0..i32::MAX), 0..i64::MAX, 0..20)
        ) {
            let bytes = encode_offsets(
                entries.iter().map(|((topic, partition), offset)| (topic.as_str(), *partition, *offset)));
            let read: std::collections::BTreeMap<_, _> = decode_offsets(&bytes).unwrap()
                .into_iter().map(|e| ((e.topic, e.partition), e.offset)).collect();
            prop_assert_eq!(read, entries);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_offsets(&bytes);
        }
    }
}
