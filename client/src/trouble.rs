//! What goes wrong while the client goes on trying: for a program that has to tell a person why nothing
//! happens.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::ClientError;
use crate::metrics::Meter;

/// Something that fails and is tried again; see [`Cluster::troubles`](crate::Cluster::troubles).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Trouble {
    /// What the last attempt met with.
    pub error: ClientError,
    /// How long ago the first one did.
    pub lasting: Duration,
}

impl Trouble {
    /// A trouble, as for tests of a program that tells of them.
    #[must_use]
    pub fn new(error: ClientError, lasting: Duration) -> Self {
        Self { error, lasting }
    }
}

/// All that fails now, of everything made from one cluster handle.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    met: Mutex<Vec<Weak<Met>>>,
    /// How many ended well.
    over: AtomicU64,
}

#[derive(Debug)]
struct Met {
    since: Instant,
    last: Mutex<(Instant, ClientError)>,
}

impl Met {
    fn last(&self) -> MutexGuard<'_, (Instant, ClientError)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Troubles {
    fn all(&self) -> MutexGuard<'_, Vec<Weak<Met>>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The longest lasting first.
    pub(crate) fn read(&self) -> Vec<Trouble> {
        let mut met: Vec<_> = self.all().iter().filter_map(Weak::upgrade).collect();
        met.sort_by_key(|met| met.since);
        let told = |met: Arc<Met>| Trouble::new(met.last().1.clone(), met.since.elapsed());
        met.into_iter().map(told).collect()
    }

    /// How many ended well so far.
    pub(crate) fn over(&self) -> u64 {
        self.over.load(Ordering::Relaxed)
    }
}

/// Something that is tried until it succeeds. What it meets with is told up to then, or as long as this lives.
#[derive(Debug)]
pub(crate) struct Trying {
    meter: Arc<Meter>,
    met: Option<Arc<Met>>,
}

impl Trying {
    pub(crate) fn new(meter: &Arc<Meter>) -> Self {
        Self { meter: Arc::clone(meter), met: None }
    }

    /// An attempt failed, and there will be another.
    pub(crate) fn failed(&mut self, error: &ClientError) {
        let now = Instant::now();
        if let Some(met) = &self.met {
            *met.last() = (now, error.clone());
            return;
        }
        let met = Arc::new(Met { since: now, last: Mutex::new((now, error.clone())) });
        let mut all = self.meter.troubles.all();
        all.retain(|met| met.strong_count() > 0);
        all.push(Arc::downgrade(&met));
        self.met = Some(met);
    }

    /// Nothing is wrong any more: what failed has succeeded.
    pub(crate) fn is_well(&mut self) {
        if self.met.take().is_some() {
            self.meter.troubles.over.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Nothing is tried any more; dropping this says the same.
    pub(crate) fn is_given_up(&mut self) {
        self.met = None;
    }

    /// When the last attempt failed, while something is wrong.
    pub(crate) fn last_failed(&self) -> Option<Instant> {
        self.met.as_ref().map(|met| met.last().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_trouble_lasts_until_all_is_well_or_nobody_tries_any_more() {
        let meter = Arc::<Meter>::default();
        let words = |meter: &Meter| -> Vec<(String, u64)> {
            let troubles = meter.troubles.read().into_iter();
            troubles.map(|it| (it.error.to_string(), it.lasting.as_secs())).collect()
        };
        let error = |name: &str| ClientError::Address(name.to_owned());
        let (mut first, mut second) = (Trying::new(&meter), Trying::new(&meter));
        first.failed(&error("a"));
        tokio::time::advance(Duration::from_secs(2)).await;
        second.failed(&error("b"));
        first.failed(&error("c"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(words(&meter), [(error("c").to_string(), 3), (error("b").to_string(), 1)]);
        first.is_well();
        assert_eq!(words(&meter), [(error("b").to_string(), 1)]);
        assert_eq!(meter.troubles.over(), 1);
        drop(second);
        first.is_well();
        assert_eq!(words(&meter), []);
        assert_eq!(meter.troubles.over(), 1, "the other was given up");
        first.failed(&error("a"));
        assert_eq!(words(&meter), [(error("a").to_string(), 0)]);
        assert_eq!(meter.troubles.all().len(), 1, "what is over is not kept");
    }
}
