//! What consumer groups keep and tell each other.

use bytes::Bytes;
use duramen_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, CooperativeStickyAssignorUserData,
    StickyAssignorUserData,
};
use duramen_protocol::error::EncodeErrorKind;
use duramen_protocol::group_records::GroupRecord;

/// A byte that picks what follows: user data (0, 1), a subscription (2), an assignment (3), or else a
/// record of `__consumer_offsets`, whose key is that many bytes less 4 long.
pub fn group(data: &[u8]) {
    let Some((&picked, rest)) = data.split_first() else { return };
    let bytes = Bytes::copy_from_slice(rest);
    match picked {
        0 => {
            let Ok(read) = StickyAssignorUserData::from_bytes(&bytes) else { return };
            let written = read.to_bytes().unwrap();
            assert_eq!(StickyAssignorUserData::from_bytes(&written), Ok(read));
        }
        1 => {
            let Ok(read) = CooperativeStickyAssignorUserData::from_bytes(&bytes) else { return };
            assert!(bytes.starts_with(&read.to_bytes().unwrap()));
        }
        2 => {
            let Ok(read) = ConsumerProtocolSubscription::from_bytes(&bytes) else { return };
            let written = read.to_bytes(3).unwrap();
            assert_eq!(ConsumerProtocolSubscription::from_bytes(&written), Ok(read));
        }
        3 => {
            let Ok(read) = ConsumerProtocolAssignment::from_bytes(&bytes) else { return };
            let written = read.to_bytes(3).unwrap();
            assert_eq!(ConsumerProtocolAssignment::from_bytes(&written), Ok(read));
        }
        picked => record(&bytes, usize::from(picked - 4)),
    }
}

/// What is read is written as the same, in whatever version, and without a value too.
fn record(bytes: &Bytes, key: usize) {
    let mut value = bytes.clone();
    let key = value.split_to(key.min(bytes.len()));
    for value in [Some(&value), None] {
        let Ok(read) = GroupRecord::decode(&key, value) else { continue };
        let (key, value) = match read.encode() {
            Ok(written) => written,
            // Compact lengths say more than those of the version that is written.
            Err(error) => {
                assert!(matches!(error.kind, EncodeErrorKind::TooLong { .. }), "{error}");
                continue;
            }
        };
        assert_eq!(GroupRecord::decode(&key, value.as_ref()), Ok(read));
    }
}
