//! The memory that all connections together may hold in half-received frames, and in what is in flight.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit stands for this many bytes, so that budgets over 4 GiB fit a semaphore's count.
const UNIT_BYTES: usize = 4096;

/// A broker-wide bound, in bytes, on what connections hold beyond the little that each may have.
#[derive(Debug, Clone)]
pub(crate) struct ByteBudget {
    units: Arc<Semaphore>,
    /// Units in all.
    total: usize,
}

/// Bytes taken from a [`ByteBudget`]; given back on drop.
#[derive(Debug, Default)]
pub(crate) struct Grant {
    permits: Vec<OwnedSemaphorePermit>,
    bytes: usize,
}

impl ByteBudget {
    /// A budget of `bytes`, rounded down to whole 4 KiB units.
    pub(crate) fn new(bytes: usize) -> Self {
        let total = (bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(total)), total }
    }

    /// Bytes taken now, and how many there are; `None` without a limit.
    pub(crate) fn use_bytes(&self) -> (usize, Option<usize>) {
        let taken = self.total.saturating_sub(self.units.available_permits()) * UNIT_BYTES;
        let limited = self.total < Semaphore::MAX_PERMITS;
        (taken, limited.then_some(self.total * UNIT_BYTES))
    }

    /// Takes `bytes` (rounded up to 4 KiB), waiting until other connections give some back.
    pub(crate) async fn take(&self, bytes: usize) -> Grant {
        let count = bytes.div_ceil(UNIT_BYTES);
        let units = u32::try_from(count).unwrap_or(u32::MAX);
        match Arc::clone(&self.units).acquire_many_owned(units).await {
            Ok(permit) => Grant { permits: vec![permit], bytes: count * UNIT_BYTES },
            // The semaphore is never closed; were it, reading on unbudgeted would be harmless.
            Err(_) => Grant { permits: Vec::new(), bytes: count * UNIT_BYTES },
        }
    }

    /// Takes `bytes` (rounded up to 4 KiB) if they are there now.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Grant> {
        let count = bytes.div_ceil(UNIT_BYTES);
        let permit = Arc::clone(&self.units).try_acquire_many_owned(u32::try_from(count).ok()?);
        Some(Grant { permits: vec![permit.ok()?], bytes: count * UNIT_BYTES })
    }
}

impl Grant {
    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds what was taken later for the same frame.
    pub(crate) fn add(&mut self, mut more: Self) {
        self.permits.append(&mut more.permits);
        self.bytes += std::mem::take(&mut more.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_spent_budget_makes_the_next_wait_until_something_is_given_back() {
        let budget = ByteBudget::new(8 * UNIT_BYTES);
        let first = budget.take(6 * UNIT_BYTES).await;
        let wait = Duration::from_secs(1);
        assert!(tokio::time::timeout(wait, budget.take(3 * UNIT_BYTES)).await.is_err());
        drop(first);
        assert_eq!(budget.take(3 * UNIT_BYTES).await.bytes(), 3 * UNIT_BYTES);
    }

    #[tokio::test]
    async fn what_is_not_there_now_is_not_waited_for() {
        let budget = ByteBudget::new(4 * UNIT_BYTES);
        let first = budget.try_take(3 * UNIT_BYTES).unwrap();
        assert_eq!(first.bytes(), 3 * UNIT_BYTES);
        assert!(budget.try_take(2 * UNIT_BYTES).is_none());
        drop(first);
        assert!(budget.try_take(2 * UNIT_BYTES).is_some());
    }

    #[tokio::test]
    async fn grants_add_up_and_round_up_to_whole_units() {
        let budget = ByteBudget::new(4 * UNIT_BYTES);
        let mut grant = budget.take(2 * UNIT_BYTES).await;
        grant.add(budget.take(1).await);
        assert_eq!(grant.bytes(), 3 * UNIT_BYTES);
        assert_eq!(budget.units.available_permits(), 1);
        drop(grant);
        assert_eq!(budget.units.available_permits(), 4);
    }
}
