//! Brokers that tests play themselves, over in-memory streams.

pub(crate) mod model;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use duramen_protocol::api::{ApiKey, TABLE};
use duramen_protocol::frame::{self, LENGTH_PREFIX, peek_len};
use duramen_protocol::header::RequestHeader;
use duramen_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use duramen_protocol::messages::{Message, Request};
use duramen_protocol::primitives::Decoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use crate::cluster::{Cluster, ClusterOptions};
use crate::transport::Connector;

/// The broker's end of a stream.
pub(crate) struct Peer {
    stream: DuplexStream,
    buffer: BytesMut,
}

/// A request as it came.
pub(crate) struct Asked {
    pub(crate) header: RequestHeader,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn read<R: Request>(&self) -> R {
        R::decode(&mut Decoder::new(self.body.clone()), self.header.version).unwrap()
    }

    pub(crate) fn answer<M: Message>(&self, body: &M) -> Answer {
        let RequestHeader { version, correlation_id, .. } = self.header;
        let chunks = frame::response(version, correlation_id, body).unwrap();
        Answer::Send(chunks.into_bytes())
    }
}

/// What a played broker does with a request.
pub(crate) enum Answer {
    Send(Bytes),
    /// The same after a while, and meanwhile nothing.
    Later(Duration, Bytes),
    /// Nothing, ever.
    Silence,
    /// Ends the connection.
    Close,
}

impl Peer {
    pub(crate) fn pair() -> (DuplexStream, Self) {
        let (client, stream) = duplex(1 << 20);
        (client, Self { stream, buffer: BytesMut::new() })
    }

    /// The next request; `None` when the client has gone.
    pub(crate) async fn asked(&mut self) -> Option<Asked> {
        loop {
            if let Some(len) = peek_len(&self.buffer, 1 << 26).unwrap()
                && self.buffer.len() >= LENGTH_PREFIX + len
            {
                let mut frame = self.buffer.split_to(LENGTH_PREFIX + len).freeze();
                let mut decoder = Decoder::new(frame.split_off(LENGTH_PREFIX));
                let header = RequestHeader::decode(&mut decoder).unwrap();
                let left = decoder.remaining();
                let body = decoder.take(left).unwrap();
                return Some(Asked { header, body });
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn reply<M: Message>(&mut self, asked: &Asked, body: &M) {
        if let Answer::Send(bytes) = asked.answer(body) {
            self.send(&bytes).await;
        }
    }
}

/// What a broker of this workspace would say that it serves.
pub(crate) fn served() -> ApiVersionsResponse {
    let api_keys = TABLE
        .iter()
        .map(|row| ApiVersion {
            api_key: row.key.code(),
            min_version: row.min,
            max_version: row.max,
        })
        .collect();
    ApiVersionsResponse { api_keys, ..ApiVersionsResponse::default() }
}

/// Plays every broker that a cluster connects to; ApiVersions is answered by itself.
pub(crate) fn played(
    options: ClusterOptions,
    play: impl FnMut(u16, &Asked) -> Answer + Send + 'static,
) -> Cluster {
    let play = Arc::new(Mutex::new(play));
    let connector = Connector::by(move |target| {
        let (play, port) = (Arc::clone(&play), target.address.port);
        let (client, mut peer) = Peer::pair();
        tokio::spawn(async move {
            while let Some(asked) = peer.asked().await {
                let answer = match asked.header.api {
                    ApiKey::ApiVersions => asked.answer(&served()),
                    _ => (play.lock().unwrap())(port, &asked),
                };
                match answer {
                    Answer::Send(bytes) => peer.send(&bytes).await,
                    Answer::Later(wait, bytes) => {
                        tokio::time::sleep(wait).await;
                        peer.send(&bytes).await;
                    }
                    Answer::Silence => {}
                    Answer::Close => return,
                }
            }
        });
        std::future::ready(Ok(client))
    });
    Cluster::new("played:1", options.connector(connector)).unwrap()
}

/// Waits until it is so. For a clock that is paused: it goes on when everybody waits, and then in steps.
pub(crate) async fn eventually(reason: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(60), "not in a minute: {reason}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What becomes of a connection that is asked for.
pub(crate) enum Dial {
    Made,
    Refused,
    /// It is never made, and nothing says so.
    Silent,
}

/// The same brokers, but not each connection to them is made: `dial` is asked about each, by its port.
pub(crate) fn dialled(
    cluster: &Cluster,
    dial: impl Fn(u16) -> Dial + Send + Sync + 'static,
) -> Cluster {
    let options = cluster.options().clone();
    let connector = options.connector.clone();
    let connector = Connector::by(move |target| {
        let (connector, dial) = (connector.clone(), dial(target.address.port));
        async move {
            match dial {
                Dial::Made => connector.connect(target).await,
                Dial::Refused => Err(std::io::ErrorKind::ConnectionRefused.into()),
                Dial::Silent => std::future::pending().await,
            }
        }
    });
    Cluster::new("played:1", options.connector(connector)).unwrap()
}

/// The same brokers, which take no connections for a while.
pub(crate) fn away_for(time: Duration, cluster: &Cluster) -> Cluster {
    let back = Instant::now() + time;
    dialled(cluster, move |_| if Instant::now() < back { Dial::Refused } else { Dial::Made })
}

/// The result of a future, or nothing when it is dropped after so many polls without one.
pub(crate) async fn dropped_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        let next = std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(output) = next.await {
            return Some(output);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    None
}
