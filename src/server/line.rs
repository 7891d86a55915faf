//! The answers of one connection, standing in line in the order in which their requests came.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::reply::{BoxFuture, Reply};

/// An encoded answer: the chunks of one frame, record bytes among them as slices of the log's map.
pub(crate) type Answer = Vec<Bytes>;

/// What the connection does with the encoded outcome of one request.
pub(crate) type EncodedReply = Reply<Result<Answer, CloseReason>>;

/// Why a connection must end instead of being answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CloseReason(pub(crate) String);

enum Slot {
    Ready(Answer),
    Waiting(BoxFuture<Result<Answer, CloseReason>>),
}

/// Answers in order; those at the head leave as soon as they are ready.
#[derive(Default)]
pub(crate) struct Line {
    slots: VecDeque<Slot>,
    waiting: usize,
    /// An exclusive reply waits at the back of the line: nothing more is served until it is done.
    barrier: bool,
}

impl Line {
    /// Takes a place at the end of the line for the outcome of a request.
    pub(crate) fn push(&mut self, reply: EncodedReply) -> Result<(), CloseReason> {
        match reply {
            Reply::Now(answer) => self.slots.push_back(Slot::Ready(answer?)),
            Reply::Overlapping(future) => {
                self.waiting += 1;
                self.slots.push_back(Slot::Waiting(future));
            }
            Reply::Exclusive(future) => {
                self.waiting += 1;
                self.barrier = true;
                self.slots.push_back(Slot::Waiting(future));
            }
            Reply::Silent => {}
            Reply::Close(reason) => return Err(CloseReason(reason)),
        }
        Ok(())
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
            let Slot::Waiting(future) = slot else { continue };
            if let Poll::Ready(answer) = future.as_mut().poll(cx) {
                *slot = Slot::Ready(answer?);
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
        match self.slots.front() {
            Some(Slot::Ready(_)) => match self.slots.pop_front() {
                Some(Slot::Ready(answer)) => Some(answer),
                _ => None,
            },
            _ => None,
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
        line.push(Reply::Overlapping(waiting(first_receiver))).unwrap();
        line.push(Reply::Overlapping(waiting(second_receiver))).unwrap();
        line.push(Reply::Now(answer("third"))).unwrap();
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
        line.push(Reply::Exclusive(waiting(receiver))).unwrap();
        assert!(!line.admits(10));
        done.send("created").unwrap();
        progress(&mut line).await;
        assert!(line.admits(10));
    }

    #[test]
    fn a_full_line_admits_nothing_and_silence_takes_no_place() {
        let mut line = Line::default();
        line.push(Reply::Silent).unwrap();
        assert!(line.is_empty());
        line.push(Reply::Now(answer("a"))).unwrap();
        assert!(line.admits(2) && !line.admits(1));
    }

    #[test]
    fn a_close_reason_ends_the_connection() {
        let mut line = Line::default();
        assert_eq!(line.push(Reply::Close("why".into())), Err(CloseReason("why".into())));
    }
}
