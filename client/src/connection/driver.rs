//! The one task of a connection: it writes queued requests, many per system call, reads answers,
//! hands each to the call that waits for it, and ends the whole connection at the first fault.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use duramen_protocol::api::ApiKey;
use duramen_protocol::primitives::Arena;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::io::{poll_read_buf, poll_write_buf};

use super::chunks::WriteQueue;
use super::error::ConnectionError;
use super::frames::FrameBuffer;
use super::reply::Reply;
use crate::metrics::Meter;

/// Bytes queued for the socket above which no further request is taken from the queue.
const WRITE_QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// Rounds of work in one poll, so that a busy connection does not hold its worker thread.
const ROUNDS_PER_POLL: usize = 16;
/// How far away the timer stands while nothing waits.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// What a call hands to the task.
#[derive(Debug)]
pub(super) struct Command {
    /// The whole frame, length first.
    pub(super) frame: Vec<Bytes>,
    /// The number that the answer repeats.
    pub(super) correlation_id: i32,
    /// For messages only.
    pub(super) api: ApiKey,
    /// How long an answer may take from the moment the request is taken up.
    pub(super) timeout: Duration,
    /// Where the answer goes; `None` when there is none (produce with acks=0).
    pub(super) reply: Option<Reply>,
}

/// Where the commands come from.
pub(super) struct Queue {
    pub(super) commands: mpsc::Receiver<Command>,
    /// Requests taken up at once; more wait in the queue.
    pub(super) max_in_flight: usize,
    /// Where their frames are made.
    pub(super) arena: Arc<Mutex<Arena>>,
}

struct Waiting {
    correlation_id: i32,
    api: ApiKey,
    timeout: Duration,
    began: Instant,
    deadline: Instant,
    reply: Reply,
}

/// The state of the task.
pub(super) struct Driver<S> {
    stream: S,
    queue: Queue,
    writing: WriteQueue,
    unflushed: bool,
    waiting: VecDeque<Waiting>,
    frames: FrameBuffer,
    timer: Pin<Box<Sleep>>,
    /// No handle is left: what is queued is written, then the stream ends.
    closing: bool,
    meter: Arc<Meter>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(super) fn new(stream: S, queue: Queue, max_frame: usize, meter: Arc<Meter>) -> Self {
        Self {
            stream,
            queue,
            writing: WriteQueue::default(),
            unflushed: false,
            waiting: VecDeque::new(),
            frames: FrameBuffer::new(max_frame),
            timer: Box::pin(sleep_until(Instant::now() + FAR)),
            closing: false,
            meter,
        }
    }

    /// Works until the stream breaks or no handle is left; then every call gets the reason.
    pub(super) async fn run(mut self, ended: Arc<OnceLock<ConnectionError>>) {
        let reason = poll_fn(|cx| self.poll(cx)).await;
        if !matches!(reason, ConnectionError::Dropped) {
            self.meter.connections_broken.add(1);
        }
        // The reason is set before the queue closes: a call that finds it closed also finds why.
        let _ = ended.set(reason.clone());
        self.queue.commands.close();
        for waiting in self.waiting.drain(..) {
            waiting.reply.send(Err(reason.clone()));
        }
        while let Some(command) = self.queue.commands.recv().await {
            if let Some(reply) = command.reply {
                reply.send(Err(reason.clone()));
            }
        }
        let _ = poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionError> {
        for _ in 0..ROUNDS_PER_POLL {
            let took = self.poll_commands(cx);
            let wrote = match self.poll_write(cx) {
                Ok(wrote) => wrote,
                Err(error) => return Poll::Ready(error.into()),
            };
            let read = match self.poll_read(cx) {
                Ok(read) => read,
                Err(error) => return Poll::Ready(error),
            };
            if let Some(error) = self.poll_deadline(cx) {
                return Poll::Ready(error);
            }
            if self.is_done() {
                return Poll::Ready(ConnectionError::Dropped);
            }
            if !(took || wrote || read) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Every handle is gone, all is written, and nobody listens for an answer.
    fn is_done(&self) -> bool {
        self.closing
            && self.writing.is_empty()
            && !self.unflushed
            && self.waiting.iter().all(|waiting| waiting.reply.is_closed())
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>) -> bool {
        let mut took = false;
        while !self.closing
            && self.waiting.len() < self.queue.max_in_flight
            && self.writing.bytes() < WRITE_QUEUE_BYTES
        {
            match self.queue.commands.poll_recv(cx) {
                Poll::Ready(Some(command)) => self.take_up(command),
                Poll::Ready(None) => self.closing = true,
                Poll::Pending => break,
            }
            took = true;
        }
        took
    }

    fn take_up(&mut self, command: Command) {
        let Command { mut frame, correlation_id, api, timeout, reply } = command;
        // A call that was given up before it was written need not be written at all.
        if reply.as_ref().is_some_and(Reply::is_closed) {
            return;
        }
        self.writing.push(&mut frame);
        self.queue.arena.lock().unwrap_or_else(PoisonError::into_inner).keep(frame);
        self.meter.requests.add(1);
        let Some(reply) = reply else { return };
        let began = Instant::now();
        let deadline = began + timeout;
        if self.waiting.is_empty() || deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
        self.waiting.push_back(Waiting { correlation_id, api, timeout, began, deadline, reply });
    }

    /// Writes what the stream takes; true when something went out.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut wrote = false;
        while !self.writing.is_empty() {
            let bytes = match poll_write_buf(Pin::new(&mut self.stream), cx, &mut self.writing) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(result) => result?,
                Poll::Pending => return Ok(wrote),
            };
            self.meter.bytes_out.add(u64::try_from(bytes).unwrap_or(u64::MAX));
            self.unflushed = true;
            wrote = true;
        }
        if self.unflushed
            && let Poll::Ready(result) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            result?;
            self.unflushed = false;
        }
        Ok(wrote)
    }

    /// Reads what has come and hands out whole answers; true when there was something.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, ConnectionError> {
        match self.poll_fill(cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(result) => {
                result?;
                while let Some(frame) = self.frames.next_frame()? {
                    self.hand_out(frame)?;
                }
                Ok(true)
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        let room = self.frames.room()?;
        match ready!(poll_read_buf(Pin::new(&mut self.stream), cx, room))? {
            0 => Poll::Ready(Err(ConnectionError::Closed)),
            bytes => {
                self.meter.bytes_in.add(u64::try_from(bytes).unwrap_or(u64::MAX));
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Kafka answers the requests of a connection in their order, so only the oldest may be next.
    fn hand_out(&mut self, frame: Bytes) -> Result<(), ConnectionError> {
        let len = frame.len();
        let got = (&frame[..]).try_get_i32().map_err(|_| ConnectionError::Short(len))?;
        let oldest = self.waiting.front().map(|waiting| waiting.correlation_id);
        if oldest != Some(got) {
            return Err(ConnectionError::OutOfOrder { expected: oldest, got });
        }
        if let Some(waiting) = self.waiting.pop_front() {
            let took = waiting.began.elapsed().as_micros();
            self.meter.answers.add(1);
            self.meter.answer_micros.add(u64::try_from(took).unwrap_or(u64::MAX));
            // The caller may have given up; its answer is dropped then.
            waiting.reply.send(Ok(frame));
        }
        Ok(())
    }

    /// The timer stands at the earliest deadline or before it; it is set anew when it was early.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Option<ConnectionError> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let earliest = self.waiting.iter().min_by_key(|waiting| waiting.deadline);
            match earliest {
                Some(late) if late.deadline <= now => {
                    return Some(ConnectionError::Timeout { api: late.api, after: late.timeout });
                }
                Some(next) => self.timer.as_mut().reset(next.deadline),
                None => self.timer.as_mut().reset(now + FAR),
            }
        }
        None
    }
}
