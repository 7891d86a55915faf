//! The one task of a consumer: keeps a fetch at each leader while there is memory for its answer.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{EARLIEST, LATEST};
use duramen_protocol::messages::{FetchRequest, FetchResponse};
use duramen_protocol::text::Text;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::budget::Budget;
use super::options::{Assignment, ConsumerOptions, Reset};
use super::position::{PartitionState, Position};
use super::request::{Wish, request, version_cap};
use super::{Event, Moved, MovedWhy};
use crate::admin::offsets::{OffsetQuestion, list_offsets};
use crate::cluster::{Cluster, ClusterView, Topics};
use crate::connection::{CallError, Connection, Pending};
use crate::error::ClientError;

/// How long the fetcher sleeps when nothing at all is due.
const IDLE: Duration = Duration::from_secs(60);
/// Answers of "no such topic" after which it is believed to be gone.
const GONE_AFTER: u32 = 5;

/// Work done beside the loop.
enum Done {
    Connected(i32, Result<Connection, ClientError>),
    Metadata(Result<(), ClientError>),
    Offset(usize, Result<i64, ClientError>),
}

/// One leader: its connection and the fetch that waits there.
#[derive(Debug, Default)]
struct Lane {
    connection: Option<Connection>,
    connecting: bool,
    failures: u32,
    not_before: Option<Instant>,
    in_flight: Option<(Vec<Wish>, Pending<FetchResponse>)>,
}

/// See the top of the file.
pub(super) struct Fetcher {
    pub(super) cluster: Cluster,
    pub(super) options: ConsumerOptions,
    pub(super) partitions: Vec<PartitionState>,
    pub(super) budget: Arc<Budget>,
    out: mpsc::UnboundedSender<Result<Event, ClientError>>,
    lanes: BTreeMap<i32, Lane>,
    done: JoinSet<Done>,
    /// Which partition stands first in the next request.
    turn: usize,
    pub(super) stale: bool,
    refreshing: bool,
    refresh_failures: u32,
    refresh_at: Instant,
    view: Arc<ClusterView>,
}

/// The consumer ended, with an error that was told or because nobody listens.
pub(super) struct Ended;

impl Fetcher {
    pub(super) fn new(
        cluster: Cluster,
        options: ConsumerOptions,
        from: Vec<Assignment>,
        budget: Arc<Budget>,
        out: mpsc::UnboundedSender<Result<Event, ClientError>>,
    ) -> Self {
        Self {
            view: cluster.view(),
            refresh_at: Instant::now() + cluster.options().metadata_max_age,
            partitions: from.into_iter().map(PartitionState::new).collect(),
            cluster,
            options,
            budget,
            out,
            lanes: BTreeMap::new(),
            done: JoinSet::new(),
            turn: 0,
            stale: false,
            refreshing: false,
            refresh_failures: 0,
        }
    }

    /// Works until every partition is done, the consumer is dropped, or an error was told.
    pub(super) async fn run(mut self) {
        while !self.partitions.iter().all(PartitionState::is_done) {
            if self.step().await.is_err() {
                return;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        self.view = self.cluster.view();
        self.ask_offsets(now);
        self.fetch_all(now)?;
        self.begin_refresh(now);
        let wake = self.next_wake(now);
        let (budget, out) = (Arc::clone(&self.budget), self.out.clone());
        tokio::select! {
            (leader, wishes, result) = poll_answer(&mut self.lanes) => {
                self.take_answer(leader, &wishes, result)
            }
            Some(done) = self.done.join_next() => match done {
                Ok(done) => self.take_done(done),
                Err(_) => Ok(()),
            },
            () = budget.freed() => Ok(()),
            () = sleep_until(wake) => Ok(()),
            () = out.closed() => Err(Ended),
        }
    }

    /// Asks for the positions that are not known.
    fn ask_offsets(&mut self, now: Instant) {
        for (index, state) in self.partitions.iter_mut().enumerate() {
            let Position::Ask(timestamp) = state.position else { continue };
            if state.waits(now) {
                continue;
            }
            state.position = Position::Asking(timestamp);
            let (cluster, isolation) = (self.cluster.clone(), self.options.isolation);
            let (topic, partition) = (state.topic.clone(), state.partition);
            self.done.spawn(async move {
                let question = OffsetQuestion { topic, partition, timestamp };
                Done::Offset(index, ask_offset(&cluster, isolation, question).await)
            });
        }
    }

    /// Sends a fetch to each leader that has none and for which there is memory.
    fn fetch_all(&mut self, now: Instant) -> Result<(), Ended> {
        let mut by_leader: BTreeMap<i32, Vec<Wish>> = BTreeMap::new();
        let (count, turn) = (self.partitions.len(), self.turn);
        for index in (0..count).map(|at| (at + turn) % count.max(1)) {
            match self.wish(index, now) {
                Ok(Some((leader, wish))) => by_leader.entry(leader).or_default().push(wish),
                Ok(None) => {}
                Err(error) => return Err(self.fail(error)),
            }
        }
        for (leader, wishes) in by_leader {
            if self.budget.held() < self.options.prefetch_bytes.max(1) {
                self.fetch(leader, wishes, now)?;
            }
        }
        Ok(())
    }

    /// What to ask of which leader for a partition, if it can be asked for now.
    fn wish(&mut self, index: usize, now: Instant) -> Result<Option<(i32, Wish)>, ClientError> {
        let Some(state) = self.partitions.get(index) else { return Ok(None) };
        let Some(offset) = state.fetchable(now) else { return Ok(None) };
        let Some(topic) = self.view.topic(&state.topic) else {
            self.stale = true;
            if self.refresh_failures >= GONE_AFTER {
                let what = format!("topic {}", state.topic);
                return Err(ClientError::refused(what, ErrorCode::UnknownTopicOrPartition, None));
            }
            return Ok(None);
        };
        let Some(known) = topic.partition(state.partition) else {
            return Err(ClientError::NoPartition {
                topic: state.topic.clone(),
                partition: state.partition,
                count: topic.partitions.len(),
            });
        };
        let Some(leader) = known.leader else {
            self.stale = true;
            return Ok(None);
        };
        let wish = Wish {
            index,
            topic: state.topic.clone(),
            topic_id: topic.id,
            partition: state.partition,
            offset,
            leader_epoch: known.leader_epoch,
            last_epoch: state.last_epoch,
        };
        Ok(Some((leader, wish)))
    }

    fn fetch(&mut self, leader: i32, wishes: Vec<Wish>, now: Instant) -> Result<(), Ended> {
        let lane = self.lanes.entry(leader).or_default();
        if lane.connection.as_ref().is_some_and(|connection| connection.ended().is_some()) {
            lane.connection = None;
        }
        if lane.in_flight.is_some() || lane.not_before.is_some_and(|at| now < at) {
            return Ok(());
        }
        let Some(connection) = &lane.connection else {
            if !lane.connecting {
                lane.connecting = true;
                let cluster = self.cluster.clone();
                self.done
                    .spawn(async move { Done::Connected(leader, cluster.dedicated(leader).await) });
            }
            return Ok(());
        };
        let timeout = self.cluster.options().connection.request_timeout + self.options.max_wait;
        let begun =
            connection.version_of::<FetchRequest>(version_cap(&wishes)).and_then(|version| {
                connection.begin(version, &request(&self.options, version, &wishes), timeout)
            });
        match begun {
            Ok(pending) => {
                for wish in &wishes {
                    if let Some(state) = self.partitions.get_mut(wish.index) {
                        state.in_flight = true;
                    }
                }
                self.turn += 1;
                lane.in_flight = Some((wishes, pending));
                Ok(())
            }
            Err(error) => self.call_failed(leader, &error),
        }
    }

    /// Asks for metadata when an error said so, or it has grown old.
    fn begin_refresh(&mut self, now: Instant) {
        let due = now >= self.refresh_at;
        if self.refreshing || !(due || self.stale && self.refresh_failures == 0) {
            return;
        }
        self.refreshing = true;
        let cluster = self.cluster.clone();
        let mut names: Vec<Text> =
            self.partitions.iter().map(|state| state.topic.clone()).collect();
        names.sort_unstable();
        names.dedup();
        self.done.spawn(async move {
            let asked = cluster.fetch_metadata(Topics::Named(&names)).await;
            Done::Metadata(asked.map(|_| ()))
        });
    }

    fn take_done(&mut self, done: Done) -> Result<(), Ended> {
        match done {
            Done::Connected(id, result) => self.take_connection(id, result),
            Done::Metadata(result) => {
                self.take_metadata(result);
                Ok(())
            }
            Done::Offset(index, result) => self.take_offset(index, result),
        }
    }

    fn take_connection(
        &mut self,
        id: i32,
        result: Result<Connection, ClientError>,
    ) -> Result<(), Ended> {
        let lane = self.lanes.entry(id).or_default();
        lane.connecting = false;
        match result {
            Ok(connection) => {
                lane.connection = Some(connection);
                lane.not_before = None;
                Ok(())
            }
            Err(error) if error.is_retriable() => {
                lane.failures += 1;
                lane.not_before = Some(Instant::now() + self.cluster.backoff(lane.failures));
                self.stale = true;
                tracing::debug!(broker = id, %error, "not connected");
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    fn take_metadata(&mut self, result: Result<(), ClientError>) {
        self.refreshing = false;
        let now = Instant::now();
        self.view = self.cluster.view();
        let found = |state: &PartitionState| {
            let topic = self.view.topic(&state.topic);
            topic.and_then(|topic| topic.partition(state.partition)?.leader).is_some()
        };
        self.stale = result.is_err() || !self.partitions.iter().all(found);
        self.refresh_failures = if self.stale { self.refresh_failures + 1 } else { 0 };
        self.refresh_at = match self.refresh_failures {
            0 => now + self.cluster.options().metadata_max_age,
            failures => now + self.cluster.backoff(failures),
        };
    }

    fn take_offset(&mut self, index: usize, result: Result<i64, ClientError>) -> Result<(), Ended> {
        let Some(state) = self.partitions.get_mut(index) else { return Ok(()) };
        match (result, state.position) {
            (Ok(offset), _) => {
                state.jump(offset);
                let Some(from) = state.moved_from.take() else { return Ok(()) };
                let moved = Moved {
                    topic: state.topic.clone(),
                    partition: state.partition,
                    from,
                    to: offset,
                    why: MovedWhy::OutOfRange,
                };
                self.tell(Event::Moved(moved))
            }
            (Err(error), Position::Asking(timestamp)) if error.is_retriable() => {
                state.failures += 1;
                state.not_before = Some(Instant::now() + self.cluster.backoff(state.failures));
                state.position = Position::Ask(timestamp);
                Ok(())
            }
            (Err(error), _) => Err(self.fail(error)),
        }
    }

    fn take_answer(
        &mut self,
        leader: i32,
        wishes: &[Wish],
        result: Result<FetchResponse, CallError>,
    ) -> Result<(), Ended> {
        for wish in wishes {
            if let Some(state) = self.partitions.get_mut(wish.index) {
                state.in_flight = false;
            }
        }
        let response = match result {
            Ok(response) => response,
            Err(error) => return self.call_failed(leader, &error),
        };
        if let Some(lane) = self.lanes.get_mut(&leader) {
            lane.failures = 0;
            let throttle = u64::try_from(response.throttle_time_ms).unwrap_or(0);
            lane.not_before =
                (throttle > 0).then(|| Instant::now() + Duration::from_millis(throttle));
        }
        self.take_response(wishes, response)
    }

    /// The connection broke, or the request can't be made.
    fn call_failed(&mut self, leader: i32, error: &CallError) -> Result<(), Ended> {
        if let CallError::Connection(_) | CallError::Busy = error {
            tracing::debug!(broker = leader, %error, "fetch failed");
            let lane = self.lanes.entry(leader).or_default();
            lane.connection = None;
            lane.failures += 1;
            lane.not_before = Some(Instant::now() + self.cluster.backoff(lane.failures));
            self.stale = true;
            return Ok(());
        }
        Err(self.fail(error.clone().into()))
    }

    /// Tries a partition again later, with leaders asked for anew.
    pub(super) fn retry_later(&mut self, index: usize) {
        let Some(state) = self.partitions.get_mut(index) else { return };
        state.failures += 1;
        state.not_before = Some(Instant::now() + self.cluster.backoff(state.failures));
        self.stale = true;
    }

    /// The position does not exist (any more): goes on where the options say.
    pub(super) fn reset(&mut self, index: usize) -> Result<(), Ended> {
        let Some(state) = self.partitions.get_mut(index) else { return Ok(()) };
        let Position::At(offset) = state.position else { return Ok(()) };
        let special = match self.options.reset {
            Reset::Earliest => EARLIEST,
            Reset::Latest => LATEST,
            Reset::Fail => {
                let what = format!("offset {offset} of {}-{}", state.topic, state.partition);
                let error = ClientError::refused(what, ErrorCode::OffsetOutOfRange, None);
                return Err(self.fail(error));
            }
        };
        state.position = Position::Ask(special);
        state.moved_from = Some(offset);
        Ok(())
    }

    /// Hands something to the consumer.
    pub(super) fn tell(&self, event: Event) -> Result<(), Ended> {
        self.out.send(Ok(event)).map_err(|_| Ended)
    }

    /// Tells the error with which the consumer ends.
    pub(super) fn fail(&self, error: ClientError) -> Ended {
        let _ = self.out.send(Err(error));
        Ended
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let partitions = self.partitions.iter().filter_map(|state| state.not_before);
        let lanes = self.lanes.values().filter_map(|lane| lane.not_before);
        let refresh = (!self.refreshing).then_some(self.refresh_at);
        let times = partitions.chain(lanes).chain(refresh).filter(|at| *at > now);
        times.min().unwrap_or(now + IDLE)
    }
}

/// Waits for the next answered fetch.
async fn poll_answer(
    lanes: &mut BTreeMap<i32, Lane>,
) -> (i32, Vec<Wish>, Result<FetchResponse, CallError>) {
    poll_fn(|cx| {
        for (leader, lane) in lanes.iter_mut() {
            let Some((_, pending)) = &mut lane.in_flight else { continue };
            let Poll::Ready(result) = Pin::new(pending).poll(cx) else { continue };
            let wishes = lane.in_flight.take().map(|(wishes, _)| wishes).unwrap_or_default();
            return Poll::Ready((*leader, wishes, result));
        }
        Poll::Pending
    })
    .await
}

/// The offset for a timestamp; the end when no record is that late.
async fn ask_offset(
    cluster: &Cluster,
    isolation: super::Isolation,
    question: OffsetQuestion,
) -> Result<i64, ClientError> {
    let end = OffsetQuestion { timestamp: LATEST, ..question.clone() };
    for question in [question, end] {
        let answers = list_offsets(cluster, isolation, vec![question]).await?;
        let answer = answers.into_iter().next().ok_or(ClientError::Incomplete("ListOffsets"))?;
        if let Some(offset) = answer.offset? {
            return Ok(offset);
        }
    }
    Err(ClientError::Incomplete("ListOffsets"))
}
