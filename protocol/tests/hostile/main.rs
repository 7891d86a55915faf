//! What bytes may cost. Whatever a peer sends in place of a message, it gets a typed error or a
//! message, and makes us take memory in proportion to the bytes that it really sent.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod costs;
#[path = "../support/shapes.rs"]
mod shapes;

use allocation_counter::measure;
use bytes::Bytes;
use duramen_protocol::error::DecodeError;
use duramen_protocol::messages::{Message, Request};
use duramen_protocol::primitives::Decoder;
use duramen_protocol::{for_each_api, for_each_unserved_api};
use proptest::strategy::{Strategy, ValueTree};

/// Encoded messages that are damaged, for each message and version.
const SEEDS: usize = 2;
/// Seeds longer than this are passed over: each of their bytes is damaged in a dozen ways.
const SEED_MAX: usize = 300;
/// Buffers of random bytes, for each message and version.
const RANDOM: usize = 60;

/// Reads `bytes`, and checks what that took. The bound holds for a whole frame: each byte of it may
/// become an empty string in an array, and a growing array exists twice while it moves.
fn read<M: Message>(bytes: &Bytes, version: i16) -> Result<M, DecodeError> {
    let mut result = None;
    let memory = measure(|| {
        result = Some(M::decode(&mut Decoder::new(bytes.clone()), version));
    });
    let allowed = 64 * bytes.len() as u64 + 64 * 1024;
    let took = memory.bytes_max;
    assert!(took <= allowed, "{} v{version}: {took} bytes for {bytes:?}", M::NAME);
    let result = result.unwrap();
    if let Err(error) = &result {
        assert_eq!((error.api, error.version), (M::KEY, version));
        assert!(!error.field.is_empty(), "{error}");
    }
    result
}

fn withstands<M: Message>() {
    for version in M::VERSIONS.iter() {
        for seed in seeds::<M>(version) {
            assert!(read::<M>(&seed, version).is_ok(), "{} v{version}: {seed:?}", M::NAME);
            for end in 0..seed.len() {
                let cut = read::<M>(&seed.slice(..end), version);
                assert!(cut.is_err(), "{} v{version} cut at {end}: {seed:?}", M::NAME);
            }
            for at in 0..seed.len() {
                damages(&seed, at).for_each(|damaged| drop(read::<M>(&damaged, version)));
            }
        }
        for random in random_buffers() {
            drop(read::<M>(&random, version));
        }
        for elements in [3, 24] {
            let crowded = shapes::crowded::<M>(version, elements);
            let read = read::<M>(&crowded, version);
            assert!(read.is_ok(), "{} v{version}, {elements} of each", M::NAME);
        }
    }
}

fn seeds<M: Message>(version: i16) -> Vec<Bytes> {
    let strategy = shapes::encoded::<M>(version);
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
                super::withstands::<$request>();
            }

            #[test]
            fn response() {
                super::withstands::<<$request as Request>::Response>();
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
                assert!(read::<M>(&Bytes::from(vec![0; 64]), version).is_err());
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
