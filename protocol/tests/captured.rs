//! Requests that real clients sent, recorded without their length prefix: each is read whole, and
//! written back it is the same bytes. `captured/CLIENT-VERSION/API-vVERSION.bin`.

#![allow(clippy::disallowed_methods, reason = "reads the recordings, not a log")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use duramen_protocol::api::ApiKey;
use duramen_protocol::for_each_api;
use duramen_protocol::header::RequestHeader;
use duramen_protocol::messages::{self, Message};
use duramen_protocol::primitives::{Decoder, Encoder};
use duramen_protocol::records::batch::BatchView;

fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captured");
    let entries = |folder: &Path| -> Vec<PathBuf> {
        folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    entries(&folder).iter().flat_map(|client| entries(client)).collect()
}

/// Reads the body of `M` and writes header and body again.
fn rewritten<M: Message>(header: &RequestHeader, body: &mut Decoder) -> Result<Bytes, String> {
    let message = M::decode(body, header.version).map_err(|error| error.to_string())?;
    body.finish().map_err(|error| error.to_string())?;
    let mut encoder = Encoder::new();
    header.encode(&mut encoder);
    message.encode(&mut encoder, header.version).map_err(|error| error.to_string())?;
    Ok(encoder.finish().into_bytes())
}

macro_rules! rewrite {
    ($( $key:ident $request:ident, $min:literal - $max:literal (from $advertised:literal),
        $listeners:ident, $throttle:ident, $note:literal; )*) => {
        fn rewrite(header: &RequestHeader, body: &mut Decoder) -> Result<Bytes, String> {
            match header.api {
                $( ApiKey::$key => rewritten::<messages::$request>(header, body), )*
                api => Err(format!("{api} is not served")),
            }
        }
    };
}

for_each_api!(rewrite);

#[test]
fn every_recorded_request_is_read_whole_and_written_back() {
    let recordings = recordings();
    assert!(recordings.len() > 40, "{} recordings", recordings.len());
    for path in recordings {
        let frame = Bytes::from(std::fs::read(&path).unwrap());
        let mut decoder = Decoder::new(frame.clone());
        let header = RequestHeader::decode(&mut decoder).unwrap();
        let name = format!("{}-v{}.bin", header.api, header.version);
        assert_eq!(path.file_name().unwrap().to_str(), Some(name.as_str()));
        match rewrite(&header, &mut decoder) {
            Ok(written) => assert_eq!(written, frame, "{}", path.display()),
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}

#[test]
fn every_recorded_produce_request_holds_one_whole_batch() {
    let is_produce = |path: &PathBuf| path.to_string_lossy().contains("Produce-");
    for path in recordings().into_iter().filter(is_produce) {
        let mut decoder = Decoder::new(Bytes::from(std::fs::read(&path).unwrap()));
        let header = RequestHeader::decode(&mut decoder).unwrap();
        let request = messages::ProduceRequest::decode(&mut decoder, header.version).unwrap();
        let records = request.topic_data[0].partition_data[0].records.as_ref().unwrap();
        let (batch, rest) = BatchView::split(records).unwrap();
        assert!(batch.crc_is_valid() && rest.is_empty(), "{}", path.display());
        assert!(batch.record_count() > 0, "{}", path.display());
    }
}
