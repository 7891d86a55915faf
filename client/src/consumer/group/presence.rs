//! Whether the user is there: a member whose user does not come for records gives its place up, so that
//! others get on (`max.poll.interval.ms`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use tokio::time::Instant;

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Presence(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Since when the user is elsewhere; `None` while he waits for records.
    since: Option<Instant>,
    /// How often he came.
    visit: u64,
    /// The place was given up.
    away: bool,
}

/// The user waits until this is dropped.
#[derive(Debug)]
pub(super) struct Waiting(Arc<Presence>);

impl Waiting {
    /// The user has [come](Presence::come).
    pub(super) fn new(presence: &Arc<Presence>) -> Self {
        Self(Arc::clone(presence))
    }
}

/// Calls a user who may have gone without a word: from then on he is elsewhere, until he comes again.
struct Caller {
    presence: Arc<Presence>,
    visit: u64,
    user: Waker,
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.presence.lock();
        if state.visit == self.visit {
            state.since.get_or_insert_with(Instant::now);
        }
        drop(state);
        self.user.wake_by_ref();
    }
}

impl Presence {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { since: Some(Instant::now()), visit: 0, away: false }))
    }

    /// The user comes; whether the place was given up meanwhile.
    pub(super) fn come(&self) -> bool {
        let mut state = self.lock();
        state.since = None;
        state.visit += 1;
        std::mem::take(&mut state.away)
    }

    /// The user is elsewhere from now on.
    pub(super) fn leave(&self) {
        self.lock().since = Some(Instant::now());
    }

    /// What wakes a user who waits, of whom it is not heard when he gives that up.
    pub(super) fn caller(self: &Arc<Self>, user: &Waker) -> Waker {
        let (presence, visit, user) = (Arc::clone(self), self.lock().visit, user.clone());
        Waker::from(Arc::new(Caller { presence, visit, user }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when the user is elsewhere, as long as that matters.
    pub(super) fn elsewhere(&self) -> Option<Instant> {
        let state = self.lock();
        state.since.filter(|_| !state.away)
    }

    /// Gives the place up, if the user has not come since.
    pub(super) fn give_up(&self) -> bool {
        let mut state = self.lock();
        state.away |= state.since.is_some();
        state.away
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.leave();
    }
}
