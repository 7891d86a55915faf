//! `replay --to TOPIC`: every record of the job into the topic, once, over any number of kills.
//!
//! The job owns producer ids, and numbers the records of each pair of source and target partition in
//! the order of the source: record `n` of a pair has sequence number `n`, in every run. The broker
//! appends a batch only when it follows the last number of its producer id in that partition. So what
//! a killed run still has on its way can land at any time: it is the very record that belongs there, or
//! it is refused. Where this run finds itself refused, another's records have landed: it looks again
//! at how far the pair is, and goes on from there.

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_client::ClientError;
use duramen_client::consumer::{ConsumerRecord, Isolation};
use duramen_client::producer::{
    Compression, HeaderView, Identity, Producer, ProducerOptions, ProducerRecord,
};
use duramen_client::replay::Replay;
use duramen_client::replay::arrived::{LastSequences, Stretch, last_sequences};
use duramen_client::{ErrorCode, Text};
use tokio::time::{Instant, MissedTickBehavior};

use super::End;
use super::checkpoint::CheckpointFile;
use super::job::{Job, Target};
use super::record::{self, Provenance};
use super::route::Route;
use super::tracker::{Place, Tracker};
use super::work::{self, Work};
use crate::cli::edges::{Edges, edges_of};
use crate::cli::exit::{Exit, Failure, at_place};

/// How often the checkpoint is written while there is something new to say.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(500);
/// Bytes of records that may be on their way.
const OPEN_BYTES: usize = 32 * 1024 * 1024;
/// How long the target may show nothing new while it refuses what should come next.
const PATIENCE: Duration = Duration::from_secs(60);
/// Sequence numbers run from 0 up to this, exclusive.
const SEQUENCES: u64 = 1 << 31;

/// See the top of the file.
pub(super) struct ToTopic<'a> {
    pub(super) work: &'a mut Work,
    pub(super) job: &'a mut Job,
    pub(super) checkpoint: &'a CheckpointFile,
    pub(super) topic: Text,
    pub(super) keep_partitions: bool,
    pub(super) compression: Compression,
    pub(super) request_timeout: Duration,
}

/// How a run over the rest of the job ended.
enum Run {
    Ended(End),
    /// The target has records of the job that this run does not know of.
    Overtaken,
}

/// What happens next in a run.
enum Step {
    Record(Option<ConsumerRecord>),
    Settled,
    Checkpoint,
    Stop,
}

impl ToTopic<'_> {
    /// Replays what is left of the job. `resumed` when another process has worked on it.
    pub(super) async fn run(mut self, resumed: bool) -> Result<End, Failure> {
        let mut ends = match &self.job.target {
            Target::Topic { scan_from, .. } => scan_from.clone(),
            Target::File { .. } => Vec::new(),
        };
        if resumed {
            ends = self.look(false).await?.0;
        }
        let (mut overtaken, mut since) = (0, Instant::now());
        loop {
            if let Run::Ended(end) = self.rest(ends).await? {
                return Ok(end);
            }
            overtaken += 1;
            // What it refuses for may not be committed yet, and so not be seen.
            tokio::time::sleep(self.work.cluster.backoff(overtaken)).await;
            let found_new;
            (ends, found_new) = self.look(overtaken > 1).await?;
            if found_new {
                (overtaken, since) = (0, Instant::now());
            } else if since.elapsed() > PATIENCE {
                let words = format!(
                    "topic {} takes no more records of this replay, as if it had lost some of them; its \
                     partitions are as they were: compare them, and remove {} to begin anew",
                    self.topic,
                    self.checkpoint.path().display()
                );
                return Err(Failure::new(Exit::Delivery, words));
            }
        }
    }

    /// Looks through the target for how far each pair is, from where the checkpoint says or, with
    /// `all`, from where the job began. Gives the ends of what was seen, and whether it was news.
    async fn look(&mut self, all: bool) -> Result<(Vec<i64>, bool), Failure> {
        let Target::Topic { began_at, scan_from, producers, .. } = &self.job.target else {
            return Ok((Vec::new(), false));
        };
        let from = if all { began_at } else { scan_from };
        let count = i32::try_from(from.len()).unwrap_or(i32::MAX);
        let partitions = (0..count).map(|partition| (self.topic.clone(), partition)).collect();
        let edges =
            edges_of(&self.work.cluster, Isolation::ReadUncommitted, partitions, None).await?;
        let stretches: Vec<Stretch> = edges
            .iter()
            .zip(from)
            .map(|(Edges { partition, edges, .. }, from)| {
                Stretch::new(*partition, (*from).max(edges.start), edges.end)
            })
            .collect();
        let last = last_sequences(&self.work.cluster, &self.topic, &stretches, |id| {
            producers.iter().any(|(own, _)| *own == id)
        })
        .await?;
        let deleted: Vec<bool> =
            edges.iter().zip(from).map(|(edges, from)| edges.edges.start > *from).collect();
        let news = take_in(self.job, &last, self.keep_partitions, &deleted).map_err(|target| {
            let words = format!(
                "{}-{target} has lost records to retention since the checkpoint, so it can't be told what \
                 has arrived; remove {} to begin anew",
                self.topic,
                self.checkpoint.path().display()
            );
            Failure::new(Exit::Failed, words)
        })?;
        Ok((edges.iter().map(|edges| edges.edges.end).collect(), news))
    }

    /// A producer for each identity, which goes on where the job stands.
    fn producers(&self) -> Result<Vec<Producer>, ClientError> {
        let Target::Topic { producers, .. } = &self.job.target else { return Ok(Vec::new()) };
        let start = |(at, (id, epoch)): (usize, &(i64, i16))| {
            let mut next = BTreeMap::new();
            let shared = producers.len() == 1;
            for (_, source) in
                self.job.sources.iter().enumerate().filter(|(source, _)| shared || *source == at)
            {
                for (target, sent) in (0..).zip(&source.sent) {
                    if !(shared && self.keep_partitions) || target == source.partition {
                        let number = i32::try_from(sent.arrived % SEQUENCES).unwrap_or(0);
                        next.insert((self.topic.clone(), target), number);
                    }
                }
            }
            let options = ProducerOptions::default()
                .identity(Identity::new(*id, *epoch).next(next))
                .compression(self.compression)
                .request_timeout(self.request_timeout)
                .allow_topic_creation(false);
            Producer::start(&self.work.cluster, options)
        };
        producers.iter().enumerate().map(start).collect()
    }

    /// Replays from where the job stands; `ends` are the target's ends as far as it was looked through.
    async fn rest(&mut self, ends: Vec<i64>) -> Result<Run, Failure> {
        let mut sender = Sender {
            producers: self.producers()?,
            topic: self.topic.clone(),
            route: Route {
                keep: self.keep_partitions,
                partitions: i32::try_from(ends.len()).unwrap_or(i32::MAX),
            },
            provenance: self.work.provenance.then(Provenance::default),
        };
        let mut tracker = Tracker::new(self.job, ends);
        let mut replay = self.work.replay(&self.job.sources, self.work.pace)?;
        let (records, bytes) = self.work.written;
        let mut ran = self.drive(&mut replay, &mut tracker, &mut sender).await;
        if matches!(ran, Ok(Run::Ended(_)) | Ok(Run::Overtaken)) {
            // Nothing of this run may be on its way when the next one looks, or when we say done.
            let flush = async {
                for producer in &sender.producers {
                    producer.flush().await;
                }
            };
            tokio::select! {
                () = flush => {}
                () = self.work.stopped() => {
                    ran = Err(Failure::new(Exit::Delivery, "left with records on their way; see --resume"));
                }
            }
            if let (Err(failed), Ok(Run::Ended(_))) = (self.settle(&mut tracker), &ran) {
                ran = failed;
            }
        }
        self.note(&tracker, &replay);
        self.work.written = (records + tracker.delivered, bytes + tracker.delivered_bytes);
        self.job.done = matches!(ran, Ok(Run::Ended(End::Done)));
        self.checkpoint.write(self.job)?;
        ran
    }

    async fn drive(
        &mut self,
        replay: &mut Replay,
        tracker: &mut Tracker,
        sender: &mut Sender,
    ) -> Result<Run, Failure> {
        let mut ticks = tokio::time::interval(CHECKPOINT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = self.job.clone();
        let before = self.work.written;
        loop {
            let step = tokio::select! {
                biased;
                () = self.work.stopped() => Step::Stop,
                _ = ticks.tick() => Step::Checkpoint,
                () = tracker.oldest() => Step::Settled,
                record = work::next(replay), if tracker.bytes < OPEN_BYTES => Step::Record(record?),
            };
            match step {
                Step::Stop => return Ok(Run::Ended(End::Stopped)),
                Step::Record(None) => return Ok(Run::Ended(End::Done)),
                Step::Record(Some(record)) => {
                    let sent = tokio::select! {
                        biased;
                        sent = sender.send(self.job, tracker, &record) => sent,
                        () = self.work.stopped() => return Ok(Run::Ended(End::Stopped)),
                    };
                    sent.map_err(|error| at_place(&record_words(&record), &error))?;
                }
                Step::Settled => {
                    if let Err(failed) = self.settle(tracker) {
                        return failed;
                    }
                }
                Step::Checkpoint => {
                    self.work.written =
                        (before.0 + tracker.delivered, before.1 + tracker.delivered_bytes);
                    self.work.show_progress_now(replay);
                    self.note(tracker, replay);
                    if *self.job != last {
                        self.checkpoint.write(self.job)?;
                        last.clone_from(self.job);
                    }
                }
            }
        }
    }

    fn note(&mut self, tracker: &Tracker, replay: &Replay) {
        tracker.note(self.job, replay.positions().map(|(_, at)| at));
    }

    /// Takes note of the fates known by now; the error is how the run ends.
    fn settle(&self, tracker: &mut Tracker) -> Result<(), Result<Run, Failure>> {
        tracker.settle().map_err(|failed| {
            let (place, error) = (failed.place, failed.error.error);
            if error.code() == Some(ErrorCode::OutOfOrderSequenceNumber) {
                return Ok(Run::Overtaken);
            }
            let partition = self.job.sources.get(place.source).map_or(0, |s| s.partition);
            let words = format!("{}-{partition} offset {}", self.work.source, place.offset);
            Err(at_place(&words, &error))
        })
    }
}

fn record_words(record: &ConsumerRecord) -> String {
    format!("{}-{} offset {}", record.topic, record.partition, record.offset)
}

/// Notes how far each pair is; whether that was news. Where `deleted` says that a part of the target is
/// gone unseen, what was not found can't be known: the error names the partition.
fn take_in(
    job: &mut Job,
    last: &LastSequences,
    keep: bool,
    deleted: &[bool],
) -> Result<bool, usize> {
    let Target::Topic { producers, .. } = &job.target else { return Ok(false) };
    let mut news = false;
    for (at, source) in job.sources.iter_mut().enumerate() {
        let Some((id, _)) = producers.get(at).or(producers.first()) else { continue };
        let finished = source.position >= source.to;
        for (target, sent) in source.sent.iter_mut().enumerate() {
            let number = i32::try_from(target).unwrap_or(i32::MAX);
            if keep && number != source.partition {
                continue;
            }
            match last.get(&(*id, number)) {
                Some(sequence) => {
                    let arrived = count_of(*sequence, sent.arrived);
                    news |= arrived > sent.arrived;
                    sent.arrived = arrived;
                }
                None if !finished && deleted.get(target) == Some(&true) => return Err(target),
                None => {}
            }
        }
    }
    Ok(news)
}

/// How many records a pair has when `sequence` is its last number and `known` had arrived before.
/// Numbers start again at 0 after 2^31 records; no two looks are half as far apart.
fn count_of(sequence: i32, known: u64) -> u64 {
    let next = u64::try_from(sequence).map_or(0, |sequence| sequence + 1) % SEQUENCES;
    let ahead = (next + SEQUENCES - known % SEQUENCES) % SEQUENCES;
    if ahead < SEQUENCES / 2 { known + ahead } else { known }
}

/// Sends records under the job's identities.
struct Sender {
    producers: Vec<Producer>,
    topic: Text,
    route: Route,
    provenance: Option<Provenance>,
}

impl Sender {
    /// Puts a record on its way, unless it is in the target already.
    async fn send(
        &mut self,
        job: &Job,
        tracker: &mut Tracker,
        record: &ConsumerRecord,
    ) -> Result<(), duramen_client::ClientError> {
        let source = job.sources.binary_search_by_key(&record.partition, |source| source.partition);
        let target = self.route.target(record.partition, record.offset, record.key.as_deref());
        let place = Place {
            source: source.unwrap_or(usize::MAX),
            offset: record.offset,
            target: usize::try_from(target).unwrap_or(usize::MAX),
        };
        if tracker.begin(place) {
            tracker.push(place, None, 0);
            return Ok(());
        }
        let Some(producer) = self.producers.get(place.source).or(self.producers.first()) else {
            return Err(duramen_client::ClientError::Closed);
        };
        let headers: Vec<HeaderView<'_>> = match &mut self.provenance {
            Some(provenance) => provenance.headers(record).map(record::header_view).collect(),
            None => record::own_headers(record).map(record::header_view).collect(),
        };
        let out = ProducerRecord {
            topic: &self.topic,
            partition: Some(target),
            timestamp: Some(record.timestamp).filter(|timestamp| *timestamp >= 0),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        let delivery = match producer.try_enqueue(&out)? {
            Some(delivery) => delivery,
            None => producer.enqueue(out).await?,
        };
        let bytes = usize::try_from(record::size(record)).unwrap_or(usize::MAX);
        tracker.push(place, Some(delivery), bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::Sent;
    use super::super::job::tests::sample;
    use super::*;

    #[test]
    fn the_last_sequence_tells_how_many_there_are() {
        assert_eq!(count_of(4, 0), 5);
        assert_eq!(count_of(4, 5), 5);
        assert_eq!(count_of(3, 5), 5, "a look from too far back is no news");
        assert_eq!(count_of(i32::MAX, SEQUENCES - 10), SEQUENCES);
        assert_eq!(count_of(1, SEQUENCES - 10), SEQUENCES + 2);
        assert_eq!(count_of(1, 5 * SEQUENCES), 5 * SEQUENCES + 2);
    }

    #[test]
    fn what_was_found_belongs_to_its_own_pair() {
        let mut job = sample();
        let last = LastSequences::from([((1 << 40, 1), 6), ((8, 0), 2), ((77, 1), 9)]);
        assert_eq!(take_in(&mut job, &last, false, &[]), Ok(true));
        assert_eq!(job.sources[0].sent[1], Sent { settled: 0, arrived: 7 });
        assert_eq!(job.sources[1].sent[0], Sent { settled: 1, arrived: 5 }, "known before");
        assert_eq!(take_in(&mut job, &last, false, &[]), Ok(false));
        assert_eq!(take_in(&mut job, &last, false, &[false, true]), Err(1));
        // With partitions kept one id serves all, and only the own partition counts.
        let mut job = sample();
        job.sources[1].partition = 1;
        if let Target::Topic { producers, .. } = &mut job.target {
            producers.truncate(1);
        }
        assert_eq!(take_in(&mut job, &last, true, &[]), Ok(true));
        assert_eq!(job.sources[0].sent[1], Sent::default());
        assert_eq!(job.sources[1].sent[1].arrived, 7);
    }
}
