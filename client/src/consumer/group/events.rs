//! What comes to a member, and what of it the user is told. A partition is given back only when the user
//! comes for more, so that what was handed out before is dealt with by then.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::sync::oneshot;

use super::positions::Position;
use super::presence::Waiting;
use super::task::{Command, Control};
use super::{GroupConsumer, GroupEvent};
use crate::consumer::{Assignment, ConsumerRecord, Event, Fetched, Start, Step, TopicPartition};
use crate::error::ClientError;

/// Told as revoked, and given back when the user comes again.
#[derive(Debug)]
pub(super) struct Going {
    partitions: Vec<TopicPartition>,
    /// Tasks that still read some of them.
    readers: Vec<oneshot::Receiver<()>>,
}

impl Going {
    /// Waits until nobody reads them any more.
    fn poll_unread(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.readers.retain_mut(|reader| Pin::new(reader).poll(cx).is_pending());
        if self.readers.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Something handed out that is dealt with when the user comes again.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) at: TopicPartition,
    pub(super) next: i64,
    pub(super) leader_epoch: i32,
}

impl GroupConsumer {
    /// The user comes for more: what he had is dealt with.
    pub(super) fn come(&mut self) -> Waiting {
        self.arrive();
        Waiting::new(&self.presence)
    }

    fn arrive(&mut self) {
        self.settle();
        if self.presence.come() {
            self.tell(Command::Back);
        }
    }

    /// The next record of a stream: who waits for it may give that up without a word.
    pub(super) fn poll_streamed(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<ConsumerRecord, ClientError>>> {
        let waiting = self.come();
        // Mostly there is one already, and nobody has to be called.
        let mut record = self.poll_record(&mut Context::from_waker(Waker::noop()));
        drop(waiting);
        if record.is_pending() {
            self.arrive();
            let caller = self.presence.caller(cx.waker());
            record = self.poll_record(&mut Context::from_waker(&caller));
            if record.is_ready() {
                self.presence.leave();
            }
        }
        record
    }

    /// What was handed out is dealt with.
    pub(super) fn settle(&mut self) {
        for Handed { at, next, leader_epoch } in self.handed.drain(..) {
            self.positions.advance(&at, None, next, leader_epoch);
        }
    }

    /// The next event; the user has come, and waits.
    pub(super) fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<GroupEvent, ClientError>>> {
        loop {
            self.poll_release(cx);
            match self.control.poll_recv(cx) {
                Poll::Ready(Some(control)) => {
                    return Poll::Ready(Some(self.take_control(control)));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {}
            }
            if let Some(fetched) = self.unpacker.rest() {
                return Poll::Ready(Some(Ok(self.take_event(Event::Records(fetched)))));
            }
            if std::mem::take(&mut self.at_end) {
                return Poll::Ready(Some(Ok(GroupEvent::AtEnd)));
            }
            if self.reading.is_done() {
                return if self.reading.has_failed() { Poll::Ready(None) } else { Poll::Pending };
            }
            let Poll::Ready(step) = self.reading.poll_step(cx) else { return Poll::Pending };
            match step {
                Some(Ok(Step::Event(event))) => {
                    return Poll::Ready(Some(Ok(self.take_event(event))));
                }
                Some(Ok(Step::Gone(at))) => self.gone(at),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                // All that is assigned was read.
                None => self.at_end = self.options.stop_at_end,
            }
        }
    }

    /// The topic of a partition is not there any more.
    fn gone(&mut self, at: TopicPartition) {
        self.positions.remove(std::slice::from_ref(&at));
        self.readers.remove(&at);
        self.tell(Command::Gone(at));
    }

    /// Gives back what was told as revoked, when nobody reads it any more.
    fn poll_release(&mut self, cx: &mut Context<'_>) {
        let unread = self.going.as_mut().is_some_and(|going| going.poll_unread(cx).is_ready());
        if let Some(Going { partitions, .. }) = self.going.take_if(|_| unread) {
            let offsets = self.positions.remove(&partitions);
            self.tell(Command::Release { offsets, gone: partitions });
        }
    }

    fn take_control(&mut self, control: Control) -> Result<GroupEvent, ClientError> {
        let event = match control {
            Control::Assigned(added) => GroupEvent::Assigned(self.add(added)),
            Control::Revoked(gone) => {
                self.forget(&gone);
                self.reading.stop(&gone);
                let readers = gone.iter().filter_map(|at| self.readers.remove(at)).collect();
                self.going = Some(Going { partitions: gone.clone(), readers });
                GroupEvent::Revoked(gone)
            }
            Control::Lost(gone) => {
                self.forget(&gone);
                self.reading.stop(&gone);
                self.positions.remove(&gone);
                for at in &gone {
                    self.readers.remove(at);
                }
                GroupEvent::Lost(gone)
            }
            Control::Failed(error) => return Err(error),
        };
        self.call_back(&event);
        Ok(event)
    }

    fn add(&mut self, added: Vec<(TopicPartition, Position)>) -> Vec<TopicPartition> {
        let named = added.iter().map(|(at, _)| at.clone()).collect();
        for (at, position) in &added {
            self.reading.read(
                Assignment::new(at.topic.clone(), at.partition, Start::Offset(position.next))
                    .end(position.end),
            );
        }
        self.positions.insert(added);
        self.at_end = self.options.stop_at_end && self.reading.is_done();
        named
    }

    fn take_event(&mut self, event: Event) -> GroupEvent {
        match event {
            Event::Records(fetched) => {
                self.handed.push(Handed {
                    at: TopicPartition::new(fetched.topic.clone(), fetched.partition),
                    next: fetched.next_offset(),
                    leader_epoch: fetched.last_epoch(),
                });
                GroupEvent::Records(fetched)
            }
            Event::Moved(moved) => {
                let at = TopicPartition::new(moved.topic.clone(), moved.partition);
                self.handed.retain(|handed| handed.at != at);
                self.positions.go_to(&at, None, moved.to);
                let event = GroupEvent::Moved(moved);
                self.call_back(&event);
                event
            }
        }
    }

    /// A record is handed out; `next` is the offset behind it.
    fn hand(&mut self, record: &ConsumerRecord, next: i64) {
        let leader_epoch = record.leader_epoch;
        let same = |last: &&mut Handed| {
            last.at.partition == record.partition && last.at.topic == record.topic
        };
        match self.handed.last_mut().filter(same) {
            Some(last) => (last.next, last.leader_epoch) = (next, leader_epoch),
            None => {
                let at = TopicPartition::new(record.topic.clone(), record.partition);
                self.handed.push(Handed { at, next, leader_epoch });
            }
        }
    }

    fn call_back(&mut self, event: &GroupEvent) {
        if let Some(callback) = &mut self.callback {
            callback(event);
        }
    }

    /// Forgets what of partitions is being taken apart.
    fn forget(&mut self, gone: &[TopicPartition]) {
        for at in gone {
            self.unpacker.forget(at);
        }
    }

    /// The next record; the user has come, and waits.
    pub(super) fn poll_record(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<ConsumerRecord, ClientError>>> {
        loop {
            // What the group wants comes first: a partition that goes gives no more records.
            if self.control.is_empty()
                && let Some(record) = self.pop_unpacked()
            {
                return Poll::Ready(Some(record));
            }
            let Poll::Ready(event) = self.poll_event(cx) else { return Poll::Pending };
            match event {
                Some(Ok(GroupEvent::Records(fetched))) => {
                    self.unpack(fetched);
                    // At most what is hidden was handed out.
                    self.settle();
                }
                Some(Ok(GroupEvent::AtEnd)) | None => return Poll::Ready(None),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    /// A further record that is there already. What the group wants, and an error, come when the user comes
    /// again: those before are dealt with then.
    pub(super) fn pop_record(&mut self) -> Option<ConsumerRecord> {
        let mut cx = Context::from_waker(Waker::noop());
        while self.control.is_empty() && self.going.is_none() {
            let step = match self.pop_unpacked() {
                Some(Ok(record)) => return Some(record),
                Some(Err(error)) => Err(error),
                None if self.reading.is_done() => return None,
                None => match self.reading.poll_step(&mut cx) {
                    Poll::Ready(Some(step)) => step,
                    Poll::Ready(None) => {
                        self.at_end = self.options.stop_at_end;
                        return None;
                    }
                    Poll::Pending => return None,
                },
            };
            match step {
                Ok(Step::Event(event)) => {
                    if let GroupEvent::Records(fetched) = self.take_event(event) {
                        self.unpack(fetched);
                    }
                }
                Ok(Step::Gone(at)) => self.gone(at),
                Err(error) => self.reading.put_back(error),
            }
            if self.reading.is_failing() {
                return None;
            }
        }
        None
    }

    fn pop_unpacked(&mut self) -> Option<Result<ConsumerRecord, ClientError>> {
        let next = self.unpacker.pop()?;
        if next.is_err() {
            // What lies behind it must not be handed out, and committed.
            self.reading.fail();
        }
        Some(next.map(|(record, next)| {
            self.hand(&record, next);
            record
        }))
    }

    /// Takes a fetch apart, record by record from here on; what is hidden in one without is dealt with.
    fn unpack(&mut self, fetched: Fetched) {
        if fetched.batches().next().is_some() {
            self.handed.pop();
            self.unpacker.load(fetched);
        }
    }
}
