//! The same, of what belongs to no API: the consumer protocol, and the records of
//! `__consumer_offsets`, key by key and value by value.

use std::marker::PhantomData;

use bytes::Bytes;
use duramen_protocol::api::VersionRange;
use duramen_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, CooperativeStickyAssignorUserData,
    StickyAssignorUserData,
};
use duramen_protocol::data::Data;
use duramen_protocol::for_each_group_record;
use duramen_protocol::group_records::{self, GroupRecord};
use duramen_protocol::primitives::Decoder;
use duramen_protocol::schema::Schema;

use super::{Subject, bounded, random_buffers, withstands};

/// Some [`Data`] as a subject.
struct Of<D>(PhantomData<D>);

impl<D: Data> Subject for Of<D> {
    const NAME: &'static str = D::NAME;
    const VERSIONS: VersionRange = D::VERSIONS;
    const SCHEMA: &'static Schema = D::SCHEMA;

    fn is_flexible(version: i16) -> bool {
        D::is_flexible(version)
    }

    fn read(decoder: &mut Decoder, version: i16) -> Result<(), String> {
        let Err(error) = D::decode(decoder, version) else { return Ok(()) };
        assert_eq!((error.data, error.version), (D::NAME, version));
        assert!(!error.field.is_empty(), "{error}");
        Err(error.to_string())
    }
}

#[test]
fn consumer_protocol() {
    withstands::<Of<ConsumerProtocolSubscription>>();
    withstands::<Of<ConsumerProtocolAssignment>>();
    withstands::<Of<StickyAssignorUserData>>();
    withstands::<Of<CooperativeStickyAssignorUserData>>();
}

macro_rules! kinds {
    ($( $kind:literal $(| $older:literal)?, $name:ident $key:ident $value:ident; )*) => {
        #[test]
        fn group_records() {
            $(
                withstands::<Of<group_records::$key>>();
                withstands::<Of<group_records::$value>>();
            )*
        }

        const KINDS: &[i16] = &[$( $kind $(, $older)? ),*];
    };
}

for_each_group_record!(kinds);

/// Any bytes behind any kind and version: the whole way in, as a log is read.
#[test]
fn whole_records() {
    for kind in KINDS.iter().copied().chain([-1, 9, i16::MAX]) {
        for (number, random) in (0..).zip(random_buffers()) {
            let version: i16 = number % 6;
            let (key, value) = random.split_at(random.len() / 2);
            let key = Bytes::from([&kind.to_be_bytes(), key].concat());
            let value = Bytes::from([&version.to_be_bytes(), value].concat());
            let read = bounded("a group record", key.len() + value.len(), || {
                GroupRecord::decode(&key, Some(&value))
            });
            if let Ok(record) = read {
                let (key, value) = record.encode().unwrap();
                assert_eq!(GroupRecord::decode(&key, value.as_ref()), Ok(record));
            }
        }
    }
}
