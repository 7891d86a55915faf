//! Frames, headers, and every request and response in every version.

use bytes::Bytes;
use duramen_protocol::api::{ApiKey, TABLE, spec};
use duramen_protocol::frame::peek_len;
use duramen_protocol::header::{RequestHeader, ResponseHeader};
use duramen_protocol::messages::{self, Message, Request};
use duramen_protocol::primitives::{Decoder, Encoder};

/// The longest frame that is taken, in bytes.
const FRAME_MAX: usize = 1 << 20;

/// The bytes of a connection: length, request header, body.
pub fn frame(data: &[u8]) {
    let Ok(Some(len)) = peek_len(data, FRAME_MAX) else { return };
    let Some(frame) = data.get(4..).and_then(|rest| rest.get(..len)) else { return };
    let mut decoder = Decoder::new(Bytes::copy_from_slice(frame));
    let Ok(header) = RequestHeader::decode(&mut decoder) else { return };
    let mut encoder = Encoder::new();
    header.encode(&mut encoder);
    let mut again = Decoder::new(encoder.finish().into_bytes());
    assert_eq!(RequestHeader::decode(&mut again).as_ref(), Ok(&header));
    let served = spec(header.api).is_some_and(|api| api.serves(header.version));
    if served {
        both(header.api, header.version, &mut decoder, Side::Request);
    }
}

/// A request body behind two bytes that pick API and version.
pub fn request(data: &[u8]) {
    picked(data, Side::Request);
}

/// A response, with its header, behind two bytes that pick API and version.
pub fn response(data: &[u8]) {
    picked(data, Side::Response);
}

#[derive(Clone, Copy)]
enum Side {
    Request,
    Response,
}

fn picked(data: &[u8], side: Side) {
    let [api, version, body @ ..] = data else { return };
    // By its key, so that inputs keep their meaning when an API is added; else the next one.
    let row = TABLE.iter().find(|row| row.key.code() >= i16::from(*api)).unwrap_or(&TABLE[0]);
    let versions: Vec<_> = row.versions().iter().collect();
    let version = versions[usize::from(*version) % versions.len()];
    let mut decoder = Decoder::new(Bytes::copy_from_slice(body));
    if matches!(side, Side::Response)
        && ResponseHeader::decode(&mut decoder, row.key, version).is_err()
    {
        return;
    }
    both(row.key, version, &mut decoder, side);
}

macro_rules! dispatch {
    ($( $key:ident $request:ident, $min:literal - $max:literal (from $advertised:literal),
        $listeners:ident, $throttle:ident, $note:literal; )*) => {
        fn both(api: ApiKey, version: i16, decoder: &mut Decoder, side: Side) {
            match (api, side) {
                $(
                    (ApiKey::$key, Side::Request) => {
                        survives::<messages::$request>(version, decoder);
                    }
                    (ApiKey::$key, Side::Response) => {
                        survives::<<messages::$request as Request>::Response>(version, decoder);
                    }
                )*
                _ => {}
            }
        }
    };
}

duramen_protocol::for_each_api!(dispatch);

/// What was decoded is encoded, in as many bytes as were foretold, and decoded as the same.
fn survives<M: Message + PartialEq + std::fmt::Debug>(version: i16, decoder: &mut Decoder) {
    let Ok(message) = M::decode(decoder, version) else { return };
    let mut encoder = Encoder::with_room(&message.measure(version));
    message.encode(&mut encoder, version).unwrap();
    let bytes = encoder.finish().into_bytes();
    assert_eq!(bytes.len(), message.size(version), "{} {version}", M::NAME);
    let mut decoder = Decoder::new(bytes);
    assert_eq!(M::decode(&mut decoder, version).unwrap(), message, "{} {version}", M::NAME);
    assert_eq!(decoder.remaining(), 0, "{} {version}", M::NAME);
}
