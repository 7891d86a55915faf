//! Bytes fetched and not yet taken: counted when they come, given back when they are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::metrics::Meter;

/// The prefetch memory of a consumer, or of one partition that is read apart.
#[derive(Debug)]
pub(super) struct Budget {
    meter: Arc<Meter>,
    held: AtomicUsize,
    freed: Arc<Notify>,
}

impl Budget {
    pub(super) fn new(meter: &Arc<Meter>) -> Self {
        Self { meter: Arc::clone(meter), held: AtomicUsize::new(0), freed: Arc::default() }
    }

    /// Memory of its own; whoever waits for one waits for both.
    pub(super) fn beside(&self) -> Self {
        Self { freed: Arc::clone(&self.freed), ..Self::new(&self.meter) }
    }

    /// Bytes held now.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// Counts bytes until the result is dropped.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        self.held.fetch_add(bytes, Ordering::AcqRel);
        self.meter.prefetched_bytes.add(count(bytes));
        Held { budget: Arc::clone(self), bytes }
    }

    /// Waits until something was given back.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }
}

/// Some bytes of the budget.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    pub(super) fn meter(&self) -> &Meter {
        &self.budget.meter
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::AcqRel);
        self.budget.meter.prefetched_bytes.sub(count(self.bytes));
        self.budget.freed.notify_one();
    }
}
