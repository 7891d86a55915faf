//! One program that does the same work with either client, so that only the clients differ:
//!
//! ```text
//! clients duramen|librdkafka produce BROKERS TOPIC RECORDS SIZE CODEC BATCH
//! clients duramen|librdkafka consume BROKERS TOPIC
//! clients allocations produce|consume …
//! ```
//!
//! BATCH is the size of a batch in bytes, or `default`: that of the client. Every record is acknowledged (`acks=all`, idempotent) or looked at before the clock is stopped. Prints
//! one line of JSON: records, bytes of their values, seconds, processor seconds of this process meanwhile;
//! with `allocations`, which runs duramen-client on one thread, also the allocations.

mod librdkafka;
mod ours;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

type Failure = Box<dyn Error + Send + Sync>;

/// What is to be done.
enum Work {
    Produce(Load),
    Consume,
}

/// What is produced; `batch` is in bytes, `None` the client's default.
struct Load {
    records: usize,
    size: usize,
    codec: String,
    batch: Option<usize>,
}

/// What was done.
#[derive(Default)]
struct Done {
    records: u64,
    bytes: u64,
}

/// Values to send: slices of one stretch of capital letters, as random as a codec could wish.
struct Values {
    letters: Vec<u8>,
    size: usize,
    at: usize,
}

/// Letters beyond one value, so that values differ.
const SPREAD: usize = 1 << 20;

impl Values {
    fn new(size: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let letter = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b'A' + u8::try_from(state % 26).unwrap_or(0)
        };
        Self { letters: (0..size + SPREAD).map(letter).collect(), size, at: 0 }
    }

    fn next(&mut self) -> &[u8] {
        self.at = (self.at + 7919) % SPREAD;
        &self.letters[self.at..self.at + self.size]
    }
}

fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn run(words: &[String]) -> Result<(), Failure> {
    let usage = "clients duramen|librdkafka|allocations produce|consume BROKERS TOPIC [RECORDS SIZE CODEC BATCH]";
    let [client, work, brokers, topic, rest @ ..] = words else { return Err(usage.into()) };
    let work = match (work.as_str(), rest) {
        ("consume", []) => Work::Consume,
        ("produce", [records, size, codec, batch]) => Work::Produce(Load {
            records: records.parse()?,
            size: size.parse()?,
            codec: codec.clone(),
            batch: if batch == "default" { None } else { Some(batch.parse()?) },
        }),
        _ => return Err(usage.into()),
    };
    let mut allocations = None;
    let (cpu, began) = (processor_seconds(), Instant::now());
    let done = match client.as_str() {
        "duramen" => ours::run(brokers, topic, &work, 2)?,
        "librdkafka" => librdkafka::run(brokers, topic, &work)?,
        "allocations" => {
            let mut done = None;
            let counted = allocation_counter::measure(|| {
                done = Some(ours::run(brokers, topic, &work, 0));
            });
            allocations = Some(counted.count_total);
            done.unwrap_or_else(|| Err(usage.into()))?
        }
        _ => return Err(usage.into()),
    };
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), processor_seconds() - cpu);
    let allocations =
        allocations.map_or(String::new(), |count| format!(", \"allocations\": {count}"));
    let Done { records, bytes } = done;
    println!(
        "{{\"records\": {records}, \"bytes\": {bytes}, \"seconds\": {seconds:.4}, \
         \"cpu_seconds\": {cpu:.4}{allocations}}}"
    );
    Ok(())
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("clients: {error}");
            ExitCode::FAILURE
        }
    }
}
