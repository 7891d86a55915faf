//! One broker as the sender sees it: its connection, what is in flight there, and when to try again.

use std::task::{Context, Poll};

use duramen_protocol::messages::ProduceResponse;
use tokio::time::Instant;

use super::request::Part;
use crate::connection::{CallError, Connection, Pending};

/// See the top of the file.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) connection: Option<Connection>,
    pub(super) connecting: bool,
    /// No request before this: after a failure, or when a quota says so.
    pub(super) not_before: Option<Instant>,
    pub(super) failures: u32,
    in_flight: Vec<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    parts: Vec<Part>,
    pending: Pending<ProduceResponse>,
}

/// An answered request.
pub(super) type Answered = (Vec<Part>, Result<ProduceResponse, CallError>);

impl Lane {
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn sent(&mut self, parts: Vec<Part>, pending: Pending<ProduceResponse>) {
        self.in_flight.push(InFlight { parts, pending });
    }

    /// The open connection, if there is one that may be used now.
    pub(super) fn usable(&mut self, now: Instant) -> Option<&Connection> {
        if self.connection.as_ref().is_some_and(|connection| connection.ended().is_some()) {
            self.connection = None;
        }
        let waits = self.not_before.is_some_and(|at| now < at);
        if waits { None } else { self.connection.as_ref() }
    }

    /// Collects the requests that have been answered, oldest first; answers take the memory of `former` ones.
    pub(super) fn poll_answers(
        &mut self,
        cx: &mut Context<'_>,
        former: &mut Vec<ProduceResponse>,
        mut take: impl FnMut(Answered),
    ) {
        // Answers come in order, so the first open one hides no later one.
        while let Some(first) = self.in_flight.first_mut() {
            let mut answer = former.pop().unwrap_or_default();
            let Poll::Ready(result) = first.pending.poll_over(cx, &mut answer) else {
                return former.push(answer);
            };
            take((self.in_flight.remove(0).parts, result.map(|()| answer)));
        }
    }
}
