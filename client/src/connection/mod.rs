//! One connection to one broker: pipelined calls over any byte stream.
//!
//! Calls may be made from many tasks; their requests leave in the order in which they were begun, and
//! answers come back in that order (Kafka guarantees it). One task owns the stream (`driver.rs`). The
//! first fault ends the connection as a whole: every waiting call gets the reason, and so does every
//! later one; a broken connection is replaced, never mended.

mod chunks;
mod driver;
mod error;
mod frames;
mod pending;
mod reply;
mod versions;

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use duramen_protocol::api::ApiKey;
use duramen_protocol::error::{DecodeError, ErrorCode};
use duramen_protocol::frame;
use duramen_protocol::header::{RequestHeader, ResponseHeader};
use duramen_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, Message, Request};
use duramen_protocol::primitives::{Arena, Decoder};
use duramen_protocol::text::Text;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

pub use error::{CallError, ConnectionError};
pub use pending::Pending;
pub use versions::BrokerVersions;

use crate::error::{ClientError, at_least, not_zero};
use crate::metrics::Meter;
use crate::setters::setters;
use driver::{Command, Driver, Queue};
use reply::{Places, Reply};

/// Requests that may wait in the queue of a connection, beside those in flight.
const QUEUE_REQUESTS: usize = 128;

/// Memory that many small requests share, in bytes, and what is left of it when there is new.
const ARENA: usize = 16 * 1024;
const ARENA_LEFT: usize = 1024;

/// How a connection behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// Who this client says it is (`client.id`), for the broker's logs and quotas.
    pub client_id: Text,
    /// How long an answer may take, where a call does not say otherwise.
    pub request_timeout: Duration,
    /// The largest answer taken, in bytes.
    pub max_response_bytes: usize,
    /// Requests sent ahead of their answers.
    pub max_in_flight: usize,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            client_id: Text::from("duramen-client"),
            request_timeout: Duration::from_secs(30),
            max_response_bytes: 128 * 1024 * 1024,
            max_in_flight: 64,
        }
    }
}

setters! { ConnectionOptions {
    client_id: impl Into<Text>,
    request_timeout: Duration,
    max_response_bytes: usize,
    max_in_flight: usize,
} }

impl ConnectionOptions {
    /// Whether these can hold; whoever connects with them looks, too.
    ///
    /// # Errors
    /// [`ClientError::Options`] with the first that does not.
    pub fn check(&self) -> Result<(), ClientError> {
        let millisecond = Duration::from_millis(1);
        at_least("request_timeout (request.timeout.ms)", self.request_timeout, millisecond)?;
        not_zero("max_response_bytes", self.max_response_bytes)?;
        not_zero("max_in_flight", self.max_in_flight)
    }
}

/// A handle; clones share the connection, and it closes when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    commands: mpsc::Sender<Command>,
    next_correlation_id: AtomicI32,
    versions: OnceLock<BrokerVersions>,
    ended: Arc<OnceLock<ConnectionError>>,
    options: ConnectionOptions,
    /// Where requests are written, but for record batches and what is long.
    arena: Arc<Mutex<Arena>>,
    /// Where answers are waited for.
    places: Arc<Places>,
}

impl Connection {
    /// Takes over a stream. Must be called within a tokio runtime, on which the connection's task runs.
    ///
    /// # Errors
    /// [`ClientError::Options`] when the options do not hold.
    pub fn start<S>(stream: S, options: ConnectionOptions) -> Result<Self, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        options.check()?;
        Ok(Self::start_metered(stream, options, Arc::default()))
    }

    /// [`Connection::start`] with options that were looked at, counted.
    pub(crate) fn start_metered<S>(stream: S, options: ConnectionOptions, meter: Arc<Meter>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, commands) = mpsc::channel(QUEUE_REQUESTS);
        let ended = Arc::new(OnceLock::new());
        let max_in_flight = options.max_in_flight;
        let max_frame = options.max_response_bytes;
        let arena = Arc::<Mutex<Arena>>::default();
        let queue = Queue { commands, max_in_flight, arena: Arc::clone(&arena) };
        let driver = Driver::new(stream, queue, max_frame, meter);
        tokio::spawn(driver.run(Arc::clone(&ended)));
        let inner = Inner {
            commands: sender,
            next_correlation_id: AtomicI32::new(0),
            versions: OnceLock::new(),
            ended,
            options,
            arena,
            places: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Asks the broker what it speaks. Needed before [`Connection::call`]; once is enough.
    ///
    /// # Errors
    /// When the connection ends, or the broker speaks no version of ApiVersions that this client does.
    pub async fn negotiate(&self) -> Result<&BrokerVersions, CallError> {
        if let Some(versions) = self.inner.versions.get() {
            return Ok(versions);
        }
        let mut version = ApiVersionsRequest::VERSIONS.max;
        let response = loop {
            let response = self.ask_versions(version).await?;
            if response.error_code != ErrorCode::UnsupportedVersion.code() {
                break response;
            }
            // The refusal came in version 0 and names the broker's range (KIP-511); older brokers
            // leave the list empty and speak version 0.
            let theirs = BrokerVersions::from_response(&response);
            let lower = theirs.of(ApiVersionsRequest::KEY).map_or(0, |range| range.max);
            if lower >= version {
                return Err(CallError::Unsupported {
                    api: ApiVersionsRequest::KEY,
                    ours: ApiVersionsRequest::VERSIONS,
                    theirs: theirs.of(ApiVersionsRequest::KEY),
                });
            }
            version = lower.max(0);
        };
        Ok(self.inner.versions.get_or_init(|| BrokerVersions::from_response(&response)))
    }

    async fn ask_versions(&self, version: i16) -> Result<ApiVersionsResponse, CallError> {
        let request = ApiVersionsRequest {
            client_software_name: Text::from("duramen-client"),
            client_software_version: Text::from(env!("CARGO_PKG_VERSION")),
        };
        let timeout = self.inner.options.request_timeout;
        let pending: Pending<ApiVersionsResponse> = self.send(version, &request, timeout).await?;
        pending.api_versions().await
    }

    /// What the broker speaks; empty before [`Connection::negotiate`].
    #[must_use]
    pub fn versions(&self) -> Option<&BrokerVersions> {
        self.inner.versions.get()
    }

    /// The version in which `R` is sent here, not above `cap`.
    ///
    /// # Errors
    /// [`CallError::Unsupported`] when the broker and this client share none.
    pub fn version_of<R: Request>(&self, cap: i16) -> Result<i16, CallError> {
        match self.inner.versions.get() {
            Some(versions) => versions.pick::<R>(cap),
            None => BrokerVersions::default().pick::<R>(cap),
        }
    }

    /// Sends a request in the newest version both sides speak, and waits for its answer.
    ///
    /// # Errors
    /// When there is no such version, the connection ends, or the answer can't be read.
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, CallError> {
        let version = self.version_of::<R>(i16::MAX)?;
        self.call_version(version, request, self.inner.options.request_timeout).await
    }

    /// [`Connection::call`] in a given version and with a given deadline.
    ///
    /// # Errors
    /// As [`Connection::call`]; a missed deadline ends the whole connection.
    pub async fn call_version<R: Request>(
        &self,
        version: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, CallError> {
        self.send(version, request, timeout).await?.await
    }

    /// Queues a request without waiting: requests begun one after another leave in that order.
    ///
    /// # Errors
    /// [`CallError::Busy`] when the queue is full; otherwise as [`Connection::call`].
    pub fn begin<R: Request>(
        &self,
        version: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<Pending<R::Response>, CallError> {
        let (reply, answer) = self.inner.places.take();
        let command = self.command(version, request, timeout, Some(reply))?;
        self.try_enqueue(command)?;
        Ok(Pending::new(answer, version, Arc::clone(&self.inner.ended)))
    }

    /// Queues a request that has no answer (Produce with acks=0).
    ///
    /// # Errors
    /// As [`Connection::begin`].
    pub fn begin_unanswered<R: Request>(&self, version: i16, request: &R) -> Result<(), CallError> {
        let command = self.command(version, request, self.inner.options.request_timeout, None)?;
        self.try_enqueue(command)
    }

    /// Sends the bytes of a request and waits for those of its answer, both without their headers: for APIs
    /// that this crate has no messages for, as SaslHandshake and SaslAuthenticate.
    ///
    /// # Errors
    /// When the connection ends, or the answer has no header.
    pub async fn exchange(
        &self,
        api: ApiKey,
        version: i16,
        body: &[u8],
    ) -> Result<Bytes, CallError> {
        let correlation_id = self.inner.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let client_id = Some(self.inner.options.client_id.clone());
        let header = RequestHeader { api, version, correlation_id, client_id };
        let frame = frame::raw_request(&header, body)?.into_vec();
        let (reply, answer) = self.inner.places.take();
        let timeout = self.inner.options.request_timeout;
        let command = Command { frame, correlation_id, api, timeout, reply: Some(reply) };
        self.inner.commands.send(command).await.map_err(|_| self.reason())?;
        let mut frame = Decoder::new(answer.await.ok_or_else(|| self.reason())??);
        let cut = |kind| DecodeError { api, version, field: "header", kind };
        ResponseHeader::decode(&mut frame, api, version).map_err(cut)?;
        let left = frame.remaining();
        Ok(frame.take(left).map_err(cut)?)
    }

    /// Why the connection ended, once it has.
    #[must_use]
    pub fn ended(&self) -> Option<ConnectionError> {
        self.inner.ended.get().cloned()
    }

    /// Waits until the connection has ended.
    pub async fn closed(&self) -> ConnectionError {
        self.inner.commands.closed().await;
        self.reason()
    }

    async fn send<R: Request>(
        &self,
        version: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<Pending<R::Response>, CallError> {
        let (reply, answer) = self.inner.places.take();
        let command = self.command(version, request, timeout, Some(reply))?;
        self.inner.commands.send(command).await.map_err(|_| self.reason())?;
        Ok(Pending::new(answer, version, Arc::clone(&self.inner.ended)))
    }

    fn try_enqueue(&self, command: Command) -> Result<(), CallError> {
        self.inner.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CallError::Busy,
            mpsc::error::TrySendError::Closed(_) => CallError::Connection(self.reason()),
        })
    }

    fn command<R: Request>(
        &self,
        version: i16,
        request: &R,
        timeout: Duration,
        reply: Option<Reply>,
    ) -> Result<Command, CallError> {
        let correlation_id = self.inner.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let client_id = Some(self.inner.options.client_id.clone());
        let mut arena = self.inner.arena.lock().unwrap_or_else(PoisonError::into_inner);
        if arena.bytes.capacity() < ARENA_LEFT {
            arena.bytes = BytesMut::with_capacity(ARENA);
        }
        let frame = frame::request_within(&mut arena, version, correlation_id, client_id, request)?;
        drop(arena);
        let frame = frame.into_vec();
        Ok(Command { frame, correlation_id, api: R::KEY, timeout, reply })
    }

    fn reason(&self) -> ConnectionError {
        self.ended().unwrap_or(ConnectionError::Dropped)
    }
}

#[cfg(test)]
mod tests;
