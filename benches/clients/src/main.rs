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
mod work;

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use work::{Done, Failure, Load, Work};

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
