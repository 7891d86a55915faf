//! What a handler gives back: an answer that is ready, or one that must wait for something.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// A boxed future that a connection polls on its own task.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The outcome of serving one request.
///
/// A connection answers in the order in which requests came, so a reply that waits keeps its place
/// in line. Produce and fetch may wait side by side; anything else holds back the requests behind
/// it, because a client that pipelines `CreateTopics` and `Produce` expects them in that order.
pub(crate) enum Reply<R> {
    /// Ready now: no task, channel or allocation stood between the request and this answer.
    Now(R),
    /// Waits while later requests of the connection are served.
    Overlapping(BoxFuture<R>),
    /// Waits, and the connection serves nothing more until it is done.
    Exclusive(BoxFuture<R>),
    /// Nothing is sent (`acks=0`).
    Silent,
    /// The connection is closed, for the reason given (the only way to tell an `acks=0` producer).
    Close(String),
}

impl<R: Send + 'static> Reply<R> {
    /// A reply whose future may touch shared state: later requests wait behind it.
    pub(crate) fn exclusive(future: impl Future<Output = R> + Send + 'static) -> Self {
        Self::Exclusive(Box::pin(future))
    }

    /// A reply that only waits (for an offset, for bytes): later requests are served meanwhile.
    pub(crate) fn overlapping(future: impl Future<Output = R> + Send + 'static) -> Self {
        Self::Overlapping(Box::pin(future))
    }

    /// Applies `f` to the answer, now or when it comes.
    pub(crate) fn map<T, F>(self, f: F) -> Reply<T>
    where
        F: FnOnce(R) -> T + Send + 'static,
    {
        match self {
            Self::Now(answer) => Reply::Now(f(answer)),
            Self::Overlapping(future) => {
                Reply::Overlapping(Box::pin(async move { f(future.await) }))
            }
            Self::Exclusive(future) => Reply::Exclusive(Box::pin(async move { f(future.await) })),
            Self::Silent => Reply::Silent,
            Self::Close(reason) => Reply::Close(reason),
        }
    }
}

impl<R: fmt::Debug> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(answer) => f.debug_tuple("Now").field(answer).finish(),
            Self::Overlapping(_) => f.write_str("Overlapping(..)"),
            Self::Exclusive(_) => f.write_str("Exclusive(..)"),
            Self::Silent => f.write_str("Silent"),
            Self::Close(reason) => f.debug_tuple("Close").field(reason).finish(),
        }
    }
}
