//! One connection on one task: it reads frames, has them served in order, and writes the answers in
//! that order. All complete frames of a read are served before anything is written, so their answers
//! leave together; an answer that waits keeps its place in [`Line`] while later requests are served.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use duramen_protocol::frame::FrameError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::budget::{ByteBudget, Grant};
use super::inbox::Inbox;
use super::line::{Answer, CloseReason, EncodedReply, Line, weight};
use super::vigil::{Seen, Vigil};

/// How long a connection that is to be closed waits for its last answers to be ready and taken.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// Chunks handed to one `writev`; Linux takes up to 1,024, and more than this gains nothing.
const IO_SLICES: usize = 64;

/// What one connection may have in flight without a share of the broker's budget, in bytes.
const FREE_BYTES: usize = 256 * 1024;
/// What it then takes of the budget at a time, in bytes.
const GRANT_BYTES: usize = 1024 * 1024;

/// The bounds within which a connection lives.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Largest frame, in bytes after the length prefix (`socket.request.max.bytes`).
    pub(crate) frame_bytes_max: usize,
    /// Requests of one connection that may stand in line at once.
    pub(crate) in_flight_max: usize,
    /// Bytes of requests without an answer, and of answers that a slow reader has not taken, above
    /// which no further request is served.
    pub(crate) in_flight_bytes_max: usize,
    /// A connection that moves no byte for this long is closed (`connections.max.idle.ms`).
    pub(crate) idle: Duration,
    /// A frame that was begun must be complete within this time, plus what a slow link needs.
    pub(crate) frame_deadline: Duration,
}

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The peer closed it between two frames.
    ByPeer,
    /// The peer closed it in the middle of a frame.
    CutOff,
    /// The broker stops; everything that was in flight has been answered.
    Stopped,
    /// No byte moved for the idle time.
    Idle,
    /// A frame was begun and not finished in time.
    Stalled,
    /// Answers were not taken for the idle time, or a byte now and then.
    NotTaken,
    /// The bytes are no Kafka frames.
    Framing(FrameError),
    /// A request that can't be answered on the wire (undecodable, unsupported, failed `acks=0`).
    Refused(CloseReason),
    /// The socket failed.
    Io(io::Error),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByPeer => f.write_str("closed by peer"),
            Self::CutOff => f.write_str("closed by peer in the middle of a frame"),
            Self::Stopped => f.write_str("broker stopping"),
            Self::Idle => f.write_str("idle for connections.max.idle.ms"),
            Self::Stalled => f.write_str("a frame was begun and not finished in time"),
            Self::NotTaken => f.write_str("answers were not taken in connections.max.idle.ms"),
            Self::Framing(error) => write!(f, "{error}"),
            Self::Refused(CloseReason(reason)) => f.write_str(reason),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl From<CloseReason> for Ended {
    fn from(reason: CloseReason) -> Self {
        Self::Refused(reason)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Serves one connection until it ends, and says why it ended.
///
/// `serve` turns a frame (without its length prefix) into the encoded reply; it runs on this task.
pub(crate) async fn run<S, F>(
    stream: S,
    limits: &Limits,
    budget: &ByteBudget,
    stop: &CancellationToken,
    mut serve: F,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: FnMut(Bytes) -> EncodedReply,
{
    let mut connection = Connection {
        stream,
        limits,
        budget,
        inbox: Inbox::default(),
        next: None,
        line: Line::default(),
        outbox: Outbox::default(),
        grant: Grant::default(),
        closing: None,
    };
    let mut vigil = Vigil::new(limits.idle, limits.frame_deadline);
    let mut tick = std::pin::pin!(tokio::time::sleep(vigil.period()));
    let mut close = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
    // Made once: asking anew in each round took a lock each time.
    let mut stopped = std::pin::pin!(stop.cancelled());
    loop {
        let was_open = connection.closing.is_none();
        connection.serve_frames(&mut serve);
        if connection.closing.is_some() && was_open {
            close.as_mut().reset(tokio::time::Instant::now() + LAST_ANSWERS);
        }
        if let Some(ended) = connection.closed() {
            return ended;
        }
        let wanted = connection.inbox.budget_wanted();
        let outcome = tokio::select! {
            biased;
            outcome = std::future::poll_fn(|cx| connection.poll_event(cx)) => outcome,
            grant = budget.take(wanted.unwrap_or_default()), if wanted.is_some() => {
                connection.inbox.grant(grant);
                Ok(())
            }
            () = &mut tick => {
                tick.as_mut().reset(tokio::time::Instant::now() + vigil.period());
                connection.tick(&mut vigil)
            }
            () = &mut stopped, if connection.closing.is_none() => {
                close.as_mut().reset(tokio::time::Instant::now() + LAST_ANSWERS);
                connection.closing = Some(Ended::Stopped);
                Ok(())
            }
            () = &mut close, if connection.closing.is_some() => {
                Err(connection.closing.take().unwrap_or(Ended::Stopped))
            }
        };
        if let Err(ended) = outcome {
            return ended;
        }
    }
}

struct Connection<'a, S> {
    stream: S,
    limits: &'a Limits,
    budget: &'a ByteBudget,
    inbox: Inbox,
    /// A frame that is here and for which there was no room yet.
    next: Option<Bytes>,
    line: Line,
    outbox: Outbox,
    /// Budget for what is in flight beyond [`FREE_BYTES`].
    grant: Grant,
    /// Why nothing more is served: the connection ends once the answers before that have left.
    closing: Option<Ended>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    /// Serves every complete frame that is here and for which there is room in line.
    fn serve_frames(&mut self, serve: &mut impl FnMut(Bytes) -> EncodedReply) {
        self.collect_answers();
        if self.in_flight_bytes() == 0 {
            self.grant = Grant::default();
        }
        while self.admits() {
            match self.serve_frame(serve) {
                Ok(true) => self.collect_answers(),
                Ok(false) => return,
                Err(ended) => self.closing = Some(ended),
            }
        }
    }

    /// Serves the frame at the front; false when it is not all here, or must wait for room.
    fn serve_frame(
        &mut self,
        serve: &mut impl FnMut(Bytes) -> EncodedReply,
    ) -> Result<bool, Ended> {
        if self.next.is_none() {
            let frame = self.inbox.next_frame(self.limits.frame_bytes_max);
            self.next = frame.map_err(Ended::Framing)?;
        }
        if self.next.is_none() || !self.has_room() {
            return Ok(false);
        }
        let Some(frame) = self.next.take() else { return Ok(false) };
        let request_bytes = frame.len();
        self.line.push(serve(frame), request_bytes)?;
        Ok(true)
    }

    /// Whether what is in flight is within what the connection may hold, or can be given now. If
    /// not, there is something in flight, and its end asks again.
    fn has_room(&mut self) -> bool {
        let allowed = FREE_BYTES + self.grant.bytes();
        let Some(over) = self.in_flight_bytes().checked_sub(allowed) else { return true };
        match self.budget.try_take(over.max(GRANT_BYTES)) {
            Some(more) => self.grant.add(more),
            None => return false,
        }
        true
    }

    fn in_flight_bytes(&self) -> usize {
        self.line.bytes() + self.outbox.bytes
    }

    /// Why the connection has ended, once its last answer has left.
    fn closed(&mut self) -> Option<Ended> {
        if self.line.is_empty() && self.outbox.is_empty() { self.closing.take() } else { None }
    }

    fn admits(&self) -> bool {
        self.closing.is_none()
            && self.line.admits(self.limits.in_flight_max)
            && self.in_flight_bytes() < self.limits.in_flight_bytes_max
    }

    fn may_read(&self) -> bool {
        self.next.is_none() && self.admits()
    }

    fn collect_answers(&mut self) {
        while let Some(answer) = self.line.pop_ready() {
            self.outbox.push(answer);
        }
    }

    /// Does the first of: write, take an answer that has come, read. Pending when none can be done.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        if !self.outbox.is_empty()
            && let Poll::Ready(written) = self.outbox.poll_write(&mut self.stream, cx)
        {
            return Poll::Ready(written.map_err(Ended::Io));
        }
        if self.line.has_waiting()
            && let Poll::Ready(answered) = self.line.poll_waiting(cx)
        {
            return Poll::Ready(answered.map_err(Ended::Refused));
        }
        if self.may_read() && self.inbox.budget_wanted().is_none() {
            let read = ready!(self.inbox.poll_read(&mut self.stream, cx)).map_err(Ended::Io)?;
            return Poll::Ready(match read {
                0 if self.inbox.is_empty() => Err(Ended::ByPeer),
                0 => Err(Ended::CutOff),
                _ => Ok(()),
            });
        }
        Poll::Pending
    }

    fn tick(&mut self, vigil: &mut Vigil) -> Result<(), Ended> {
        // A frame that we refuse to read on is not the peer's fault: its age stands still.
        let frame_bytes = if self.may_read() { self.inbox.len() } else { 0 };
        self.inbox.shrink();
        vigil.tick(Seen {
            read: self.inbox.bytes_read,
            frames: self.inbox.frames,
            frame_bytes,
            written: self.outbox.bytes_written,
            drained: self.outbox.drained,
            answers_left: !self.outbox.is_empty(),
        })
    }
}

/// Answers on their way to the socket.
#[derive(Default)]
struct Outbox {
    chunks: VecDeque<Bytes>,
    /// What the chunks weigh.
    bytes: usize,
    bytes_written: u64,
    /// How often all of them had left.
    drained: u64,
}

impl Outbox {
    fn push(&mut self, answer: Answer) {
        for chunk in answer.into_iter().filter(|chunk| !chunk.is_empty()) {
            self.bytes += weight(&chunk);
            self.chunks.push_back(chunk);
        }
    }

    fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    fn poll_write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); IO_SLICES];
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        let slices = slices.get(..count).unwrap_or_default();
        let written = ready!(Pin::new(stream).poll_write_vectored(cx, slices))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes_written += written as u64;
        while let Some(chunk) = self.chunks.front_mut() {
            if chunk.len() > written {
                chunk.advance(written);
                self.bytes -= written;
                return;
            }
            written -= chunk.len();
            self.bytes -= weight(chunk);
            self.chunks.pop_front();
        }
        self.drained += 1;
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
