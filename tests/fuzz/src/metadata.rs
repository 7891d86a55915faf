//! Metadata records and the frames of snapshots.

use duramen_protocol::metadata::Framed;

/// A value of the metadata log.
pub fn metadata(data: &[u8]) {
    let Ok(value) = Framed::decode(data) else { return };
    let encoded = value.encode();
    assert_eq!(Framed::decode(&encoded), Ok(value.clone()));
    if let Framed::Record(record) = value {
        assert!(record.checked_kind().is_ok());
        assert_eq!((record.to_value(), record.value_len()), (encoded.clone(), encoded.len()));
    }
}
