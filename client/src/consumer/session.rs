//! Fetch sessions, pure (KIP-227): the broker remembers what is fetched from it, a request names what
//! changed, and an answer brings the partitions with news.

use std::collections::BTreeMap;

use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

use super::request::Wish;

/// Epoch of a fetch without a session, or that ends one.
const FINAL: i32 = -1;

/// A partition as a request names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) topic: Text,
    pub(super) topic_id: TopicId,
    pub(super) partition: i32,
}

/// What the broker remembers of it: offset, leader epoch, epoch read last.
type Known = (i64, i32, i32);

/// A session with one broker.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// 0 for none.
    id: i32,
    epoch: i32,
    by_id: bool,
    known: BTreeMap<Key, Known>,
}

/// The part of a request that concerns sessions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) id: i32,
    pub(super) epoch: i32,
    /// Places of the wishes to name.
    pub(super) named: Vec<usize>,
    pub(super) forgotten: Vec<Key>,
}

impl Session {
    /// The next request. Without a session (`wanted` is false), or at its beginning, everything is named.
    pub(super) fn step(&mut self, wishes: &[Wish], wanted: bool, by_id: bool) -> Step {
        let keys = wishes.iter().map(|wish| {
            // By name, a topic made again is the same.
            let topic_id = if by_id { wish.topic_id } else { TopicId::nil() };
            let key = Key { topic: wish.topic.clone(), topic_id, partition: wish.partition };
            (key, (wish.offset, wish.leader_epoch, wish.last_epoch))
        });
        if !wanted || self.id == 0 || self.by_id != by_id {
            let id = std::mem::take(&mut self.id);
            (self.epoch, self.by_id) = (if wanted { 0 } else { FINAL }, by_id);
            self.known = if wanted { keys.collect() } else { BTreeMap::new() };
            let named = (0..wishes.len()).collect();
            return Step { id, epoch: self.epoch, named, forgotten: Vec::new() };
        }
        let mut before = std::mem::take(&mut self.known);
        let mut named = Vec::new();
        for (at, (key, stands)) in keys.enumerate() {
            if before.remove(&key) != Some(stands) {
                named.push(at);
            }
            self.known.insert(key, stands);
        }
        let forgotten = before.into_keys().collect();
        Step { id: self.id, epoch: self.epoch, named, forgotten }
    }

    /// An answer came, with this session.
    pub(super) fn answered(&mut self, id: i32) {
        if id == 0 || self.epoch == FINAL {
            // The broker has no room for sessions, or dropped this one.
            return self.end();
        }
        self.id = id;
        self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
    }

    /// Begins anew: what the broker knows is not known here.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(partition: i32, offset: i64) -> Wish {
        Wish {
            reading: 0,
            topic: "t".into(),
            topic_id: TopicId::from_u128(1),
            partition,
            offset,
            leader_epoch: 1,
            last_epoch: 1,
        }
    }

    fn step(id: i32, epoch: i32, named: &[usize], forgotten: &[i32]) -> Step {
        let key = |partition: &i32| Key {
            topic: "t".into(),
            topic_id: TopicId::from_u128(1),
            partition: *partition,
        };
        let forgotten = forgotten.iter().map(key).collect();
        Step { id, epoch, named: named.to_vec(), forgotten }
    }

    #[test]
    fn a_session_names_what_changed_and_forgets_what_goes() {
        let mut session = Session::default();
        let all = [wish(0, 5), wish(1, 7)];
        assert_eq!(session.step(&all, true, true), step(0, 0, &[0, 1], &[]));
        session.answered(9);
        assert_eq!(session.step(&all, true, true), step(9, 1, &[], &[]));
        session.answered(9);
        let next = [wish(1, 8), wish(2, 0)];
        assert_eq!(session.step(&next, true, true), step(9, 2, &[0, 1], &[0]));
        session.answered(9);
        assert_eq!(session.step(&next, true, true), step(9, 3, &[], &[]));
    }

    #[test]
    fn it_begins_anew_after_an_error_or_with_other_names_and_ends_when_not_wanted() {
        let mut session = Session::default();
        let all = [wish(0, 5)];
        session.step(&all, true, true);
        session.answered(9);
        session.end();
        assert_eq!(session.step(&all, true, true), step(0, 0, &[0], &[]));
        session.answered(0);
        assert_eq!(session.step(&all, true, true), step(0, 0, &[0], &[]), "there was no room");
        session.answered(9);
        assert_eq!(session.step(&all, true, false), step(9, 0, &[0], &[]), "by name");
        session.answered(10);
        assert_eq!(session.step(&all, false, false), step(10, -1, &[0], &[]));
        session.answered(0);
        assert_eq!(session.step(&all, false, false), step(0, -1, &[0], &[]));
    }
}
