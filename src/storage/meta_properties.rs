//! `meta.properties`: whose directory this is, and in which format.
//!
//! PURE: text in, text out.

use std::fmt::Write as _;

/// Name of the file in a log directory.
pub(super) const FILE_NAME: &str = "meta.properties";
/// The storage format that this build writes, and the newest that it reads.
pub const FORMAT: u32 = 1;
/// The version of the file itself, as Kafka counts it.
const VERSION: &str = "1";
/// The first line: what follows it is the CRC-32 of all other lines. A changed letter of an id would
/// make the directory another's.
const HEAD: &str = "# Written by Duramen. Do not edit. crc32=";

/// What `meta.properties` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaProperties {
    /// `cluster.id`.
    pub cluster_id: String,
    /// `node.id`.
    pub node_id: i32,
    /// `directory.id` (KIP-858), in Kafka's URL-safe base64.
    pub directory_id: String,
    /// `duramen.format`: [`FORMAT`] when written by this build.
    pub format: u32,
}

/// Why a `meta.properties` can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum MetaError {
    /// Cut, or not what the format says.
    #[error("{0}")]
    Damaged(&'static str),
    /// It has no `duramen.format`: Kafka itself made the directory.
    #[error("it has no duramen.format: Apache Kafka made the directory")]
    Kafka,
    /// Written by a later build.
    #[error("it has format {0}: a newer build wrote it")]
    Newer(u32),
}

impl MetaProperties {
    /// The text of the file.
    pub(super) fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = writeln!(text, "version={VERSION}");
        let _ = writeln!(text, "cluster.id={}", self.cluster_id);
        let _ = writeln!(text, "node.id={}", self.node_id);
        let _ = writeln!(text, "directory.id={}", self.directory_id);
        let _ = writeln!(text, "duramen.format={}", self.format);
        format!("{HEAD}{:08x}\n{text}", crc32fast::hash(text.as_bytes()))
    }

    /// Reads the text of the file.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, MetaError> {
        let text = std::str::from_utf8(bytes).map_err(|_| MetaError::Damaged("it is not text"))?;
        if !text.ends_with('\n') {
            return Err(MetaError::Damaged("it is cut"));
        }
        if let Some((sum, rest)) = text.strip_prefix(HEAD).and_then(|text| text.split_once('\n'))
            && u32::from_str_radix(sum, 16) != Ok(crc32fast::hash(rest.as_bytes()))
        {
            return Err(MetaError::Damaged("its checksum is wrong"));
        }
        let value = |name: &str| {
            let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
            let mut pairs = lines.filter_map(|line| line.split_once('='));
            pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
        };
        if value("version").is_none() {
            return Err(MetaError::Damaged("it has no version"));
        }
        let format = value("duramen.format").ok_or(MetaError::Kafka)?;
        let format =
            format.parse().map_err(|_| MetaError::Damaged("duramen.format is no number"))?;
        if format > FORMAT {
            return Err(MetaError::Newer(format));
        }
        let cluster_id = value("cluster.id").filter(|id| !id.is_empty());
        let node_id = value("node.id").and_then(|id| id.parse().ok());
        let directory_id = value("directory.id").filter(|id| !id.is_empty());
        Ok(Self {
            cluster_id: cluster_id.ok_or(MetaError::Damaged("it has no cluster.id"))?.to_owned(),
            node_id: node_id.ok_or(MetaError::Damaged("it has no valid node.id"))?,
            directory_id: directory_id
                .ok_or(MetaError::Damaged("it has no directory.id"))?
                .to_owned(),
            format,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> MetaProperties {
        MetaProperties {
            cluster_id: "kNUrcU-wSd2l0rLrpJ1Jxg".into(),
            node_id: 7,
            directory_id: "WiudHg88S22OfwEjRWeJqw".into(),
            format: FORMAT,
        }
    }

    #[test]
    fn reads_back_as_written() {
        assert_eq!(MetaProperties::decode(meta().encode().as_bytes()), Ok(meta()));
    }

    #[test]
    fn every_cut_of_a_file_is_found() {
        let text = meta().encode();
        for end in 0..text.len() {
            let cut = MetaProperties::decode(&text.as_bytes()[..end]);
            assert!(cut.is_err(), "cut at {end} was believed");
        }
    }

    #[test]
    fn a_newer_format_and_kafkas_own_are_told_apart() {
        let newer = MetaProperties { format: FORMAT + 1, ..meta() }.encode();
        assert_eq!(MetaProperties::decode(newer.as_bytes()), Err(MetaError::Newer(FORMAT + 1)));
        let kafka = b"#\n#Mon\ncluster.id=x\nversion=1\ndirectory.id=y\nnode.id=1\n";
        assert_eq!(MetaProperties::decode(kafka), Err(MetaError::Kafka));
    }
}
