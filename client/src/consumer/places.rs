//! What a consumer reads, as its handle knows it, pure: where each partition stands, which are paused, and
//! which of what comes is still wanted.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::WeakUnboundedSender;

use super::command::{Command, Order, Reading};
use super::options::{Assignment, Start};
use super::{Event, TopicPartition};

/// Where a partition that is read apart sends its events, unless it is done, and the number that they
/// must bear.
#[derive(Debug)]
pub(super) struct Apart {
    pub(super) outlet: WeakUnboundedSender<(Reading, Event)>,
    pub(super) wanted: Arc<AtomicU64>,
}

/// One partition.
#[derive(Debug)]
struct Place {
    reading: Reading,
    /// What is to be handed out next.
    start: Start,
    end: Option<i64>,
    paused: bool,
    done: bool,
    apart: Option<Apart>,
    /// What came before it was paused.
    held: VecDeque<Event>,
}

/// See the top of the file.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: BTreeMap<TopicPartition, Place>,
    names: HashMap<Reading, TopicPartition>,
    last: Reading,
    /// Bytes of paused partitions.
    held: usize,
    /// Those bytes at most: the others need some of the memory.
    held_max: usize,
}

/// No reading has this number.
const NONE: Reading = 0;

impl Places {
    /// `held_max` bytes may be kept of partitions that are paused.
    pub(super) fn new(held_max: usize) -> Self {
        Self { held_max, ..Self::default() }
    }

    pub(super) fn contains(&self, at: &TopicPartition) -> bool {
        self.places.contains_key(at)
    }

    /// Everything has been read up to its end.
    pub(super) fn all_done(&self) -> bool {
        self.places.values().all(|place| place.done && place.held.is_empty())
    }

    /// Reads a partition, instead of what was read of it before.
    pub(super) fn read(&mut self, assignment: Assignment) -> Vec<Command> {
        let at = TopicPartition::new(assignment.topic, assignment.partition);
        let mut todo = self.stop(&at);
        let place = Place {
            reading: NONE,
            start: assignment.start,
            end: assignment.end,
            paused: false,
            done: false,
            apart: None,
            held: VecDeque::new(),
        };
        self.places.insert(at.clone(), place);
        todo.extend(self.begin(&at));
        todo
    }

    /// Reads a partition no more.
    pub(super) fn stop(&mut self, at: &TopicPartition) -> Vec<Command> {
        let Some(place) = self.places.remove(at) else { return Vec::new() };
        self.held -= bytes_of(&place.held);
        if let Some(apart) = &place.apart {
            apart.wanted.store(NONE, Ordering::Release);
        }
        self.names.remove(&place.reading);
        vec![Command::Stop(place.reading)]
    }

    /// Begins a reading where the place stands, instead of the one before.
    fn begin(&mut self, at: &TopicPartition) -> Vec<Command> {
        let Some(place) = self.places.get_mut(at) else { return Vec::new() };
        let before = place.reading;
        self.last += 1;
        place.reading = self.last;
        place.done = false;
        self.names.remove(&before);
        self.names.insert(self.last, at.clone());
        let outlet = place.apart.as_ref().and_then(|apart| {
            apart.wanted.store(self.last, Ordering::Release);
            apart.outlet.upgrade()
        });
        let order = Order {
            at: at.clone(),
            start: place.start,
            end: place.end,
            paused: place.paused,
            outlet,
        };
        let read = Command::Read(self.last, order);
        if before == NONE { vec![read] } else { vec![Command::Stop(before), read] }
    }

    /// Goes on elsewhere. What was fetched is forgotten.
    pub(super) fn seek(&mut self, at: &TopicPartition, start: Start) -> Vec<Command> {
        let Some(place) = self.places.get_mut(at) else { return Vec::new() };
        self.held -= bytes_of(&place.held);
        place.held.clear();
        place.start = start;
        self.begin(at)
    }

    /// Reads a partition apart from now on.
    pub(super) fn split(&mut self, at: &TopicPartition, apart: Apart) -> Vec<Command> {
        let Some(place) = self.places.get_mut(at) else { return Vec::new() };
        self.held -= bytes_of(&place.held);
        place.held.clear();
        place.apart = Some(apart);
        self.begin(at)
    }

    /// Pauses a partition. `unread` is the first offset of what was taken in and not handed out.
    pub(super) fn pause(&mut self, at: &TopicPartition, unread: Option<i64>) -> Vec<Command> {
        let Some(place) = self.places.get_mut(at).filter(|place| !place.paused) else {
            return Vec::new();
        };
        place.paused = true;
        match unread {
            Some(offset) => self.seek(at, Start::Offset(offset)),
            None => vec![Command::Pause(place.reading, true)],
        }
    }

    /// Reads a paused partition again; what came before it was paused comes first.
    pub(super) fn resume(&mut self, at: &TopicPartition) -> (Vec<Command>, VecDeque<Event>) {
        let Some(place) = self.places.get_mut(at).filter(|place| place.paused) else {
            return (Vec::new(), VecDeque::new());
        };
        place.paused = false;
        let held = std::mem::take(&mut place.held);
        self.held -= bytes_of(&held);
        if let Some(event) = held.back() {
            place.start = Start::Offset(event.next());
        }
        (vec![Command::Pause(place.reading, false)], held)
    }

    pub(super) fn paused(&self) -> Vec<TopicPartition> {
        let paused = self.places.iter().filter(|(_, place)| place.paused);
        paused.map(|(at, _)| at.clone()).collect()
    }

    /// An event came. It is given back when it is wanted now.
    pub(super) fn take(&mut self, reading: Reading, event: Event) -> (Option<Event>, Vec<Command>) {
        let Some(at) = self.names.get(&reading).cloned() else { return (None, Vec::new()) };
        let Some(place) = self.places.get_mut(&at) else { return (None, Vec::new()) };
        if !place.paused {
            place.start = Start::Offset(event.next());
            return (Some(event), Vec::new());
        }
        let bytes = bytes(&event);
        if self.held + bytes <= self.held_max {
            self.held += bytes;
            place.held.push_back(event);
            return (None, Vec::new());
        }
        // It is fetched again when it is wanted.
        let kept = std::mem::take(&mut place.held);
        place.start = Start::Offset(event.from());
        let todo = self.begin(&at);
        if let Some(place) = self.places.get_mut(&at) {
            place.held = kept;
        }
        (None, todo)
    }

    /// A reading has reached its end.
    pub(super) fn done(&mut self, reading: Reading) {
        let at = self.names.get(&reading);
        if let Some(place) = at.and_then(|at| self.places.get_mut(at)) {
            place.done = true;
        }
    }

    /// The partition of a reading.
    pub(super) fn name(&self, reading: Reading) -> Option<&TopicPartition> {
        self.names.get(&reading)
    }
}

fn bytes(event: &Event) -> usize {
    match event {
        Event::Records(fetched) => fetched.bytes(),
        Event::Moved(_) => 0,
    }
}

fn bytes_of(events: &VecDeque<Event>) -> usize {
    events.iter().map(bytes).sum()
}
