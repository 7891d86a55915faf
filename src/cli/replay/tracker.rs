//! Records on their way into a topic, in the order in which they left: what of the job is settled, and
//! from where the target would have to be looked through if this process died now.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use duramen_client::producer::{Delivery, DeliveryError};

use super::job::{Job, Sent, Target};

/// See the top of the file.
#[derive(Debug)]
pub(super) struct Tracker {
    waiting: VecDeque<Waiting>,
    /// Bytes of what waits.
    pub(super) bytes: usize,
    /// Records that were written, not counting those that were there already.
    pub(super) delivered: u64,
    /// Their bytes.
    pub(super) delivered_bytes: u64,
    sources: Vec<Progress>,
    /// By partition of the target: every record sent from now on lands at or behind this offset.
    high: Vec<i64>,
}

#[derive(Debug)]
struct Waiting {
    place: Place,
    /// `None` for a record that is in the target already.
    delivery: Option<Delivery>,
    bytes: usize,
}

/// A record by its source (an index of the job's), its offset there, and the target's partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) source: usize,
    pub(super) offset: i64,
    pub(super) target: usize,
}

/// A record that was not delivered.
#[derive(Debug)]
pub(super) struct Undelivered {
    pub(super) place: Place,
    pub(super) error: DeliveryError,
}

#[derive(Debug)]
struct Progress {
    /// Everything below is settled.
    settled_to: i64,
    open: usize,
    pairs: Vec<Pair>,
}

/// Records of one source partition for one partition of the target.
#[derive(Debug, Default)]
struct Pair {
    sent: Sent,
    /// How many have begun: settled and open.
    numbered: u64,
    open: usize,
    /// Every open one lands at or behind this offset.
    floor: i64,
}

impl Tracker {
    /// Nothing is on its way; what will be sent lands behind `ends`, by partition of the target.
    pub(super) fn new(job: &Job, ends: Vec<i64>) -> Self {
        let pair = |sent: &Sent| Pair { sent: *sent, numbered: sent.settled, ..Pair::default() };
        let sources = job.sources.iter().map(|source| Progress {
            settled_to: source.position,
            open: 0,
            pairs: source.sent.iter().map(pair).collect(),
        });
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            delivered: 0,
            delivered_bytes: 0,
            sources: sources.collect(),
            high: ends,
        }
    }

    /// A record comes next: gives it its number, and tells whether it is in the target already. Until
    /// [`Tracker::push`] says what became of it nothing behind it counts as settled.
    pub(super) fn begin(&mut self, place: Place) -> bool {
        let high = self.high.get(place.target).copied().unwrap_or(0);
        let Some((source, pair)) = pair_of(&mut self.sources, place) else { return false };
        *source += 1;
        if pair.open == 0 {
            pair.floor = high;
        }
        pair.open += 1;
        pair.numbered += 1;
        pair.numbered <= pair.sent.arrived
    }

    /// The record that began last is on its way, or, with `None`, needs none.
    pub(super) fn push(&mut self, place: Place, delivery: Option<Delivery>, bytes: usize) {
        self.bytes += bytes;
        self.waiting.push_back(Waiting { place, delivery, bytes });
    }

    /// Takes what is known by now off the front.
    ///
    /// # Errors
    /// The first record that was not delivered. It stays open for good.
    pub(super) fn settle(&mut self) -> Result<(), Box<Undelivered>> {
        while let Some(first) = self.waiting.front() {
            let offset = match first.delivery.as_ref().map(Delivery::result) {
                Some(None) => return Ok(()),
                Some(Some(Err(error))) => {
                    return Err(Box::new(Undelivered { place: first.place, error }));
                }
                Some(Some(Ok(delivered))) => {
                    self.delivered += 1;
                    self.delivered_bytes += u64::try_from(first.bytes).unwrap_or(0);
                    Some(delivered.offset).filter(|offset| *offset >= 0)
                }
                None => None,
            };
            let Some(Waiting { place, bytes, .. }) = self.waiting.pop_front() else {
                return Ok(());
            };
            self.bytes = self.bytes.saturating_sub(bytes);
            self.settled(place, offset);
        }
        Ok(())
    }

    fn settled(&mut self, place: Place, landed: Option<i64>) {
        if let Some((open, pair)) = pair_of(&mut self.sources, place) {
            *open -= 1;
            pair.open -= 1;
            pair.sent.settled += 1;
            pair.sent.arrived = pair.sent.arrived.max(pair.sent.settled);
            pair.floor = landed.map_or(pair.floor, |offset| pair.floor.max(offset + 1));
        }
        if let Some(source) = self.sources.get_mut(place.source) {
            source.settled_to = place.offset + 1;
        }
        if let (Some(high), Some(offset)) = (self.high.get_mut(place.target), landed) {
            *high = (*high).max(offset + 1);
        }
    }

    /// Writes into the job how far it is; `read_to` is how far each source was read.
    pub(super) fn note(&self, job: &mut Job, read_to: impl Iterator<Item = i64>) {
        for ((source, progress), read_to) in job.sources.iter_mut().zip(&self.sources).zip(read_to)
        {
            let position = if progress.open == 0 { read_to } else { progress.settled_to };
            source.position = position.clamp(source.position, source.to);
            source.sent = progress.pairs.iter().map(|pair| pair.sent).collect();
        }
        if let Target::Topic { scan_from, .. } = &mut job.target {
            for (target, from) in scan_from.iter_mut().enumerate() {
                let pairs = self.sources.iter().filter_map(|source| source.pairs.get(target));
                let floors = pairs.filter(|pair| pair.open > 0).map(|pair| pair.floor);
                let high = self.high.get(target).copied().unwrap_or(*from);
                *from = floors.fold(high, i64::min).max(*from);
            }
        }
    }

    /// Waits until the fate of the oldest record is known; for ever when there is none.
    pub(super) fn oldest(&mut self) -> Oldest<'_> {
        Oldest(self)
    }
}

fn pair_of(sources: &mut [Progress], place: Place) -> Option<(&mut usize, &mut Pair)> {
    let source = sources.get_mut(place.source)?;
    Some((&mut source.open, source.pairs.get_mut(place.target)?))
}

/// See [`Tracker::oldest`].
pub(super) struct Oldest<'a>(&'a mut Tracker);

impl Future for Oldest<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.0.waiting.front_mut() {
            Some(Waiting { delivery: Some(delivery), .. }) => {
                Pin::new(delivery).poll(cx).map(|_| ())
            }
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::tests::sample;
    use super::*;

    fn noted(tracker: &Tracker, job: &mut Job, read_to: [i64; 2]) -> Vec<i64> {
        tracker.note(job, read_to.into_iter());
        let Target::Topic { scan_from, .. } = &job.target else { panic!("a topic") };
        scan_from.clone()
    }

    #[test]
    fn what_is_there_already_is_passed_and_the_rest_is_numbered_on() {
        let mut job = sample();
        let mut tracker = Tracker::new(&job, vec![20, 30]);
        let place = |offset| Place { source: 0, offset, target: 0 };
        // One is settled, five have arrived: four more are there.
        for offset in 12..16 {
            assert!(tracker.begin(place(offset)));
            tracker.push(place(offset), None, 0);
        }
        assert!(!tracker.begin(place(16)), "the first that is not");
        tracker.settle().unwrap();
        assert_eq!(noted(&tracker, &mut job, [17, 15]), [20, 30]);
        let source = &job.sources[0];
        assert_eq!(source.position, 16, "not beyond the one that has begun");
        assert_eq!(source.sent[0], Sent { settled: 5, arrived: 5 });
        assert_eq!(job.sources[1].position, 15, "of one with nothing open: what was read");
    }

    #[test]
    fn the_look_begins_before_whatever_is_open() {
        let mut job = sample();
        let mut tracker = Tracker::new(&job, vec![20, 30]);
        let slow = Place { source: 0, offset: 12, target: 1 };
        let fast = Place { source: 1, offset: 12, target: 1 };
        assert!(!tracker.begin(slow));
        // It lands at 30 at the earliest, however far the others have got.
        for landed in 40..45 {
            assert!(!tracker.begin(fast));
            tracker.settled(fast, Some(landed));
        }
        assert_eq!(noted(&tracker, &mut job, [13, 13]), [20, 30]);
        tracker.settled(slow, Some(39));
        assert_eq!(noted(&tracker, &mut job, [13, 13]), [20, 45]);
        // The next one of the slow source lands behind what is known by now.
        tracker.begin(slow);
        assert_eq!(noted(&tracker, &mut job, [13, 13]), [20, 45]);
    }
}
