//! A connection on which a test writes whatever bytes it likes.

use std::net::SocketAddr;

use bytes::Bytes;
use duramen_protocol::api::ApiKey;
use duramen_protocol::frame;
use duramen_protocol::messages::{Message, Request};
use duramen_protocol::primitives::Decoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::PATIENCE;

pub struct Raw {
    pub stream: TcpStream,
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// This end's address, by which the broker's log lines name the connection.
    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Writes bytes; a broker that has closed already is no error here.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next frame without its length, or `None` when the broker has closed.
    pub async fn frame(&mut self) -> Option<Bytes> {
        let read = async {
            let len = self.stream.read_u32().await.ok()?;
            let mut frame = vec![0; len as usize];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an answer, or the end")
    }

    /// Waits until the broker closes; panics when it answers instead.
    pub async fn closed(mut self) {
        assert_eq!(self.frame().await, None, "the broker should close, not answer");
    }

    /// Sends a request and reads its answer; `None` when the broker closes instead.
    pub async fn call<R: Request>(&mut self, version: i16, request: &R) -> Option<R::Response> {
        self.send(&request_frame(version, 7, request)).await;
        let frame = self.frame().await?;
        Some(answer::<R>(frame, version, 7))
    }
}

/// A request as it travels, length prefix and header included.
pub fn request_frame<R: Request>(version: i16, correlation: i32, request: &R) -> Vec<u8> {
    let client = Some("raw".into());
    frame::request(version, correlation, client, request).unwrap().into_bytes().to_vec()
}

/// What an answer's frame says.
pub fn answer<R: Request>(frame: Bytes, version: i16, correlation: i32) -> R::Response {
    let mut decoder = Decoder::new(frame);
    assert_eq!(decoder.i32().unwrap(), correlation, "the answer to another request");
    if R::KEY.is_flexible(version) && R::KEY != ApiKey::ApiVersions {
        assert_eq!(decoder.uvarint().unwrap(), 0, "no tags in the header");
    }
    let response = R::Response::decode(&mut decoder, version).unwrap();
    assert_eq!(decoder.remaining(), 0, "bytes behind the answer");
    response
}

/// Some bytes with the length prefix that fits them.
pub fn framed(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

/// A request header of the form that `flexible` says, with `client` as the client id.
pub fn header(api: i16, version: i16, correlation: i32, flexible: bool) -> Vec<u8> {
    let mut header = [api.to_be_bytes(), version.to_be_bytes()].concat();
    header.extend(correlation.to_be_bytes());
    header.extend((-1_i16).to_be_bytes());
    if flexible {
        header.push(0);
    }
    header
}
