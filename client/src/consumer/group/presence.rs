//! Whether the user is there: a member whose user does not come for records gives its place up, so that
//! others get on (`max.poll.interval.ms`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Presence(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Since when the user is elsewhere; `None` while he waits for records.
    since: Option<Instant>,
    /// The place was given up.
    away: bool,
}

/// The user waits until this is dropped.
#[derive(Debug)]
pub(super) struct Waiting(Arc<Presence>);

impl Waiting {
    /// The user comes; whether the place was given up meanwhile.
    pub(super) fn enter(presence: &Arc<Presence>) -> (Self, bool) {
        let mut state = presence.lock();
        state.since = None;
        (Self(Arc::clone(presence)), std::mem::take(&mut state.away))
    }
}

impl Presence {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { since: Some(Instant::now()), away: false }))
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
        self.0.lock().since = Some(Instant::now());
    }
}
