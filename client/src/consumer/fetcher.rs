//! The one task of a consumer: keeps a fetch at each broker that is read from, while there is memory for its
//! answer. `answers.rs` reads what comes.

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

use super::answers::refused;
use super::budget::Budget;
use super::command::{Command, Reading, Told};
use super::options::{ConsumerOptions, Reset};
use super::position::{PartitionState, Position};
use super::request::{Wish, by_id, request, version_cap};
use super::session::Session;
use super::{Event, Moved, MovedWhy};
use crate::admin::offsets::{OffsetQuestion, list_offsets};
use crate::clock::ago;
use crate::cluster::{Cluster, ClusterView, Topics};
use crate::connection::{CallError, Connection, Pending};
use crate::error::ClientError;
use crate::trouble::Trying;

/// How long the fetcher sleeps when nothing at all is due.
const IDLE: Duration = Duration::from_secs(60);
/// Answers of "no such topic" after which it is believed to be gone.
const GONE_AFTER: u32 = 5;
/// The first version with sessions (KIP-227).
const FIRST_WITH_SESSIONS: i16 = 7;

/// Work done beside the loop.
enum Done {
    Connected(i32, Result<Connection, ClientError>),
    Metadata(Result<(), ClientError>),
    Offset(Reading, Result<i64, ClientError>),
}

/// One broker that is read from: its connection and the fetch that waits there.
#[derive(Debug, Default)]
struct Lane {
    connection: Option<Connection>,
    connecting: bool,
    failures: u32,
    not_before: Option<Instant>,
    session: Session,
    in_flight: Option<(Vec<Wish>, Pending<FetchResponse>)>,
}

/// See the top of the file.
pub(super) struct Fetcher {
    pub(super) cluster: Cluster,
    pub(super) options: ConsumerOptions,
    /// Whether a topic that is gone ends the consumer, or only the reading of it.
    pub(super) fails_without_topic: bool,
    pub(super) partitions: BTreeMap<Reading, PartitionState>,
    pub(super) budget: Arc<Budget>,
    commands: mpsc::UnboundedReceiver<Command>,
    out: mpsc::UnboundedSender<Told>,
    lanes: BTreeMap<i32, Lane>,
    done: JoinSet<Done>,
    /// Which partition stands first in the next request.
    turn: usize,
    pub(super) stale: bool,
    refreshing: bool,
    refresh_failures: u32,
    refresh_at: Instant,
    view: Arc<ClusterView>,
    pub(super) trying: Trying,
}

/// The consumer ended, with an error that was told or because nobody listens.
pub(super) struct Ended;

impl Fetcher {
    pub(super) fn new(
        cluster: Cluster,
        options: ConsumerOptions,
        fails_without_topic: bool,
        commands: mpsc::UnboundedReceiver<Command>,
        out: mpsc::UnboundedSender<Told>,
    ) -> Self {
        Self {
            view: cluster.view(),
            trying: Trying::new(cluster.meter()),
            refresh_at: Instant::now() + cluster.options().metadata_max_age,
            partitions: BTreeMap::new(),
            budget: Arc::new(Budget::new(cluster.meter())),
            cluster,
            options,
            fails_without_topic,
            commands,
            out,
            lanes: BTreeMap::new(),
            done: JoinSet::new(),
            turn: 0,
            stale: false,
            refreshing: false,
            refresh_failures: 0,
        }
    }

    /// Works until the consumer is dropped, or an error was told.
    pub(super) async fn run(mut self) {
        while self.step().await.is_ok() {}
    }

    async fn step(&mut self) -> Result<(), Ended> {
        // Everything that was asked for stands before the next request is made.
        while let Ok(command) = self.commands.try_recv() {
            self.take_command(command);
        }
        self.look_for_trouble();
        let now = Instant::now();
        self.view = self.cluster.view();
        self.ask_offsets(now);
        self.fetch_all(now)?;
        self.begin_refresh(now);
        let wake = self.next_wake(now);
        let budget = Arc::clone(&self.budget);
        tokio::select! {
            (broker, wishes, result) = poll_answer(&mut self.lanes) => {
                self.take_answer(broker, &wishes, result)
            }
            Some(done) = self.done.join_next() => match done {
                Ok(done) => self.take_done(done),
                Err(_) => Ok(()),
            },
            command = self.commands.recv() => {
                self.take_command(command.ok_or(Ended)?);
                Ok(())
            }
            () = budget.freed() => Ok(()),
            () = sleep_until(wake) => Ok(()),
        }
    }

    fn take_command(&mut self, command: Command) {
        match command {
            Command::Read(reading, order) => {
                // What is read apart must not wait until the rest is taken, nor the other way round.
                let budget = match order.outlet {
                    Some(_) => Arc::new(self.budget.beside()),
                    None => Arc::clone(&self.budget),
                };
                let metered = self.cluster.meter().reads(&order.at);
                let state = PartitionState::new(order, budget, metered);
                let is_done = state.is_done();
                self.partitions.insert(reading, state);
                if is_done {
                    self.tell(Told::Done(reading));
                }
            }
            Command::Stop(reading) => {
                self.partitions.remove(&reading);
            }
            Command::Pause(reading, paused) => {
                if let Some(state) = self.partitions.get_mut(&reading) {
                    state.paused = paused;
                }
            }
        }
    }

    /// Asks for the positions that are not known.
    fn ask_offsets(&mut self, now: Instant) {
        for (reading, state) in &mut self.partitions {
            let Position::Ask(timestamp) = state.position else { continue };
            if state.waits(now) || state.gone {
                continue;
            }
            state.position = Position::Asking(timestamp);
            let (cluster, isolation) = (self.cluster.clone(), self.options.isolation);
            let (topic, partition) = (state.topic.clone(), state.partition);
            let reading = *reading;
            self.done.spawn(async move {
                let question = OffsetQuestion::at(topic, partition, timestamp);
                Done::Offset(reading, ask_offset(&cluster, isolation, question).await)
            });
        }
    }

    /// Sends a fetch to each broker that has none and for whose answer there is memory.
    fn fetch_all(&mut self, now: Instant) -> Result<(), Ended> {
        let mut by_broker: BTreeMap<i32, Vec<Wish>> = BTreeMap::new();
        let turn = self.turn % self.partitions.len().max(1);
        let readings: Vec<Reading> = self.partitions.keys().copied().collect();
        for reading in readings.iter().cycle().skip(turn).take(readings.len()) {
            match self.wish(*reading, now) {
                Ok(Some((broker, wish))) => by_broker.entry(broker).or_default().push(wish),
                Ok(None) => {}
                Err(error) => return Err(self.fail(error)),
            }
        }
        for (broker, wishes) in by_broker {
            self.fetch(broker, wishes, now)?;
        }
        Ok(())
    }

    /// Whether there is memory for more of a partition.
    pub(super) fn has_room(&self, state: &PartitionState) -> bool {
        let bytes = match state.outlet {
            Some(_) => self.options.partition_bytes,
            None => self.options.prefetch_bytes,
        };
        state.budget.held() < bytes.max(1)
    }

    /// What to ask of which broker for a partition, if it can be asked for now.
    fn wish(&mut self, reading: Reading, now: Instant) -> Result<Option<(i32, Wish)>, ClientError> {
        let Some(state) = self.partitions.get(&reading) else { return Ok(None) };
        let Some(offset) = state.fetchable(now).filter(|_| self.has_room(state)) else {
            return Ok(None);
        };
        let Some(topic) = self.view.topic(&state.topic).cloned() else {
            let what = format!("topic {}", state.topic);
            let error = ClientError::refused(what, ErrorCode::UnknownTopicOrPartition, None);
            return self.missing(reading, error).map(|()| None);
        };
        let Some(known) = topic.partition(state.partition) else {
            let error = ClientError::NoPartition {
                topic: state.topic.clone(),
                partition: state.partition,
                count: topic.partitions.len(),
            };
            // It may be younger than what brokers know of the topic.
            return self.missing(reading, error).map(|()| None);
        };
        let (leader, leader_epoch) = (known.leader, known.leader_epoch);
        let Some(state) = self.partitions.get_mut(&reading) else { return Ok(None) };
        if state.topic_id.is_nil() {
            state.topic_id = topic.id;
        }
        if state.topic_id != topic.id {
            self.made_again(reading);
            return Ok(None);
        }
        let Some(leader) = leader else {
            self.stale = true;
            self.trying.failed(&refused(
                &state.topic,
                state.partition,
                ErrorCode::LeaderNotAvailable,
            ));
            return Ok(None);
        };
        let wish = Wish {
            reading,
            topic: state.topic.clone(),
            topic_id: topic.id,
            partition: state.partition,
            offset,
            leader_epoch,
            last_epoch: state.last_epoch,
        };
        Ok(Some((state.source(leader, now), wish)))
    }

    /// A topic or partition is not there, as far as is known. When it was looked for often enough, that
    /// is believed.
    pub(super) fn missing(
        &mut self,
        reading: Reading,
        error: ClientError,
    ) -> Result<(), ClientError> {
        self.stale = true;
        let missed = self.partitions.get(&reading).map_or(0, |state| state.missed);
        match missed >= GONE_AFTER {
            true if self.fails_without_topic => return Err(error),
            true => self.is_gone(reading),
            false => {}
        }
        Ok(())
    }

    fn is_gone(&mut self, reading: Reading) {
        if let Some(state) = self.partitions.get_mut(&reading) {
            state.gone = true;
            self.tell(Told::Gone(reading));
        }
    }

    /// Another topic has its name: nothing of it was read.
    fn made_again(&mut self, reading: Reading) {
        if !self.fails_without_topic {
            return self.is_gone(reading);
        }
        if let Some(state) = self.partitions.get_mut(&reading) {
            state.topic_id = duramen_protocol::ids::TopicId::nil();
            state.lose_place(EARLIEST, MovedWhy::Recreated);
        }
    }

    fn fetch(&mut self, broker: i32, wishes: Vec<Wish>, now: Instant) -> Result<(), Ended> {
        let lane = self.lanes.entry(broker).or_default();
        if lane.connection.as_ref().is_some_and(|connection| connection.ended().is_some()) {
            lane.connection = None;
        }
        if lane.in_flight.is_some() || lane.not_before.is_some_and(|at| now < at) {
            return Ok(());
        }
        let Some(connection) = &lane.connection else {
            lane.session.end();
            if !lane.connecting {
                lane.connecting = true;
                let cluster = self.cluster.clone();
                self.done
                    .spawn(async move { Done::Connected(broker, cluster.dedicated(broker).await) });
            }
            return Ok(());
        };
        // Within a session nothing is said of a partition without news, as of one that compaction has
        // emptied up to the end that is looked for.
        let endless = self.partitions.values().all(|state| state.end.is_none());
        let timeout = self.cluster.options().connection.request_timeout + self.options.max_wait;
        let begun =
            connection.version_of::<FetchRequest>(version_cap(&wishes)).and_then(|version| {
                let wanted = endless && version >= FIRST_WITH_SESSIONS;
                let step = lane.session.step(&wishes, wanted, by_id(version));
                let request = request(&self.options, version, &wishes, step);
                connection.begin(version, &request, timeout)
            });
        match begun {
            Ok(pending) => {
                for wish in &wishes {
                    if let Some(state) = self.partitions.get_mut(&wish.reading) {
                        state.in_flight = true;
                    }
                }
                self.turn = self.turn.wrapping_add(1);
                lane.in_flight = Some((wishes, pending));
                Ok(())
            }
            Err(error) => self.call_failed(broker, &error),
        }
    }

    /// Asks for metadata when an error said so, or it has grown old.
    fn begin_refresh(&mut self, now: Instant) {
        let due = now >= self.refresh_at;
        let mut names: Vec<Text> =
            self.partitions.values().filter(|it| !it.gone).map(|it| it.topic.clone()).collect();
        if self.refreshing || names.is_empty() || !(due || self.stale && self.refresh_failures == 0)
        {
            return;
        }
        self.refreshing = true;
        let cluster = self.cluster.clone();
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
            Done::Offset(reading, result) => self.take_offset(reading, result),
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
                self.forsake(id);
                tracing::debug!(broker = id, %error, "not connected");
                self.trying.failed(&error);
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// A broker can't be reached: leaders are looked for anew, and others than leaders are not asked.
    fn forsake(&mut self, broker: i32) {
        self.stale = true;
        for state in self.partitions.values_mut() {
            state.replica = state.replica.filter(|(replica, _)| *replica != broker);
        }
    }

    fn take_metadata(&mut self, result: Result<(), ClientError>) {
        self.refreshing = false;
        let now = Instant::now();
        self.view = self.cluster.view();
        self.stale = result.is_err();
        if let Err(error) = &result {
            self.trying.failed(error);
        }
        for state in self.partitions.values_mut().filter(|state| !state.gone) {
            let topic = self.view.topic(&state.topic);
            let known = topic.and_then(|topic| topic.partition(state.partition));
            self.stale |= known.is_none_or(|known| known.leader.is_none());
            match known {
                Some(_) => state.missed = 0,
                None => state.missed += u32::from(result.is_ok()),
            }
        }
        self.refresh_failures = if self.stale { self.refresh_failures + 1 } else { 0 };
        self.refresh_at = match self.refresh_failures {
            0 => now + self.cluster.options().metadata_max_age,
            failures => now + self.cluster.backoff(failures),
        };
    }

    fn take_answer(
        &mut self,
        broker: i32,
        wishes: &[Wish],
        result: Result<FetchResponse, CallError>,
    ) -> Result<(), Ended> {
        for wish in wishes {
            if let Some(state) = self.partitions.get_mut(&wish.reading) {
                state.in_flight = false;
                state.heard = result.is_ok().then(Instant::now).or(state.heard);
            }
        }
        let response = match result {
            Ok(response) => response,
            Err(error) => return self.call_failed(broker, &error),
        };
        self.cluster.meter().fetches.add(1);
        if let Some(lane) = self.lanes.get_mut(&broker) {
            lane.failures = 0;
            let throttle = u64::try_from(response.throttle_time_ms).unwrap_or(0);
            lane.not_before =
                (throttle > 0).then(|| Instant::now() + Duration::from_millis(throttle));
            match response.error_code {
                0 => lane.session.answered(response.session_id),
                _ => lane.session.end(),
            }
        }
        self.take_response(broker, wishes, response)
    }

    /// The connection broke, or the request can't be made.
    fn call_failed(&mut self, broker: i32, error: &CallError) -> Result<(), Ended> {
        let lane = self.lanes.entry(broker).or_default();
        lane.session.end();
        if let CallError::Connection(_) | CallError::Busy = error {
            tracing::debug!(broker, %error, "fetch failed");
            lane.connection = None;
            lane.failures += 1;
            lane.not_before = Some(Instant::now() + self.cluster.backoff(lane.failures));
            self.forsake(broker);
            self.trying.failed(&error.clone().into());
            return Ok(());
        }
        Err(self.fail(error.clone().into()))
    }

    /// Tries a partition again later, at a leader that is asked for anew.
    pub(super) fn retry_later(&mut self, reading: Reading, error: &ClientError) {
        self.trying.failed(error);
        let Some(state) = self.partitions.get_mut(&reading) else { return };
        state.wait(Instant::now(), |failures| self.cluster.backoff(failures));
        state.replica = None;
        self.stale = true;
    }

    /// The position does not exist (any more): goes on where the options say.
    pub(super) fn reset(&mut self, reading: Reading) -> Result<(), Ended> {
        let Some(state) = self.partitions.get_mut(&reading) else { return Ok(()) };
        let Position::At(offset) = state.position else { return Ok(()) };
        let special = match self.options.reset {
            Reset::Earliest => EARLIEST,
            Reset::Latest => LATEST,
            Reset::Ago(age) => ago(age),
            Reset::Fail => {
                let what = format!("offset {offset} of {}-{}", state.topic, state.partition);
                let error = ClientError::refused(what, ErrorCode::OffsetOutOfRange, None);
                return Err(self.fail(error));
            }
        };
        state.lose_place(special, MovedWhy::OutOfRange);
        Ok(())
    }

    /// Says that reading goes on elsewhere.
    pub(super) fn tell_moved(&mut self, reading: Reading, (from, to): (i64, i64), why: MovedWhy) {
        let Some(state) = self.partitions.get(&reading) else { return };
        state.reading.reached(to);
        let (topic, partition) = (state.topic.clone(), state.partition);
        self.tell_event(reading, Event::Moved(Moved { topic, partition, from, to, why }));
    }

    /// Hands something of a partition to who reads it.
    pub(super) fn tell_event(&mut self, reading: Reading, event: Event) {
        let outlet = self.partitions.get(&reading).and_then(|state| state.outlet.as_ref());
        let Some(outlet) = outlet else { return self.tell(Told::Event(reading, event)) };
        // Whoever read it apart does so no more: nothing more is fetched for nobody.
        if outlet.send((reading, event)).is_err() {
            self.partitions.remove(&reading);
            self.tell(Told::Done(reading));
        }
    }

    pub(super) fn tell_if_done(&mut self, reading: Reading) {
        let Some(state) = self.partitions.get_mut(&reading).filter(|state| state.is_done()) else {
            return;
        };
        // Who reads it apart sees its end.
        state.outlet = None;
        self.tell(Told::Done(reading));
    }

    /// Hands something to the consumer. When nobody listens, the commands say so.
    fn tell(&self, told: Told) {
        let _ = self.out.send(told);
    }

    /// Tells the error with which the consumer ends.
    pub(super) fn fail(&self, error: ClientError) -> Ended {
        self.tell(Told::Failed(error));
        Ended
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let partitions = self.partitions.values().filter_map(|state| state.not_before);
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
        for (broker, lane) in lanes.iter_mut() {
            let Some((_, pending)) = &mut lane.in_flight else { continue };
            let Poll::Ready(result) = Pin::new(pending).poll(cx) else { continue };
            let wishes = lane.in_flight.take().map(|(wishes, _)| wishes).unwrap_or_default();
            return Poll::Ready((*broker, wishes, result));
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
