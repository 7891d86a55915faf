//! What bytes may cost. Whatever a peer sends in place of a message, it gets a typed error or a
//! message, and makes us take memory in proportion to the bytes that it really sent.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod costs;
mod data;
#[path = "../support/shapes.rs"]
mod shapes;

use std::marker::PhantomData;

use allocation_counter::measure;
use bytes::Bytes;
use duramen_protocol::api::VersionRange;
use duramen_protocol::messages::{Message, Request};
use duramen_protocol::primitives::Decoder;
use duramen_protocol::schema::Schema;
use duramen_protocol::{for_each_api, for_each_unserved_api};
use proptest::strategy::{Strategy, ValueTree};

/// Encoded messages that are damaged, for each message and version.
const SEEDS: usize = 2;
/// Seeds longer than this are passed over: each of their bytes is damaged in a dozen ways.
const SEED_MAX: usize = 300;
/// Buffers of random bytes, for each message and version.
const RANDOM: usize = 60;

/// What is read here, message or other.
trait Subject {
    const NAME: &'static str;
    const VERSIONS: VersionRange;
    const SCHEMA: &'static Schema;

    fn is_flexible(version: i16) -> bool;

    fn read(decoder: &mut Decoder, version: i16) -> Result<(), String>;
}

/// A message as a subject.
struct OfApi<M>(PhantomData<M>);

impl<M: Message> Subject for OfApi<M> {
    const NAME: &'static str = M::NAME;
    const VERSIONS: VersionRange = M::VERSIONS;
    const SCHEMA: &'static Schema = M::SCHEMA;

    fn is_flexible(version: i16) -> bool {
        M::KEY.is_flexible(version)
    }

    fn read(decoder: &mut Decoder, version: i16) -> Result<(), String> {
        let Err(error) = M::decode(decoder, version) else { return Ok(()) };
        assert_eq!((error.api, error.version), (M::KEY, version));
        assert!(!error.field.is_empty(), "{error}");
        Err(error.to_string())
    }
}

/// Runs `read` on `len` bytes, and checks what memory that took. The bound holds for a whole frame:
/// each byte of it may become an empty string in an array, and a growing array exists twice while it
/// moves.
fn bounded<T>(what: &str, len: usize, read: impl FnOnce() -> T) -> T {
    let mut result = None;
    let memory = measure(|| result = Some(read()));
    let (took, allowed) = (memory.bytes_max, 64 * len as u64 + 64 * 1024);
    assert!(took <= allowed, "{what}: {took} bytes for {len}");
    result.unwrap()
}

fn read<S: Subject>(bytes: &Bytes, version: i16) -> Result<(), String> {
    bounded(S::NAME, bytes.len(), || S::read(&mut Decoder::new(bytes.clone()), version))
}

fn withstands<S: Subject>() {
    for version in S::VERSIONS.iter() {
        for seed in seeds::<S>(version) {
            assert_eq!(read::<S>(&seed, version), Ok(()), "{} v{version}: {seed:?}", S::NAME);
            for end in 0..seed.len() {
                let cut = read::<S>(&seed.slice(..end), version);
                assert!(cut.is_err(), "{} v{version} cut at {end}: {seed:?}", S::NAME);
            }
            for at in 0..seed.len() {
                damages(&seed, at).for_each(|damaged| drop(read::<S>(&damaged, version)));
            }
        }
        for random in random_buffers() {
            drop(read::<S>(&random, version));
        }
        for elements in [3, 24] {
            let flexible = S::is_flexible(version);
            let crowded = shapes::crowded_shape(S::SCHEMA, version, flexible, elements);
            let read = read::<S>(&crowded, version);
            assert_eq!(read, Ok(()), "{} v{version}, {elements} of each", S::NAME);
        }
    }
}

fn seeds<S: Subject>(version: i16) -> Vec<Bytes> {
    let strategy = shapes::shaped(S::SCHEMA, version, S::is_flexible(version));
    let mut runner = shapes::runner(0);
    let all = (0..16).map(|_| strategy.new_tree(&mut runner).unwrap().current());
    let mut seeds: Vec<Bytes> = all.filter(|seed| seed.len() <= SEED_MAX).collect();
    seeds.sort_by_key(|seed| std::cmp::Reverse(seed.len()));
    seeds.truncate(SEEDS);
    seeds
}

/// `seed` with a hostile length at `at`, in each width that a length can have there. As every place
/// is tried, every length and count that the message has is among them.
fn damages(seed: &Bytes, at: usize) -> impl Iterator<Item = Bytes> {
    let left = seed.len() - at;
    let wide = [i32::MAX, -2, left as i32 + 1].map(|length| (4, length.to_be_bytes().to_vec()));
    let narrow = [i16::MAX, -2, left as i16 + 1].map(|length| (2, length.to_be_bytes().to_vec()));
    let compact = [1 << 31, u32::MAX, left as u32 + 2].map(|length| (1, shapes::uvarint(length)));
    let endless = [(1, vec![0xff; 6])];
    let all = wide.into_iter().chain(narrow).chain(compact).chain(endless);
    all.map(move |(width, length)| {
        let rest = seed.get(at + width..).unwrap_or_default();
        Bytes::from([&seed[..at], &length, rest].concat())
    })
}

fn random_buffers() -> impl Iterator<Item = Bytes> {
    let strategy = proptest::collection::vec(proptest::num::u8::ANY, 0..300);
    let mut runner = shapes::runner(0);
    (0..RANDOM).map(move |_| Bytes::from(strategy.new_tree(&mut runner).unwrap().current()))
}

macro_rules! tests {
    ($( $key:ident $request:ident, $min:literal - $max:literal (from $advertised:literal),
        $listeners:ident, $throttle:ident, $note:literal; )*) => {$(
        #[allow(non_snake_case, reason = "the api's name is the test's")]
        mod $key {
            use duramen_protocol::messages::{$request, Request};

            #[test]
            fn request() {
                super::withstands::<super::OfApi<$request>>();
            }

            #[test]
            fn response() {
                super::withstands::<super::OfApi<<$request as Request>::Response>>();
            }
        }
    )*};
}

for_each_api!(tests);
for_each_unserved_api!(tests);

#[test]
fn versions_that_do_not_exist_are_refused() {
    fn refuses<M: Message>() {
        for version in [i16::MIN, -1, M::VERSIONS.min - 1, M::VERSIONS.max + 1, i16::MAX] {
            if !M::VERSIONS.contains(version) {
                assert!(read::<OfApi<M>>(&Bytes::from(vec![0; 64]), version).is_err());
            }
        }
    }
    macro_rules! each {
        ($( $key:ident $request:ident, $min:literal - $max:literal (from $advertised:literal),
            $listeners:ident, $throttle:ident, $note:literal; )*) => {$(
            refuses::<duramen_protocol::messages::$request>();
            refuses::<<duramen_protocol::messages::$request as Request>::Response>();
        )*};
    }
    for_each_api!(each);
    for_each_unserved_api!(each);
}
