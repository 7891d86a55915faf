//! The answers of one connection, standing in line in the order in which their requests came.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::reply::{BoxFuture, Reply};

/// An encoded answer: the chunks of one frame, record bytes among them as slices of the log's map.
pub(crate) type Answer = Vec<Bytes>;

/// What a chunk of an answer takes beside its bytes: its handle, its allocation.
const CHUNK_OVERHEAD: usize = 128;

/// Memory that a chunk of an answer counts for, in bytes.
pub(super) fn weight(chunk: &Bytes) -> usize {
    chunk.len() + CHUNK_OVERHEAD
}

/// What the connection does with the encoded outcome of one request.
pub(crate) type EncodedReply = Reply<Result<Answer, CloseReason>>;

/// Why a connection must end instead of being answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CloseReason(pub(crate) String);

/// A place in line.
struct Slot {
    outcome: Outcome,
    /// What the answer weighs; of the request, while there is none.
    bytes: usize,
}

enum Outcome {
    Ready(Answer),
    Waiting(BoxFuture<Result<Answer, CloseReason>>),
}

impl Slot {
    fn ready(answer: Answer) -> Self {
        Self { bytes: answer.iter().map(weight).sum(), outcome: Outcome::Ready(answer) }
    }
}

/// Answers in order; those at the head leave as soon as they are ready.
#[derive(Default)]
pub(crate) struct Line {
    slots: VecDeque<Slot>,
    /// What the slots count for.
    bytes: usize,
    waiting: usize,
    /// An exclusive reply waits at the back of the line: nothing more is served until it is done.
    barrier: bool,
}

impl Line {
    /// Takes a place at the end of the line for the outcome of a request of so many bytes.
    pub(crate) fn push(
        &mut self,
        reply: EncodedReply,
        request_bytes: usize,
    ) -> Result<(), CloseReason> {
        let slot = match reply {
            Reply::Now(answer) => Slot::ready(answer?),
            Reply::Overlapping(future) => self.waiting(future, request_bytes),
            Reply::Exclusive(future) => {
                self.barrier = true;
                self.waiting(future, request_bytes)
            }
            Reply::Silent => return Ok(()),
            Reply::Close(reason) => return Err(CloseReason(reason)),
        };
        self.bytes += slot.bytes;
        self.slots.push_back(slot);
        Ok(())
    }

    fn waiting(
        &mut self,
        future: BoxFuture<Result<Answer, CloseReason>>,
        request_bytes: usize,
    ) -> Slot {
        self.waiting += 1;
        Slot { outcome: Outcome::Waiting(future), bytes: request_bytes }
    }

    /// Memory that the line counts for, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the next request may be served: no exclusive reply waits and fewer than `most` stand in line.
    pub(crate) fn admits(&self, most: usize) -> bool {
        !self.barrier && self.slots.len() < most
    }

    /// Whether any answer is still to leave.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether some answer waits for an event.
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Polls every waiting answer, so that their waits overlap; ready when at least one has come.
    pub(crate) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let mut progressed = false;
        for slot in &mut self.slots {
            let Outcome::Waiting(future) = &mut slot.outcome else { continue };
            if let Poll::Ready(answer) = future.as_mut().poll(cx) {
                self.bytes -= slot.bytes;
                *slot = Slot::ready(answer?);
                self.bytes += slot.bytes;
                self.waiting -= 1;
                progressed = true;
            }
        }
        if self.waiting == 0 {
            self.barrier = false;
        }
        if progressed { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Takes the answer at the head of the line, if it is ready.
    pub(crate) fn pop_ready(&mut self) -> Option<Answer> {
        if !matches!(self.slots.front()?.outcome, Outcome::Ready(_)) {
            return None;
        }
        let slot = self.slots.pop_front()?;
        self.bytes -= slot.bytes;
        match slot.outcome {
            Outcome::Ready(answer) => Some(answer),
            Outcome::Waiting(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn answer(text: &'static str) -> Result<Answer, CloseReason> {
        Ok(vec![Bytes::from_static(text.as_bytes())])
    }

    fn waiting(
        receiver: oneshot::Receiver<&'static str>,
    ) -> BoxFuture<Result<Answer, CloseReason>> {
        Box::pin(async move { answer(receiver.await.unwrap()) })
    }

    async fn progress(line: &mut Line) {
        std::future::poll_fn(|cx| line.poll_waiting(cx)).await.unwrap();
    }

    #[tokio::test]
    async fn answers_leave_in_the_order_the_requests_came() {
        let mut line = Line::default();
        let (first, first_receiver) = oneshot::channel();
        let (second, second_receiver) = oneshot::channel();
        line.push(Reply::Overlapping(waiting(first_receiver)), 10).unwrap();
        line.push(Reply::Overlapping(waiting(second_receiver)), 10).unwrap();
        line.push(Reply::Now(answer("third")), 10).unwrap();
        second.send("second").unwrap();
        progress(&mut line).await;
        assert_eq!(line.pop_ready(), None, "the second must wait behind the first");
        first.send("first").unwrap();
        progress(&mut line).await;
        let order: Vec<_> = std::iter::from_fn(|| line.pop_ready()).flatten().collect();
        assert_eq!(order, ["first", "second", "third"]);
        assert!(line.is_empty());
    }

    #[tokio::test]
    async fn an_exclusive_reply_holds_back_the_requests_behind_it() {
        let mut line = Line::default();
        let (done, receiver) = oneshot::channel();
        line.push(Reply::Exclusive(waiting(receiver)), 10).unwrap();
        assert!(!line.admits(10));
        done.send("created").unwrap();
        progress(&mut line).await;
        assert!(line.admits(10));
    }

    #[tokio::test]
    async fn a_place_counts_for_its_request_and_then_for_its_answer() {
        let mut line = Line::default();
        let (done, receiver) = oneshot::channel();
        line.push(Reply::Overlapping(waiting(receiver)), 1000).unwrap();
        line.push(Reply::Now(answer("behind")), 1000).unwrap();
        assert_eq!(line.bytes(), 1000 + 6 + CHUNK_OVERHEAD);
        done.send("four").unwrap();
        progress(&mut line).await;
        assert_eq!(line.bytes(), 4 + 6 + 2 * CHUNK_OVERHEAD);
        while line.pop_ready().is_some() {}
        assert_eq!(line.bytes(), 0);
    }

    #[test]
    fn a_full_line_admits_nothing_and_silence_takes_no_place() {
        let mut line = Line::default();
        line.push(Reply::Silent, 10).unwrap();
        assert!(line.is_empty());
        line.push(Reply::Now(answer("a")), 10).unwrap();
        assert!(line.admits(2) && !line.admits(1));
    }

    #[test]
    fn a_close_reason_ends_the_connection() {
        let mut line = Line::default();
        assert_eq!(line.push(Reply::Close("why".into()), 10), Err(CloseReason("why".into())));
    }
}
