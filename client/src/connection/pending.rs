//! A call on its way: a future of the decoded answer.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use duramen_protocol::error::{DecodeError, ErrorCode};
use duramen_protocol::header::ResponseHeader;
use duramen_protocol::messages::{ApiVersionsResponse, Message};
use duramen_protocol::primitives::Decoder;

use super::error::{CallError, ConnectionError};
use super::reply::Awaited;

/// The answer to a request that is already queued. Dropping it does not take the request back; the
/// answer is thrown away then.
#[derive(Debug)]
#[must_use = "an answer is read by awaiting it"]
pub struct Pending<M> {
    answer: Awaited,
    version: i16,
    ended: Arc<OnceLock<ConnectionError>>,
    message: PhantomData<fn() -> M>,
}

impl<M: Message> Pending<M> {
    pub(super) fn new(
        answer: Awaited,
        version: i16,
        ended: Arc<OnceLock<ConnectionError>>,
    ) -> Self {
        Self { answer, version, ended, message: PhantomData }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, CallError>> {
        let frame = match ready!(Pin::new(&mut self.answer).poll(cx)) {
            Some(frame) => frame.map_err(CallError::Connection),
            // The task ended without a word, as when its runtime shut down.
            None => Err(self.ended.get().cloned().unwrap_or(ConnectionError::Dropped).into()),
        };
        Poll::Ready(frame)
    }

    /// The answer in the place of a former one, whose memory it takes; that is lost with an error.
    pub(crate) fn poll_over(
        &mut self,
        cx: &mut Context<'_>,
        former: &mut M,
    ) -> Poll<Result<(), CallError>> {
        let frame = ready!(self.poll_frame(cx))?;
        let mut body = body::<M>(frame, self.version)?;
        Poll::Ready(Ok(former.decode_over(&mut body, self.version)?))
    }
}

impl Pending<ApiVersionsResponse> {
    /// The answer to ApiVersions: a refusal of the version comes in the form of version 0.
    pub(super) async fn api_versions(mut self) -> Result<ApiVersionsResponse, CallError> {
        let frame = std::future::poll_fn(|cx| self.poll_frame(cx)).await?;
        // Behind the correlation id, every version begins with the error code.
        let refusal = ErrorCode::UnsupportedVersion.code().to_be_bytes();
        let version = if frame.get(4..6) == Some(&refusal[..]) { 0 } else { self.version };
        Ok(decode(frame, version)?)
    }
}

impl<M: Message> Future for Pending<M> {
    type Output = Result<M, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let frame = ready!(self.poll_frame(cx))?;
        Poll::Ready(Ok(decode(frame, self.version)?))
    }
}

fn decode<M: Message>(frame: Bytes, version: i16) -> Result<M, DecodeError> {
    M::decode(&mut body::<M>(frame, version)?, version)
}

/// What follows the header.
fn body<M: Message>(frame: Bytes, version: i16) -> Result<Decoder, DecodeError> {
    let mut decoder = Decoder::new(frame);
    ResponseHeader::decode(&mut decoder, M::KEY, version).map_err(|kind| DecodeError {
        api: M::KEY,
        version,
        field: "header",
        kind,
    })?;
    Ok(decoder)
}
