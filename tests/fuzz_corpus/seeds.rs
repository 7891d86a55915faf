//! The inputs that the fuzzer begins with: valid frames, batches and compressed data, some of them
//! recorded from real clients, and the hostile ones of the books.

use std::fs;
use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use duramen_protocol::api::{ApiKey, TABLE, spec};
use duramen_protocol::for_each_api;
use duramen_protocol::header::{RequestHeader, ResponseHeader};
use duramen_protocol::messages::{self, Message, Request};
use duramen_protocol::primitives::{Decoder, Encoder};
use duramen_protocol::records::batch::stamp_log_append_time;
use duramen_protocol::records::compression::compress;
use duramen_protocol::records::control::{EndTxnMarker, LeaderChange, Voter};
use duramen_protocol::records::{
    BatchBuilder, BatchOptions, BatchView, Compression, HeaderView, Producer,
};
use duramen_protocol::schema::Schema;
use proptest::strategy::{Strategy, ValueTree};

use super::shapes;

/// Names and contents of a target's seeds.
pub type Seeds = Vec<(String, Vec<u8>)>;

/// The seeds of each target.
pub fn all() -> Vec<(&'static str, Seeds)> {
    vec![
        ("frame", frames()),
        ("request", messages_of(Side::Request)),
        ("response", messages_of(Side::Response)),
        ("batch", batches()),
        ("gzip", compressed(Compression::Gzip, gzip_oddities())),
        ("snappy", compressed(Compression::Snappy, snappy_oddities())),
        ("lz4", compressed(Compression::Lz4, lz4_oddities())),
        ("zstd", compressed(Compression::Zstd, zstd_oddities())),
    ]
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Request,
    Response,
}

/// The lowest, a middle and the highest version of an API.
fn versions(api: usize) -> Vec<i16> {
    let row = &TABLE[api];
    let mut versions = vec![row.min, row.min.midpoint(row.max), row.max];
    versions.dedup();
    versions
}

/// Two shapes of what `schema` declares: one of each array's elements, and the largest of some made
/// at random.
pub fn two_shapes(schema: &'static Schema, version: i16, flexible: bool) -> [Bytes; 2] {
    let strategy = shapes::shaped(schema, version, flexible);
    let mut runner = shapes::runner(0);
    let made = (0..8).map(|_| strategy.new_tree(&mut runner).unwrap().current());
    let largest = made.filter(|shape| shape.len() < 2000).max_by_key(Bytes::len);
    [shapes::crowded_shape(schema, version, flexible, 1), largest.unwrap_or_default()]
}

fn shapes_of<M: Message>(version: i16) -> [Bytes; 2] {
    two_shapes(M::SCHEMA, version, M::KEY.is_flexible(version))
}

macro_rules! shapes_of_api {
    ($( $key:ident $request:ident, $min:literal - $max:literal (from $advertised:literal),
        $listeners:ident, $throttle:ident, $note:literal; )*) => {
        fn shapes_of_api(api: ApiKey, version: i16, side: Side) -> [Bytes; 2] {
            match (api, side) {
                $(
                    (ApiKey::$key, Side::Request) => shapes_of::<messages::$request>(version),
                    (ApiKey::$key, Side::Response) => {
                        shapes_of::<<messages::$request as Request>::Response>(version)
                    }
                )*
                _ => Default::default(),
            }
        }
    };
}

for_each_api!(shapes_of_api);

/// Frames longer than this are left out: a fuzzer finds more in short ones.
const RECORDED_MAX: usize = 3000;

/// A request and its response as a client and Apache Kafka exchanged them, without length.
struct Recorded {
    name: String,
    header: RequestHeader,
    body: Bytes,
    request: Vec<u8>,
    response: Vec<u8>,
}

fn recorded() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/testdata/frames");
    let mut all = Vec::new();
    for client in fs::read_dir(folder).unwrap() {
        let client = client.unwrap();
        for file in fs::read_dir(client.path()).unwrap() {
            let path = file.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            let Some(name) = file.strip_suffix("-request.bin") else { continue };
            let request = fs::read(&path).unwrap();
            let response = fs::read(path.with_file_name(format!("{name}-response.bin"))).unwrap();
            let mut decoder = Decoder::new(Bytes::from(request.clone()));
            let header = RequestHeader::decode(&mut decoder).unwrap();
            let body = decoder.take(decoder.remaining()).unwrap();
            let name = format!("{}-{name}", client.file_name().to_str().unwrap());
            all.push(Recorded { name, header, body, request, response });
        }
    }
    all.sort_by(|left, right| left.name.cmp(&right.name));
    all
}

/// The two bytes that pick API and version in the targets `request` and `response`.
fn pick(api: ApiKey, version: i16) -> Option<[u8; 2]> {
    let row = spec(api).filter(|row| row.serves(version))?;
    Some([u8::try_from(api.code()).unwrap(), u8::try_from(version - row.min).unwrap()])
}

fn recorded_messages(side: Side) -> Seeds {
    let bytes = |frame: Recorded| {
        let pick = pick(frame.header.api, frame.header.version)?;
        let bytes = match side {
            Side::Request => [&pick[..], &frame.body].concat(),
            Side::Response => [&pick[..], &frame.response].concat(),
        };
        (bytes.len() <= RECORDED_MAX).then_some((frame.name, bytes))
    };
    recorded().into_iter().filter_map(bytes).collect()
}

fn with_length(frame: &[u8]) -> Vec<u8> {
    [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], frame].concat()
}

/// Every API in some versions, as the targets `request` and `response` take them.
fn messages_of(side: Side) -> Seeds {
    let mut seeds = recorded_messages(side);
    for (index, row) in TABLE.iter().enumerate() {
        for version in versions(index) {
            let mut header = Encoder::new();
            header.raw(&pick(row.key, version).unwrap());
            if side == Side::Response {
                ResponseHeader { correlation_id: 7 }.encode(&mut header, row.key, version);
            }
            let header = header.finish().into_bytes();
            for (shape, name) in shapes_of_api(row.key, version, side).iter().zip(["one", "some"]) {
                let name = format!("{}-{version}-{name}", row.name);
                seeds.push((name, [&header[..], shape].concat()));
            }
        }
    }
    seeds
}

/// Whole frames, and what other protocols begin with.
fn frames() -> Seeds {
    let mut seeds = Seeds::new();
    for frame in recorded().into_iter().filter(|frame| frame.request.len() <= RECORDED_MAX) {
        seeds.push((frame.name, with_length(&frame.request)));
    }
    for (index, row) in TABLE.iter().enumerate() {
        for version in versions(index) {
            let client_id = Some(if index % 2 == 0 { "rdkafka" } else { "" }.into());
            let header = RequestHeader { api: row.key, version, correlation_id: 7, client_id };
            let mut encoder = Encoder::new();
            header.encode(&mut encoder);
            encoder.raw(&shapes_of_api(row.key, version, Side::Request)[1]);
            let frame = encoder.finish().into_bytes();
            seeds.push((format!("{}-{version}", row.name), with_length(&frame)));
        }
    }
    for (name, bytes) in [
        ("http", &b"GET / HTTP/1.1\r\nHost: localhost:9092\r\n\r\n"[..]),
        ("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("ssh", b"SSH-2.0-OpenSSH_9.2p1\r\n"),
        ("empty", b"\0\0\0\0"),
        ("negative", b"\xff\xff\xff\xff\0\x03\0\x01"),
        ("huge", b"\x7f\xff\xff\xff\0\x03\0\x01"),
        ("unknown-api", b"\0\0\0\x0a\x7f\xff\0\0\0\0\0\x07\xff\xff"),
        (
            "metadata-two-billion-topics",
            b"\0\0\0\x0e\0\x03\0\x01\0\0\0\x07\xff\xff\x7f\xff\xff\xff",
        ),
    ] {
        seeds.push((name.to_owned(), bytes.to_vec()));
    }
    seeds
}

fn text(len: usize) -> Vec<u8> {
    let words = (0_u32..)
        .flat_map(|n| format!("word{} ", n.wrapping_mul(2_654_435_761) >> 24).into_bytes());
    words.take(len).collect()
}

pub fn built(count: i64, options: &BatchOptions) -> Vec<u8> {
    let mut builder = BatchBuilder::new(usize::MAX);
    let headers = [
        HeaderView { key: b"trace", value: Some(b"0123456789abcdef") },
        HeaderView { key: b"empty", value: None },
    ];
    for number in 0..count {
        let key = format!("key {number}");
        let key = (number % 3 != 0).then_some(key.as_bytes());
        let value = text(usize::try_from(number * 7 % 40).unwrap());
        let value = (number % 5 != 4).then_some(&value[..]);
        let headers = &headers[..usize::try_from(number % 3).unwrap()];
        builder.append(1_700_000_000_000 + number * 10, key, value, headers).unwrap();
    }
    builder.build(options).unwrap().to_vec()
}

/// The batches that clients sent.
fn recorded_batches() -> Seeds {
    let mut seeds = Seeds::new();
    for frame in recorded().into_iter().filter(|frame| frame.header.api == ApiKey::Produce) {
        let mut decoder = Decoder::new(frame.body);
        let request = messages::ProduceRequest::decode(&mut decoder, frame.header.version).unwrap();
        let partitions = request.topic_data.into_iter().flat_map(|topic| topic.partition_data);
        let batches = partitions.filter_map(|partition| partition.records);
        for (index, bytes) in batches.filter(|bytes| bytes.len() <= RECORDED_MAX).enumerate() {
            seeds.push((format!("{}-{index}", frame.name), bytes.to_vec()));
        }
    }
    seeds
}

fn batches() -> Seeds {
    let mut seeds = recorded_batches();
    let producer = Some(Producer { id: 4000, epoch: 3, base_sequence: 77 });
    for compression in Compression::ALL {
        for count in [1, 3, 40] {
            let options = BatchOptions { compression, ..BatchOptions::default() };
            seeds.push((format!("{compression}-{count}"), built(count, &options)));
        }
        let options = BatchOptions { compression, producer, transactional: true, level: None };
        let mut bytes = built(5, &options);
        seeds.push((format!("{compression}-transactional"), bytes.clone()));
        stamp_log_append_time(&mut bytes, 1_700_000_009_999).unwrap();
        seeds.push((format!("{compression}-log-append-time"), bytes));
    }
    let mut control = Vec::new();
    for commit in [true, false] {
        let marker = EndTxnMarker { commit, coordinator_epoch: 5 };
        control.extend(marker.to_batch(1_700_000_000_000, 4000, 3).unwrap());
    }
    let voters = vec![Voter { id: 1, ..Voter::default() }];
    let change = LeaderChange { leader_id: 1, granting_voters: voters.clone(), voters };
    control.extend(change.to_batch(0, 1, 1_700_000_000_000).unwrap());
    seeds.push(("control".to_owned(), control));

    let plain = built(3, &BatchOptions::default());
    let header = BatchView::split(&plain).unwrap().0.header();
    seeds.push(("three-in-a-row".to_owned(), plain.repeat(3)));
    seeds.push(("cut-off".to_owned(), plain[..plain.len() - 5].to_vec()));
    for (name, place, byte) in [("magic-0", 16, 0), ("magic-1", 16, 1), ("codec-7", 22, 7)] {
        let mut bytes = plain.clone();
        bytes[place] = byte;
        seeds.push((name.to_owned(), bytes));
    }
    let counted = |record_count, payload: &[u8]| {
        let header = duramen_protocol::records::BatchHeader { record_count, ..header };
        [&header.sealed(payload).unwrap().to_bytes()[..], payload].concat()
    };
    seeds.push(("two-billion-records".to_owned(), counted(i32::MAX, &[])));
    seeds.push(("negative-records".to_owned(), counted(-1, &[])));
    seeds.push(("emptied".to_owned(), counted(0, &[])));
    let headers = [20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f];
    seeds.push(("two-billion-headers".to_owned(), counted(1, &headers)));
    seeds
}

/// Data of several lengths and kinds in a codec, whole and cut, and what else is given.
fn compressed(codec: Compression, more: Vec<(&str, Vec<u8>)>) -> Seeds {
    let mut seeds = Seeds::new();
    for len in [0, 1, 13, 100, 1000, 5000, 33_000] {
        let whole = compress(codec, None, &text(len)).unwrap();
        seeds.push((format!("text-{len}"), whole));
    }
    for (name, input) in [
        ("zeros", vec![0; 300_000]),
        ("bytes", (0..=255).collect()),
        ("runs", (0..2000).map(|n| (n / 100) as u8).collect()),
    ] {
        seeds.push((name.to_owned(), compress(codec, None, &input).unwrap()));
    }
    let whole = compress(codec, None, &text(1000)).unwrap();
    for part in [4, 8, 16] {
        let cut = whole.len() * (part - 1) / part;
        seeds.push((format!("cut-at-{}-{part}", part - 1), whole[..cut].to_vec()));
    }
    seeds.push(("twice".to_owned(), whole.repeat(2)));
    seeds.push(("and-garbage".to_owned(), [&whole[..], b"garbage"].concat()));
    seeds.extend(more.into_iter().map(|(name, input)| (name.to_owned(), input)));
    seeds
}

fn gzip_oddities() -> Vec<(&'static str, Vec<u8>)> {
    let level = |level| compress(Compression::Gzip, Some(level), &text(3000)).unwrap();
    // A header with extra field, name, comment and header checksum flags set.
    let flags = |flags: u8| {
        let mut bytes = level(9);
        bytes[3] = flags;
        bytes
    };
    vec![
        ("level-1", level(1)),
        ("level-9", level(9)),
        ("with-name", flags(8)),
        ("with-extra", flags(4)),
        ("with-all", flags(0x1e)),
    ]
}

fn snappy_oddities() -> Vec<(&'static str, Vec<u8>)> {
    let plain = |input: &[u8]| snap::raw::Encoder::new().compress_vec(input).unwrap();
    vec![
        ("plain", plain(&text(1000))),
        ("plain-zeros", plain(&[0; 20_000])),
        ("plain-4-gib", vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]),
        ("plain-1-mib", vec![0x80, 0x80, 0x40, 0, 0]),
        ("later-version", b"\x82SNAPPY\0\0\0\0\x02\0\0\0\x02".to_vec()),
        ("huge-block", b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\x7f\xff\xff\xff".to_vec()),
    ]
}

fn lz4_oddities() -> Vec<(&'static str, Vec<u8>)> {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    let frame = |info: FrameInfo| {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&text(100_000)[..70_000]).unwrap();
        encoder.finish().unwrap()
    };
    let linked = FrameInfo::new().block_mode(BlockMode::Linked).block_size(BlockSize::Max64KB);
    let checked = FrameInfo::new().block_checksums(true).content_checksum(true);
    vec![
        ("linked", frame(linked)),
        ("checksums", frame(checked)),
        ("content-size", frame(FrameInfo::new().content_size(Some(70_000)))),
        ("blocks-4-mib", frame(FrameInfo::new().block_size(BlockSize::Max4MB))),
        ("legacy", frame(FrameInfo::new().legacy_frame(true))),
    ]
}

fn zstd_oddities() -> Vec<(&'static str, Vec<u8>)> {
    let stream = |checksum, window| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(checksum).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.window_log(window).unwrap();
        for piece in text(5000).chunks(1000) {
            encoder.write_all(piece).unwrap();
            encoder.flush().unwrap();
        }
        encoder.finish().unwrap()
    };
    let mut runs = b"\x28\xb5\x2f\xfd\x00\x88".to_vec();
    runs.extend([0x02, 0x00, 0x10, b'x'].repeat(20));
    runs.extend([0x03, 0x00, 0x10, b'x']);
    let mut skipped = b"\x5a\x2a\x4d\x18\x03\0\0\0abc".to_vec();
    skipped.extend(stream(true, 10));
    vec![
        ("stream", stream(false, 20)),
        ("stream-checksum", stream(true, 20)),
        ("window-128-mib", stream(false, 27)),
        ("runs", runs),
        ("skippable", skipped),
        ("level-19", compress(Compression::Zstd, Some(19), &text(5000)).unwrap()),
    ]
}
