//! An answer that is awaited. Whoever goes away without it tells the shard.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;
use tokio::sync::{mpsc, oneshot};

use super::shard::Message;
use crate::coordinator::command::{Answer, Outcome, ReplyTo};

/// The answer of a shard, when it comes.
#[derive(Debug)]
pub(crate) struct Asked<A> {
    state: State,
    answer: PhantomData<fn() -> A>,
}

#[derive(Debug)]
enum State {
    Refused(ErrorCode),
    Waiting(oneshot::Receiver<Outcome>, Abandon),
    Done,
}

/// How the shard is told that nobody waits any more.
#[derive(Debug)]
pub(super) struct Abandon {
    pub(super) messages: mpsc::UnboundedSender<Message>,
    pub(super) group: Text,
    pub(super) to: ReplyTo,
}

impl<A> Asked<A> {
    /// No shard can be asked.
    pub(super) fn refused(error: ErrorCode) -> Self {
        Self { state: State::Refused(error), answer: PhantomData }
    }

    /// A shard was asked.
    pub(super) fn waiting(answer: oneshot::Receiver<Outcome>, abandon: Abandon) -> Self {
        Self { state: State::Waiting(answer, abandon), answer: PhantomData }
    }
}

impl<A: TryFrom<Answer, Error = ErrorCode>> Future for Asked<A> {
    type Output = Result<A, ErrorCode>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.state {
            State::Refused(error) => Err(*error),
            State::Waiting(answer, _) => match Pin::new(answer).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(outcome)) => outcome,
                // The shard is gone, and its answers with it.
                Poll::Ready(Err(_)) => Err(ErrorCode::NotCoordinator),
            },
            State::Done => Err(ErrorCode::UnknownServerError),
        };
        self.state = State::Done;
        Poll::Ready(outcome.and_then(A::try_from))
    }
}

impl<A> Drop for Asked<A> {
    fn drop(&mut self) {
        if let State::Waiting(_, Abandon { messages, group, to }) = &self.state {
            // A shard that is gone needs no telling.
            let _ = messages.send(Message::Abandoned { group: group.clone(), to: *to });
        }
    }
}
