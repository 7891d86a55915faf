//! Every message, in every version, against an independent implementation: values
//! made from the declarations are read and written again by us and by the `kafka-protocol` crate,
//! and all bytes must agree.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "../support/shapes.rs"]
mod shapes;

use std::cell::Cell;

use bytes::{Bytes, BytesMut};
use duramen_protocol::api::ApiKey;
use duramen_protocol::messages::{Message, Request};
use duramen_protocol::primitives::{Decoder, Encoder};
use duramen_protocol::{for_each_api, for_each_unserved_api};
use kafka_protocol::protocol::{Decodable, Encodable, Message as Oracle};
use proptest::prelude::*;

/// Values made for each message and version.
const CASES: u32 = 24;

/// Versions that the oracle does not know. They are read and written by us alone, and compared with
/// the bytes that the declaration asks for.
const BEYOND_THE_ORACLE: &[(&str, i16)] = &[
    ("ListOffsetsRequest", 11),
    ("ListOffsetsResponse", 11),
    ("OffsetCommitRequest", 10),
    ("OffsetFetchRequest", 10),
    ("DescribeLogDirsRequest", 5),
    ("DescribeLogDirsResponse", 5),
];

/// Reads `bytes` and writes them again; the value must survive, also in the place of a `former` one, the size
/// be the size counted.
fn rewritten<M: Message + PartialEq + std::fmt::Debug>(
    bytes: &Bytes,
    version: i16,
    former: &Cell<Option<M>>,
) -> Result<Bytes, TestCaseError> {
    let fail = |error: &dyn std::fmt::Display| TestCaseError::fail(error.to_string());
    let mut decoder = Decoder::new(bytes.clone());
    let value = M::decode(&mut decoder, version).map_err(|error| fail(&error))?;
    decoder.finish().map_err(|error| fail(&error))?;
    let mut encoder = Encoder::with_room(&value.measure(version));
    value.encode(&mut encoder, version).map_err(|error| fail(&error))?;
    let written = encoder.finish().into_bytes();
    prop_assert_eq!(written.len(), value.size(version));
    let back = M::decode(&mut Decoder::new(written.clone()), version).map_err(|e| fail(&e))?;
    prop_assert_eq!(&back, &value);
    let mut over = former.take().unwrap_or(back);
    over.decode_over(&mut Decoder::new(written.clone()), version).map_err(|e| fail(&e))?;
    prop_assert_eq!(&over, &value);
    former.set(Some(over));
    Ok(written)
}

fn agrees<Ours, Theirs>()
where
    Ours: Message + PartialEq + std::fmt::Debug,
    Theirs: Oracle + Encodable + Decodable,
{
    let former = Cell::new(None);
    for version in Ours::VERSIONS.iter() {
        let known = Theirs::VERSIONS.min <= version && version <= Theirs::VERSIONS.max;
        let listed = BEYOND_THE_ORACLE.contains(&(Ours::NAME, version));
        assert_ne!(known, listed, "{} v{version}: is it in BEYOND_THE_ORACLE?", Ours::NAME);
        let compared = shapes::runner(CASES).run(&shapes::encoded::<Ours>(version), |shape| {
            let ours = rewritten::<Ours>(&shape, version, &former)?;
            // Shorter only where a tagged field that holds its default was left out.
            if ours.len() == shape.len() {
                prop_assert_eq!(&ours, &shape);
            }
            if known {
                let mut unread = ours.clone();
                let value = Theirs::decode(&mut unread, version)
                    .map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert!(unread.is_empty(), "the oracle left {} bytes", unread.len());
                let mut theirs = BytesMut::new();
                value
                    .encode(&mut theirs, version)
                    .map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert_eq!(ours, theirs.freeze());
            }
            Ok(())
        });
        if let Err(difference) = compared {
            panic!("{} v{version}: {difference}", Ours::NAME);
        }
    }
}

macro_rules! tests {
    ($( $key:ident $request:ident, $min:literal - $max:literal (from $advertised:literal),
        $listeners:ident, $throttle:ident, $note:literal; )*) => {$(
        #[allow(non_snake_case, reason = "the api's name is the test's")]
        mod $key {
            use super::*;

            type Ours = duramen_protocol::messages::$request;
            type Theirs = kafka_protocol::messages::$request;

            #[test]
            fn request() {
                assert_eq!(Ours::KEY, ApiKey::$key);
                assert!(Ours::VERSIONS.contains($min) && Ours::VERSIONS.contains($max));
                agrees::<Ours, Theirs>();
            }

            #[test]
            fn response() {
                type Response = <Ours as Request>::Response;
                assert_eq!(Response::KEY, ApiKey::$key);
                assert!(Response::VERSIONS.contains($min) && Response::VERSIONS.contains($max));
                agrees::<Response, <Theirs as kafka_protocol::protocol::Request>::Response>();
            }
        }
    )*};
}

for_each_api!(tests);
for_each_unserved_api!(tests);

/// The consumer protocol's, which belong to no API, in all versions.
mod consumer_protocol {
    use duramen_protocol::consumer_protocol as ours;
    use duramen_protocol::data::Data;
    use kafka_protocol::messages as theirs;

    use super::*;

    fn agrees<Ours: Data, Theirs: Encodable + Decodable>() {
        for version in Ours::VERSIONS.iter() {
            let shapes = shapes::shaped(Ours::SCHEMA, version, Ours::is_flexible(version));
            let compared = shapes::runner(CASES).run(&shapes, |shape| {
                let fail = |error: &dyn std::fmt::Display| TestCaseError::fail(error.to_string());
                let mut decoder = Decoder::new(shape.clone());
                let value = Ours::decode(&mut decoder, version).map_err(|error| fail(&error))?;
                decoder.finish().map_err(|error| fail(&error))?;
                let mut encoder = Encoder::new();
                value.encode(&mut encoder, version).map_err(|error| fail(&error))?;
                prop_assert_eq!(&encoder.finish().into_bytes(), &shape);
                let mut unread = shape.clone();
                let value = Theirs::decode(&mut unread, version).map_err(|error| fail(&error))?;
                prop_assert!(unread.is_empty(), "the oracle left {} bytes", unread.len());
                let mut theirs = BytesMut::new();
                value.encode(&mut theirs, version).map_err(|error| fail(&error))?;
                prop_assert_eq!(shape, theirs.freeze());
                Ok(())
            });
            if let Err(difference) = compared {
                panic!("{} v{version}: {difference}", Ours::NAME);
            }
        }
    }

    #[test]
    fn subscription() {
        agrees::<ours::ConsumerProtocolSubscription, theirs::ConsumerProtocolSubscription>();
    }

    #[test]
    fn assignment() {
        agrees::<ours::ConsumerProtocolAssignment, theirs::ConsumerProtocolAssignment>();
    }
}
