//! The inputs that the fuzzer begins with, of consumer groups: every kind of record in every version,
//! and the consumer protocol.

use bytes::Bytes;
use duramen_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, CooperativeStickyAssignorUserData,
    StickyAssignorUserData,
};
use duramen_protocol::data::Data;
use duramen_protocol::{for_each_group_record, group_records};

use super::seeds::{Seeds, two_shapes};

/// The seeds of the target.
pub fn all() -> Vec<(&'static str, Seeds)> {
    let mut seeds = records();
    seeds.extend(consumer_protocol::<StickyAssignorUserData>(0));
    seeds.extend(consumer_protocol::<CooperativeStickyAssignorUserData>(1));
    seeds.extend(consumer_protocol::<ConsumerProtocolSubscription>(2));
    seeds.extend(consumer_protocol::<ConsumerProtocolAssignment>(3));
    vec![("group", seeds)]
}

fn shapes_of<D: Data>(version: i16) -> [Bytes; 2] {
    two_shapes(D::SCHEMA, version, D::is_flexible(version))
}

/// `D` in every version, behind the byte that picks it; user data (0, 1) bears no version.
fn consumer_protocol<D: Data>(picked: u8) -> Seeds {
    let mut seeds = Seeds::new();
    for version in D::VERSIONS.iter() {
        let prefix = version.to_be_bytes();
        let prefix = if picked < 2 { &[][..] } else { &prefix };
        for (shape, name) in shapes_of::<D>(version).iter().zip(["one", "some"]) {
            let seed = [&[picked], prefix, shape].concat();
            seeds.push((format!("{}-{version}-{name}", D::NAME), seed));
        }
    }
    seeds
}

macro_rules! kinds {
    ($( $kind:literal $(| $older:literal)?, $name:ident $key:ident $value:ident; )*) => {
        fn records() -> Seeds {
            let mut seeds = Seeds::new();
            $( seeds.extend(records_of::<group_records::$key, group_records::$value>($kind)); )*
            seeds
        }
    };
}

for_each_group_record!(kinds);

fn records_of<K: Data, V: Data>(kind: i16) -> Seeds {
    let mut seeds = Seeds::new();
    let [_, key] = shapes_of::<K>(0);
    let key = [&kind.to_be_bytes(), &key[..]].concat();
    let Ok(picked) = u8::try_from(key.len() + 4) else { return seeds };
    for version in V::VERSIONS.iter() {
        for (shape, name) in shapes_of::<V>(version).iter().zip(["one", "some"]) {
            let seed = [&[picked][..], &key, &version.to_be_bytes(), shape].concat();
            seeds.push((format!("{}-{version}-{name}", V::NAME), seed));
        }
    }
    seeds
}
