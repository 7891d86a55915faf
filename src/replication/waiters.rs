//! PURE. Who waits for which offset: produce answers that wait for the high watermark, and long
//! polls that wait for something to read.

use std::collections::BTreeMap;

use super::Offset;

/// Waiters keyed by the offset they wait for.
///
/// `W` is whatever wakes the waiter; this file only decides whose time has come.
#[derive(Debug)]
pub(crate) struct OffsetWaiters<W> {
    waiting: BTreeMap<(Offset, u64), W>,
    next_id: u64,
}

/// Names one waiter, to take it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaiterId {
    offset: Offset,
    id: u64,
}

impl<W> Default for OffsetWaiters<W> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), next_id: 0 }
    }
}

impl<W> OffsetWaiters<W> {
    /// Adds a waiter that is done once the watched offset reaches `offset`.
    pub(crate) fn add(&mut self, offset: Offset, waiter: W) -> WaiterId {
        let id = self.next_id;
        self.next_id += 1;
        self.waiting.insert((offset, id), waiter);
        WaiterId { offset, id }
    }

    /// Takes a waiter back; `None` when its time has come already.
    pub(crate) fn remove(&mut self, id: WaiterId) -> Option<W> {
        self.waiting.remove(&(id.offset, id.id))
    }

    /// Takes out everyone who waits for `reached` or less, in order of offset.
    pub(crate) fn reached(&mut self, reached: Offset) -> Vec<W> {
        match self.waiting.first_key_value() {
            Some((&(offset, _), _)) if offset <= reached => {}
            _ => return Vec::new(),
        }
        let later = self.waiting.split_off(&(reached.saturating_add(1), 0));
        std::mem::replace(&mut self.waiting, later).into_values().collect()
    }

    /// Takes out everyone: the partition is gone, offline or led by another broker.
    pub(crate) fn drain(&mut self) -> Vec<W> {
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_whose_offset_is_reached_leave_in_order_and_the_others_stay() {
        let mut waiters = OffsetWaiters::default();
        for (offset, name) in [(7, "c"), (5, "a"), (5, "b"), (9, "d")] {
            waiters.add(offset, name);
        }
        assert!(waiters.reached(4).is_empty());
        assert_eq!(waiters.reached(7), ["a", "b", "c"]);
        assert_eq!(waiters.len(), 1);
        assert_eq!(waiters.drain(), ["d"]);
    }

    #[test]
    fn a_waiter_taken_back_is_not_woken() {
        let mut waiters = OffsetWaiters::default();
        let first = waiters.add(5, "a");
        waiters.add(5, "b");
        assert_eq!(waiters.remove(first), Some("a"));
        assert_eq!(waiters.remove(first), None);
        assert_eq!(waiters.reached(5), ["b"]);
    }
}
