//! Frames that real clients and Apache Kafka 4.3.1 exchanged, recorded on the wire: each is read
//! whole and written back to the same bytes. `testdata/frames/<client>/<api>-v<version>-….bin`, without
//! the length in front; `tests/compat` of the broker records them.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reads its data with plain files and may panic"
)]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use duramen_protocol::api::{ApiKey, spec};
use duramen_protocol::for_each_api;
use duramen_protocol::header::{RequestHeader, ResponseHeader};
use duramen_protocol::messages::{self, Message, Request};
use duramen_protocol::primitives::{Decoder, Encoder};

/// Clients whose frames are recorded.
const CLIENTS: [&str; 5] = ["aiokafka", "confluent-kafka", "java", "kafka-python", "kcat"];

/// Frames with bytes behind their message, and how many. Kafka lets them pass, and so must a broker:
/// librdkafka 2.x writes a four-byte count of topics and then a one-byte one over it when it asks
/// for all topics, and sends the rest behind the message.
const WITH_MORE_BEHIND: [(&str, usize); 1] = [("confluent-kafka/metadata-v13-request", 3)];

/// Requests and their responses, with what to call them.
fn pairs(client: &str) -> Vec<(String, Bytes, Bytes)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/frames").join(client);
    let mut requests: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with("-request.bin"))
        .collect();
    requests.sort();
    requests
        .into_iter()
        .map(|path| {
            let name = path.display().to_string();
            let response = name.replace("-request.bin", "-response.bin");
            (name, read(&path), read(Path::new(&response)))
        })
        .collect()
}

fn read(path: &Path) -> Bytes {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

fn behind(name: &str) -> usize {
    WITH_MORE_BEHIND.iter().find(|(part, _)| name.contains(part)).map_or(0, |(_, bytes)| *bytes)
}

/// Reads a body to its end and writes it again behind `encoder`'s header.
fn body<M: Message>(name: &str, decoder: &mut Decoder, encoder: &mut Encoder, version: i16) {
    let message = M::decode(decoder, version).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(decoder.remaining(), behind(name), "{name}: bytes are left over");
    let before = encoder.len();
    message.encode(encoder, version).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(encoder.len() - before, message.size(version), "{name}: the size told is wrong");
}

fn request<R: Request>(name: &str, frame: &Bytes, answer: &Bytes) {
    let mut decoder = Decoder::new(frame.clone());
    let header = RequestHeader::decode(&mut decoder).expect(name);
    let mut encoder = Encoder::new();
    header.encode(&mut encoder);
    body::<R>(name, &mut decoder, &mut encoder, header.version);
    let sent = frame.slice(..frame.len() - behind(name));
    assert_eq!(encoder.finish().into_bytes(), sent, "{name}: the request");

    let mut decoder = Decoder::new(answer.clone());
    let answered = ResponseHeader::decode(&mut decoder, header.api, header.version).expect(name);
    assert_eq!(answered.correlation_id, header.correlation_id, "{name}");
    let mut encoder = Encoder::new();
    answered.encode(&mut encoder, header.api, header.version);
    body::<R::Response>(
        &name.replace("-request", "-response"),
        &mut decoder,
        &mut encoder,
        header.version,
    );
    assert_eq!(encoder.finish().into_bytes(), answer, "{name}: the response");
}

macro_rules! one_of_ours {
    ($( $key:ident $request:ident, $min:literal - $max:literal (from $advertised:literal),
        $listeners:ident, $throttle:ident, $note:literal; )*) => {
        /// Reads and writes a pair of an API that is served; false when it is not.
        fn served(api: ApiKey, name: &str, frame: &Bytes, answer: &Bytes) -> bool {
            match api {
                $( ApiKey::$key => request::<messages::$request>(name, frame, answer), )*
                _ => return false,
            }
            true
        }
    };
}

for_each_api!(one_of_ours);

#[test]
fn every_recorded_frame_is_read_and_written_back() {
    for client in CLIENTS {
        let pairs = pairs(client);
        let apis = pairs.iter().filter(|(name, frame, answer)| {
            let header = RequestHeader::decode(&mut Decoder::new(frame.clone())).expect(name);
            served(header.api, name, frame, answer)
        });
        assert!(apis.count() >= 5, "{client}: too few frames of APIs that are served");
    }
}

#[test]
fn every_recorded_version_of_a_served_api_is_served() {
    for client in CLIENTS {
        for (name, frame, _) in pairs(client) {
            let header = RequestHeader::decode(&mut Decoder::new(frame)).expect(&name);
            if let Some(spec) = spec(header.api) {
                assert!(spec.serves(header.version), "{name}");
            }
        }
    }
}
