//! The text of `partition.metadata`, which ties a partition directory to one incarnation of its
//! topic (KIP-516): `version: 0` and `topic_id: ` with the id in Kafka's URL-safe base64. A third
//! line, which Kafka does not read, is the checksum of the two: a log with the wrong id would be
//! taken for that of a deleted topic.
//!
//! PURE: bytes in, bytes out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// Name of the file in a partition directory.
pub const FILE_NAME: &str = "partition.metadata";

/// What stands between the two lines and their CRC-32.
const SEAL: &str = "\ncrc32: ";

/// Why a `partition.metadata` can't be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionMetadataError {
    /// A version that this build does not know.
    #[error("partition.metadata has version {found:?}, this build reads version 0")]
    Version {
        /// The version as found.
        found: String,
    },
    /// Not the two lines that the format asks for, or no valid topic id.
    #[error("partition.metadata is damaged: expected the lines `version: 0` and `topic_id: <id>`")]
    Damaged,
}

/// The file text for a topic id.
pub fn encode(topic_id: Uuid) -> Vec<u8> {
    let text = format!("version: 0\ntopic_id: {}", URL_SAFE_NO_PAD.encode(topic_id.as_bytes()));
    format!("{text}{SEAL}{:08x}\n", crc32fast::hash(text.as_bytes())).into_bytes()
}

/// The topic id in a `partition.metadata`.
///
/// # Errors
/// [`PartitionMetadataError`] when the text is cut, damaged, of another version, or names the nil id.
pub fn decode(bytes: &[u8]) -> Result<Uuid, PartitionMetadataError> {
    let mut text = std::str::from_utf8(bytes).map_err(|_| PartitionMetadataError::Damaged)?;
    if let Some((sealed, sum)) = text.split_once(SEAL) {
        let sum = sum.strip_suffix('\n').and_then(|sum| u32::from_str_radix(sum, 16).ok());
        if sum != Some(crc32fast::hash(sealed.as_bytes())) {
            return Err(PartitionMetadataError::Damaged);
        }
        text = sealed;
    }
    let mut lines = text.lines();
    let mut value_of = |name: &str| {
        let (key, value) = lines.next()?.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    };
    let version = value_of("version").ok_or(PartitionMetadataError::Damaged)?;
    if version != "0" {
        return Err(PartitionMetadataError::Version { found: version.chars().take(32).collect() });
    }
    let id = value_of("topic_id").ok_or(PartitionMetadataError::Damaged)?;
    // A decoder of the whole length: a cut id has fewer than 16 bytes.
    let id = URL_SAFE_NO_PAD.decode(id).map_err(|_| PartitionMetadataError::Damaged)?;
    let id = Uuid::from_slice(&id).map_err(|_| PartitionMetadataError::Damaged)?;
    if id.is_nil() || lines.any(|line| !line.trim().is_empty()) {
        return Err(PartitionMetadataError::Damaged);
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_text_that_kafka_writes_and_adds_a_checksum() {
        let id = Uuid::from_u64_pair(0x5a2b_9d1e_0f3c_4b6d, 0x8e7f_0123_4567_89ab);
        assert!(encode(id).starts_with(b"version: 0\ntopic_id: WiudHg88S22OfwEjRWeJqw\n"));
        assert_eq!(decode(b"version: 0\ntopic_id: WiudHg88S22OfwEjRWeJqw"), Ok(id));
        assert_eq!(decode(&encode(id)), Ok(id));
        assert_eq!(decode(b"version: 0\ntopic_id: WiudHg88S22OfwEjRWeJqw\n"), Ok(id));
    }

    #[test]
    fn every_cut_of_a_file_is_found() {
        let bytes = encode(Uuid::from_u64_pair(7, 9));
        let kafkas = bytes.len() - "\ncrc32: 01234567\n".len();
        for end in (0..bytes.len()).filter(|end| ![kafkas, kafkas + 1].contains(end)) {
            assert!(decode(&bytes[..end]).is_err(), "cut at {end} was believed");
        }
    }

    #[test]
    fn no_flipped_bit_makes_another_id() {
        let id = Uuid::from_u64_pair(7, 9);
        let bytes = encode(id);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped).is_ok_and(|found| found == id) || decode(&flipped).is_err());
        }
    }

    #[test]
    fn damage_is_named() {
        let version = decode(b"version: 1\ntopic_id: WiudHg88S22OfwEjRWeJqw");
        assert_eq!(version, Err(PartitionMetadataError::Version { found: "1".into() }));
        assert_eq!(decode(&encode(Uuid::nil())), Err(PartitionMetadataError::Damaged));
        assert_eq!(decode(&[0; 64]), Err(PartitionMetadataError::Damaged));
        assert_eq!(decode(b"topic_id: x\nversion: 0"), Err(PartitionMetadataError::Damaged));
    }
}
