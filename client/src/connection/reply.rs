//! Where one answer is waited for: a channel for one message, whose memory serves later calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::error::ConnectionError;

/// The body of an answer, header included, or why there is none.
pub(super) type Answer = Result<Bytes, ConnectionError>;

/// Places that are kept for calls to come: more than a producer has in flight.
const KEPT: usize = 16;

#[derive(Debug)]
enum State {
    /// Nothing came yet; who is to be woken then.
    Open(Option<Waker>),
    Here(Answer),
    /// One side is gone, or the answer is taken.
    Over,
}

#[derive(Debug)]
struct Place(Mutex<State>);

impl Place {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last word of the side that answers, which only counts while the other waits.
    fn end(&self, last: State) {
        let mut state = self.state();
        if let State::Open(waker) = &mut *state {
            let waker = waker.take();
            *state = last;
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// The side that answers; dropping it says that no answer comes.
#[derive(Debug)]
pub(super) struct Reply(Arc<Place>);

impl Reply {
    pub(super) fn send(self, answer: Answer) {
        self.0.end(State::Here(answer));
    }

    /// Nobody waits any more.
    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.0.state(), State::Over)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.0.end(State::Over);
    }
}

/// The side that waits, a future of the answer: `None` when none comes.
#[derive(Debug)]
pub(super) struct Awaited {
    place: Option<Arc<Place>>,
    places: Arc<Places>,
}

impl Future for Awaited {
    type Output = Option<Answer>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(place) = &self.place else { return Poll::Ready(None) };
        let mut state = place.state();
        match &mut *state {
            State::Open(Some(waker)) if waker.will_wake(cx.waker()) => Poll::Pending,
            State::Open(waker) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(match std::mem::replace(&mut *state, State::Over) {
                State::Here(answer) => Some(answer),
                _ => None,
            }),
        }
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        *place.state() = State::Over;
        let mut kept = self.places.kept();
        if kept.len() < KEPT {
            kept.push(place);
        }
    }
}

/// The places of one connection that nobody waits at.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Vec<Arc<Place>>>);

impl Places {
    fn kept(&self) -> MutexGuard<'_, Vec<Arc<Place>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Both sides of a place for one answer.
    pub(super) fn take(self: &Arc<Self>) -> (Reply, Awaited) {
        let former = self.kept().pop();
        // One that may still be answered, to nobody, is not used again.
        let free = former.filter(|place| Arc::strong_count(place) == 1);
        let place = match free {
            Some(place) => {
                *place.state() = State::Open(None);
                place
            }
            None => Arc::new(Place(Mutex::new(State::Open(None)))),
        };
        let reply = Reply(Arc::clone(&place));
        (reply, Awaited { place: Some(place), places: Arc::clone(self) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    fn answer(text: &'static str) -> Answer {
        Ok(Bytes::from_static(text.as_bytes()))
    }

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Woken {
        fn look(self: &Arc<Self>, awaited: &mut Awaited) -> Poll<Option<Bytes>> {
            let waker = Waker::from(Arc::clone(self));
            let answer = Pin::new(awaited).poll(&mut Context::from_waker(&waker));
            answer.map(|answer| answer.map(Result::unwrap))
        }

        fn times(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn an_answer_wakes_who_waits_and_its_place_serves_again() {
        let (places, woken) = (Arc::<Places>::default(), Arc::<Woken>::default());
        let mut former = None;
        for (times, text) in [(1, "first"), (2, "second")] {
            let (reply, mut awaited) = places.take();
            let place = Arc::as_ptr(&reply.0);
            assert!(former.is_none_or(|former| former == place));
            former = Some(place);
            assert!(woken.look(&mut awaited).is_pending() && !reply.is_closed());
            reply.send(answer(text));
            assert_eq!(woken.times(), times);
            assert_eq!(woken.look(&mut awaited), Poll::Ready(Some(text.into())));
        }
        assert_eq!(places.kept().len(), 1);
    }

    #[test]
    fn who_waits_learns_that_no_answer_comes() {
        let woken = Arc::<Woken>::default();
        let (reply, mut awaited) = Arc::<Places>::default().take();
        assert!(woken.look(&mut awaited).is_pending());
        drop(reply);
        assert_eq!(woken.times(), 1);
        assert_eq!(woken.look(&mut awaited), Poll::Ready(None));
    }

    #[test]
    fn a_late_answer_to_a_call_given_up_reaches_no_other() {
        let (places, woken) = (Arc::<Places>::default(), Arc::<Woken>::default());
        let (late, given_up) = places.take();
        drop(given_up);
        assert!(late.is_closed());
        let (reply, mut awaited) = places.take();
        late.send(answer("late"));
        assert!(woken.look(&mut awaited).is_pending());
        reply.send(answer("right"));
        assert_eq!(woken.look(&mut awaited), Poll::Ready(Some("right".into())));
    }

    #[test]
    fn few_places_are_kept() {
        let places = Arc::<Places>::default();
        drop((0..2 * KEPT).map(|_| places.take()).collect::<Vec<_>>());
        assert_eq!(places.kept().len(), KEPT);
    }
}
