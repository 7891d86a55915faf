//! A partition's queue against a model of the broker and of a network that loses, delays and cuts: whatever
//! happens, the log has each batch at most once and in order, and every batch that counts as delivered.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// What is sent: numbers of records, ascending over all batches.
type Records = Vec<u32>;

#[derive(Debug, Clone)]
struct Request {
    records: Records,
    sequence: Sequence,
}

/// What the broker does with the next request besides what the sequence numbers demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Takes,
    /// Not written.
    Refuses(ErrorCode),
    /// Written, but the answer says that this may not last.
    Doubts(ErrorCode),
}

/// Batches that the broker remembers, as Kafka's does.
const REMEMBERED: usize = 5;

#[derive(Debug, Default)]
struct Broker {
    log: Records,
    epoch: i16,
    /// The last batches of this epoch: first and last sequence.
    last: VecDeque<(i32, i32)>,
    /// Batches of more records are too large.
    records_max: usize,
}

impl Broker {
    fn take(&mut self, request: &Request, mood: Mood) -> Attempt {
        let Sequence { epoch, first } = request.sequence;
        if let Mood::Refuses(code) = mood {
            return Attempt::Refused(code);
        }
        if request.records.len() > self.records_max {
            return Attempt::Refused(ErrorCode::MessageTooLarge);
        }
        let end = after(first, i32::try_from(request.records.len()).unwrap() - 1);
        let known = !self.last.is_empty();
        if known && epoch < self.epoch {
            return Attempt::Refused(ErrorCode::InvalidProducerEpoch);
        }
        if known && epoch == self.epoch && self.last.contains(&(first, end)) {
            return Attempt::Written;
        }
        let fits = match self.last.back() {
            None => true,
            Some(_) if epoch > self.epoch => first == 0,
            Some((_, last)) => first == after(*last, 1),
        };
        if !fits {
            return Attempt::Refused(ErrorCode::OutOfOrderSequenceNumber);
        }
        if epoch > self.epoch {
            self.last.clear();
        }
        self.epoch = epoch;
        self.last.push_back((first, end));
        if self.last.len() > REMEMBERED {
            self.last.pop_front();
        }
        self.log.extend(&request.records);
        match mood {
            Mood::Doubts(code) => Attempt::Refused(code),
            _ => Attempt::Written,
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// So many records are to be sent.
    Push(u32),
    Send,
    /// The broker takes the oldest request of the connection.
    Take(Mood),
    /// The oldest answer arrives.
    Answer,
    /// The connection is cut: what the broker has not taken yet may still come to it (`late`).
    Cut {
        late: bool,
    },
    /// A request of a connection that was cut comes to the broker at last.
    Straggler,
    /// Milliseconds pass.
    Wait(u64),
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    let mood = prop_oneof![
        8 => Just(Mood::Takes),
        2 => select(vec![ErrorCode::NotLeaderOrFollower, ErrorCode::NotEnoughReplicas])
            .prop_map(Mood::Refuses),
        1 => Just(Mood::Refuses(ErrorCode::InvalidRecord)),
        1 => select(vec![ErrorCode::RequestTimedOut, ErrorCode::NotEnoughReplicasAfterAppend])
            .prop_map(Mood::Doubts),
    ];
    prop_oneof![
        4 => (1..6_u32).prop_map(Step::Push),
        6 => Just(Step::Send),
        6 => mood.prop_map(Step::Take),
        5 => Just(Step::Answer),
        1 => any::<bool>().prop_map(|late| Step::Cut { late }),
        1 => Just(Step::Straggler),
        3 => (1..400_u64).prop_map(Step::Wait),
        1 => Just(Step::Expire),
    ]
}

struct World {
    queue: PartitionQueue<Records>,
    broker: Broker,
    now: Instant,
    next: u32,
    wire: VecDeque<Request>,
    answers: VecDeque<(Records, Attempt)>,
    stragglers: VecDeque<Request>,
    delivered: Vec<u32>,
    failed: Vec<u32>,
}

const PATIENCE: Duration = Duration::from_secs(2);
const WAIT: Duration = Duration::from_millis(100);

impl World {
    fn new(records_max: usize) -> Self {
        Self {
            queue: PartitionQueue::new(true, 0),
            broker: Broker { records_max, ..Broker::default() },
            now: Instant::now(),
            next: 0,
            wire: VecDeque::new(),
            answers: VecDeque::new(),
            stragglers: VecDeque::new(),
            delivered: Vec::new(),
            failed: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Push(records) if self.queue.has_room() => {
                let numbers: Records = (self.next..self.next + records).collect();
                self.next += records;
                let count = i32::try_from(records).unwrap();
                self.queue.push(Batch::new(numbers, count, self.now + PATIENCE));
            }
            Step::Push(_) => {}
            Step::Send => self.send(),
            Step::Take(mood) => {
                if let Some(request) = self.wire.pop_front() {
                    let attempt = self.broker.take(&request, mood);
                    self.answers.push_back((request.records, attempt));
                }
            }
            Step::Answer => {
                if let Some((records, attempt)) = self.answers.pop_front() {
                    self.came_back(&records, attempt);
                }
            }
            Step::Cut { late } => self.cut(late),
            Step::Straggler => {
                if let Some(request) = self.stragglers.pop_front() {
                    self.broker.take(&request, Mood::Takes);
                }
            }
            Step::Wait(ms) => self.now += Duration::from_millis(ms),
            Step::Expire => {
                while let Some(batch) = self.queue.expire(self.now) {
                    self.failed.extend(batch.payload);
                }
            }
        }
    }

    fn send(&mut self) {
        let Some(at) = self.queue.next_to_send(self.now) else { return };
        let batch = self.queue.get_mut(at).unwrap();
        let request = Request { records: batch.payload.clone(), sequence: batch.sequence.unwrap() };
        self.wire.push_back(request);
        self.queue.sent(at);
    }

    /// As the dispatcher does it.
    fn came_back(&mut self, records: &Records, attempt: Attempt) {
        let halves = |records: Records| match records.len() {
            0 | 1 => Err(records),
            count => {
                let (first, second) = records.split_at(count / 2);
                let sized = |it: &[u32]| (it.to_vec(), i32::try_from(it.len()).unwrap());
                Ok([sized(first), sized(second)])
            }
        };
        let too_large = attempt == Attempt::Refused(ErrorCode::MessageTooLarge);
        if too_large && self.queue.divide(|it| it == records, halves) {
            return;
        }
        match self.queue.came_back(|it| it == records, attempt, self.now, |_| WAIT) {
            Some(Fate::Delivered(batch)) => self.delivered.extend(batch.payload),
            Some(Fate::Failed(batch, _)) => self.failed.extend(batch.payload),
            Some(Fate::Retried) => {}
            None => panic!("{records:?} is not in flight"),
        }
    }

    fn cut(&mut self, late: bool) {
        let taken: Vec<_> = self.answers.drain(..).map(|(records, _)| records).collect();
        let open: Vec<_> = self.wire.drain(..).collect();
        let unheard = open.iter().map(|request| request.records.clone());
        for records in taken.into_iter().chain(unheard.collect::<Vec<_>>()) {
            self.came_back(&records, Attempt::Lost);
        }
        if late {
            self.stragglers.extend(open);
        }
    }

    /// Nothing fails any more; everything that was not given up gets through.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.queue.is_empty() {
                return;
            }
            self.step(&Step::Send);
            self.step(&Step::Take(Mood::Takes));
            self.step(&Step::Answer);
            if !(self.wire.is_empty() && self.answers.is_empty()) {
                continue;
            }
            if let Some(wake) = self.queue.next_wake(self.now) {
                self.now = self.now.max(wake);
                self.step(&Step::Expire);
            }
        }
        panic!("the queue does not empty: {:?}", self.queue);
    }

    fn check(&self) {
        let log = &self.broker.log;
        assert!(log.is_sorted_by(|one, other| one < other), "doubled or out of order: {log:?}");
        for number in &self.delivered {
            assert!(log.binary_search(number).is_ok(), "{number} is lost: {log:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_is_lost_doubled_or_out_of_order(
        steps in prop::collection::vec(step(), 1..150),
        records_max in prop_oneof![Just(usize::MAX), 1..5_usize],
    ) {
        let mut world = World::new(records_max);
        for step in &steps {
            world.step(step);
            world.check();
        }
        world.settle();
        world.stragglers.drain(..).for_each(|request| { world.broker.take(&request, Mood::Takes); });
        world.check();
        let mut all: Vec<u32> = world.delivered.iter().chain(&world.failed).copied().collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..world.next).collect::<Vec<_>>(), "each is delivered or failed, once");
    }
}
