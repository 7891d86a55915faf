//! PURE. Incremental fetch sessions (KIP-227): the broker remembers which partitions a consumer
//! fetches, the consumer then sends only what changed, and gets only the partitions with news.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use duramen_protocol::error::ErrorCode;

use crate::replication::TopicKey;

/// Session epoch of a fetch without a session, or that ends one.
const FINAL_EPOCH: i32 = -1;
/// Session epoch of a fetch that asks for a new session.
const INITIAL_EPOCH: i32 = 0;
/// A session that was used within this time is not given up for a newer one.
const KEEP: Duration = Duration::from_secs(120);

/// What a consumer wants of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// First offset wanted.
    pub(crate) fetch_offset: i64,
    /// Bytes wanted at most of this partition.
    pub(crate) max_bytes: i32,
    /// Leader epoch that the consumer knows, -1 for none.
    pub(crate) current_leader_epoch: i32,
    /// Epoch of the last record that the consumer has, -1 for none.
    pub(crate) last_fetched_epoch: i32,
}

/// A partition of a fetch, in the order in which it is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchTarget {
    /// The topic, as the request names it.
    pub(crate) topic: TopicKey,
    /// The partition's index.
    pub(crate) partition: i32,
    /// What is wanted of it.
    pub(crate) wanted: Wanted,
}

/// What was found in a partition, as far as a session cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Whether the answer carries record bytes.
    pub(crate) has_records: bool,
    /// Whether the answer carries an error or a diverging epoch.
    pub(crate) has_error: bool,
    /// The high watermark that is answered.
    pub(crate) high_watermark: i64,
    /// The log start offset that is answered.
    pub(crate) log_start_offset: i64,
}

/// How one fetch request is to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Session id to answer, 0 for none.
    pub(crate) session_id: i32,
    /// Partitions to read, in this order.
    pub(crate) targets: Vec<FetchTarget>,
    /// Only partitions with news are answered.
    pub(crate) incremental: bool,
}

/// The part of a fetch request that concerns sessions.
#[derive(Debug, Clone)]
pub(crate) struct SessionRequest {
    /// 0 for none.
    pub(crate) id: i32,
    /// -1 without a session, 0 for a new one, else the next number in it.
    pub(crate) epoch: i32,
    /// Partitions named by this request.
    pub(crate) targets: Vec<FetchTarget>,
    /// Partitions to forget.
    pub(crate) forgotten: Vec<(TopicKey, i32)>,
}

#[derive(Debug)]
struct Cached {
    topic: TopicKey,
    partition: i32,
    wanted: Wanted,
    /// High watermark and log start offset that the consumer last heard.
    told: Option<(i64, i64)>,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    by_id: bool,
    last_used: Duration,
    next_order: u64,
    /// In reading order; a partition that was answered with records goes to the back.
    partitions: BTreeMap<u64, Cached>,
    order: HashMap<(TopicKey, i32), u64>,
}

/// All sessions of a broker.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    slots: usize,
    sessions: HashMap<i32, Session>,
}

impl FetchSessions {
    /// Room for `slots` sessions (`max.incremental.fetch.session.cache.slots`).
    pub(crate) fn new(slots: usize) -> Self {
        Self { slots, sessions: HashMap::new() }
    }

    /// Decides what a fetch reads. `fresh_id` is a random positive number for a new session.
    pub(crate) fn begin(
        &mut self,
        request: SessionRequest,
        now: Duration,
        fresh_id: i32,
    ) -> Result<Plan, ErrorCode> {
        match request.epoch {
            FINAL_EPOCH | INITIAL_EPOCH => {
                self.sessions.remove(&request.id);
                let wants_session = request.epoch == INITIAL_EPOCH && !request.targets.is_empty();
                let session_id =
                    if wants_session { self.create(&request.targets, now, fresh_id) } else { 0 };
                Ok(Plan { session_id, targets: request.targets, incremental: false })
            }
            _ => self.resume(request, now),
        }
    }

    /// A new session's id, or 0 when every slot is in use: the consumer then fetches without one.
    fn create(&mut self, targets: &[FetchTarget], now: Duration, fresh_id: i32) -> i32 {
        if self.sessions.contains_key(&fresh_id) || fresh_id <= 0 || !self.make_room(now) {
            return 0;
        }
        let by_id = targets.iter().all(|target| matches!(target.topic, TopicKey::Id(_)));
        let mut session = Session {
            epoch: 1,
            by_id,
            last_used: now,
            next_order: 0,
            partitions: BTreeMap::new(),
            order: HashMap::new(),
        };
        for target in targets {
            session.want(target.clone());
        }
        self.sessions.insert(fresh_id, session);
        fresh_id
    }

    fn make_room(&mut self, now: Duration) -> bool {
        if self.sessions.len() < self.slots {
            return true;
        }
        let oldest = self.sessions.iter().min_by_key(|(_, session)| session.last_used);
        match oldest.map(|(id, session)| (*id, session.last_used)) {
            Some((id, last_used)) if now.saturating_sub(last_used) >= KEEP => {
                self.sessions.remove(&id);
                true
            }
            _ => false,
        }
    }

    fn resume(&mut self, request: SessionRequest, now: Duration) -> Result<Plan, ErrorCode> {
        let session =
            self.sessions.get_mut(&request.id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if request.epoch != session.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        let by_id = |topic: &TopicKey| matches!(topic, TopicKey::Id(_));
        let mut named = request.targets.iter().map(|target| &target.topic);
        let mut forgotten = request.forgotten.iter().map(|(topic, _)| topic);
        if named.any(|t| by_id(t) != session.by_id) || forgotten.any(|t| by_id(t) != session.by_id)
        {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        session.epoch = if session.epoch == i32::MAX { 1 } else { session.epoch + 1 };
        session.last_used = now;
        for target in request.targets {
            session.want(target);
        }
        for key in request.forgotten {
            session.forget(&key);
        }
        let targets = session.targets();
        if targets.is_empty() {
            self.sessions.remove(&request.id);
            return Ok(Plan { session_id: 0, targets, incremental: false });
        }
        Ok(Plan { session_id: request.id, targets, incremental: true })
    }

    /// Whether a partition is part of the answer; remembers what the consumer is told.
    pub(crate) fn tell(
        &mut self,
        session_id: i32,
        incremental: bool,
        key: &(TopicKey, i32),
        found: Found,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(&session_id) else { return true };
        session.tell(key, found) || !incremental
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.sessions.len()
    }
}

impl Session {
    fn want(&mut self, target: FetchTarget) {
        let key = (target.topic.clone(), target.partition);
        if let Some(cached) = self.order.get(&key).and_then(|order| self.partitions.get_mut(order))
        {
            cached.wanted = target.wanted;
            return;
        }
        let cached = Cached {
            topic: target.topic,
            partition: target.partition,
            wanted: target.wanted,
            told: None,
        };
        self.push_back(key, cached);
    }

    fn push_back(&mut self, key: (TopicKey, i32), cached: Cached) {
        let order = self.next_order;
        self.next_order += 1;
        self.order.insert(key, order);
        self.partitions.insert(order, cached);
    }

    fn forget(&mut self, key: &(TopicKey, i32)) {
        if let Some(order) = self.order.remove(key) {
            self.partitions.remove(&order);
        }
    }

    fn targets(&self) -> Vec<FetchTarget> {
        let target = |cached: &Cached| FetchTarget {
            topic: cached.topic.clone(),
            partition: cached.partition,
            wanted: cached.wanted.clone(),
        };
        self.partitions.values().map(target).collect()
    }

    /// Whether there is news of the partition. One that brings records goes to the back of the
    /// reading order, so that a busy partition does not starve the others of a bounded answer.
    fn tell(&mut self, key: &(TopicKey, i32), found: Found) -> bool {
        let Some(&order) = self.order.get(key) else { return true };
        let Some(cached) = self.partitions.get_mut(&order) else { return true };
        let offsets = (found.high_watermark, found.log_start_offset);
        let news = found.has_records || found.has_error || cached.told != Some(offsets);
        // After an error everything is told again, whatever the offsets are then.
        cached.told = (!found.has_error).then_some(offsets);
        if found.has_records
            && let Some(cached) = self.partitions.remove(&order)
        {
            self.push_back(key.clone(), cached);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_protocol::text::Text;
    use uuid::Uuid;

    const QUIET: Found =
        Found { has_records: false, has_error: false, high_watermark: 5, log_start_offset: 0 };
    const BUSY: Found = Found { has_records: true, ..QUIET };

    fn key(partition: i32) -> (TopicKey, i32) {
        (TopicKey::Name(Text::from("orders")), partition)
    }

    fn target(partition: i32, fetch_offset: i64) -> FetchTarget {
        let wanted =
            Wanted { fetch_offset, max_bytes: 1, current_leader_epoch: -1, last_fetched_epoch: -1 };
        FetchTarget { topic: key(partition).0, partition, wanted }
    }

    fn request(id: i32, epoch: i32, targets: Vec<FetchTarget>) -> SessionRequest {
        SessionRequest { id, epoch, targets, forgotten: Vec::new() }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_incremental_fetch_reads_all_its_partitions_and_answers_those_with_news() {
        let mut sessions = FetchSessions::new(10);
        let first =
            sessions.begin(request(0, 0, vec![target(0, 0), target(1, 0)]), at(0), 77).unwrap();
        assert_eq!((first.session_id, first.incremental), (77, false));
        assert!(
            sessions.tell(77, false, &key(0), BUSY) && sessions.tell(77, false, &key(1), QUIET)
        );
        let next = sessions.begin(request(77, 1, vec![target(0, 5)]), at(1), 78).unwrap();
        let read: Vec<_> =
            next.targets.iter().map(|t| (t.partition, t.wanted.fetch_offset)).collect();
        assert_eq!(read, [(1, 0), (0, 5)], "the busy one goes behind the quiet one");
        assert!(next.incremental);
        assert!(!sessions.tell(77, true, &key(1), QUIET), "no news");
        assert!(sessions.tell(77, true, &key(1), Found { high_watermark: 6, ..QUIET }));
        assert!(sessions.tell(77, true, &key(1), Found { has_error: true, ..QUIET }));
        assert!(sessions.tell(77, true, &key(1), QUIET), "the end of an error is news");
    }

    #[test]
    fn wrong_ids_and_epochs_get_kafkas_errors() {
        let mut sessions = FetchSessions::new(10);
        let error = sessions.begin(request(5, 1, vec![]), at(0), 6).unwrap_err();
        assert_eq!(error, ErrorCode::FetchSessionIdNotFound);
        sessions.begin(request(0, 0, vec![target(0, 0)]), at(0), 5).unwrap();
        let error = sessions.begin(request(5, 2, vec![]), at(0), 6).unwrap_err();
        assert_eq!(error, ErrorCode::InvalidFetchSessionEpoch);
        let by_id = FetchTarget { topic: TopicKey::Id(Uuid::from_u128(1)), ..target(0, 0) };
        let error = sessions.begin(request(5, 1, vec![by_id]), at(0), 6).unwrap_err();
        assert_eq!(error, ErrorCode::FetchSessionTopicIdError);
    }

    #[test]
    fn forgotten_partitions_are_not_read_and_an_empty_session_ends() {
        let mut sessions = FetchSessions::new(10);
        sessions.begin(request(0, 0, vec![target(0, 0), target(1, 0)]), at(0), 5).unwrap();
        let forget = |partition, epoch| SessionRequest {
            forgotten: vec![key(partition)],
            ..request(5, epoch, vec![])
        };
        let plan = sessions.begin(forget(0, 1), at(0), 6).unwrap();
        assert_eq!(plan.targets, [target(1, 0)]);
        let plan = sessions.begin(forget(1, 2), at(0), 6).unwrap();
        assert_eq!((plan.session_id, sessions.len()), (0, 0));
    }

    #[test]
    fn a_full_cache_declines_until_a_session_is_old() {
        let mut sessions = FetchSessions::new(1);
        let ask = || request(0, 0, vec![target(0, 0)]);
        assert_eq!(sessions.begin(ask(), at(0), 5).unwrap().session_id, 5);
        assert_eq!(sessions.begin(ask(), at(60), 6).unwrap().session_id, 0);
        assert_eq!(sessions.begin(ask(), at(121), 7).unwrap().session_id, 7);
        assert_eq!(sessions.len(), 1);
    }

    #[test]
    fn a_final_epoch_closes_the_session() {
        let mut sessions = FetchSessions::new(1);
        sessions.begin(request(0, 0, vec![target(0, 0)]), at(0), 5).unwrap();
        let plan = sessions.begin(request(5, -1, vec![target(0, 3)]), at(0), 6).unwrap();
        assert_eq!((plan.session_id, plan.targets.len(), sessions.len()), (0, 1, 0));
    }
}
