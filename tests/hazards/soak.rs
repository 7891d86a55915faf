//! The story: a broker runs for long under mixed load, is killed and stopped again and again, and
//! something small is not given back each time. Nothing acknowledged may be missing or altered, and
//! anonymous memory, descriptors, threads, maps and tasks must be flat.
//!
//! `scripts/soak` runs it for an hour; among the tests it takes some seconds, for its checks alone.
//! Lives of the node are short, but each fourth is long, so that growth within a life shows too.

mod groups;
mod load;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::chance::Chance;
use crate::support::node::Node;
use load::Load;
use watch::{Life, Watch};

/// Rolls, retention, checkpoints and snapshots of metadata come often.
const SETTINGS: &[&str] = &[
    "log.segment.bytes=1048576",
    "log.retention.check.interval.ms=5000",
    "log.flush.offset.checkpoint.interval.ms=5000",
    "log.flush.start.offset.checkpoint.interval.ms=5000",
    "metadata.log.max.record.bytes.between.snapshots=65536",
    "producer.id.expiration.check.interval.ms=10000",
    "log.segment.delete.delay.ms=2000",
];

/// How long it runs, and how long a short and a long life are.
struct Plan {
    whole: Duration,
    short: Duration,
    long: Duration,
    /// Records a second in each of ten partitions.
    rate: u64,
}

impl Plan {
    fn of_this_run() -> Self {
        let number =
            |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<f64>().ok());
        let rate = number("SOAK_RATE").map_or(100, |rate| rate as u64);
        match number("SOAK_MINUTES") {
            Some(minutes) => Self {
                whole: Duration::from_secs_f64(minutes * 60.0),
                short: Duration::from_secs(60),
                long: Duration::from_secs(360),
                rate,
            },
            None => {
                let secs = Duration::from_secs;
                Self { whole: secs(12), short: secs(3), long: secs(3), rate: 30 }
            }
        }
    }
}

#[test]
fn a_long_mixed_load_with_kills_loses_nothing_and_leaks_nothing() {
    let plan = Plan::of_this_run();
    let mut chance = Chance::new();
    println!("soak: {:?}, seed {}", plan.whole, chance.seed);
    let mut node = Node::start(SETTINGS);
    let load = Arc::new(Load::start(node.port(), plan.rate, &chance));
    let (began, mut lives) = (Instant::now(), Vec::new());
    while began.elapsed() < plan.whole && load.faults().is_empty() {
        let number = lives.len();
        let length = if number % 4 == 3 { plan.long } else { plan.short };
        let left = plan.whole.saturating_sub(began.elapsed());
        let length = length.mul_f64(0.75 + chance.below(50) as f64 / 100.0).min(left);
        let samples = Watch::new(&node).run(length, || load.faults().is_empty());
        // the last one ends with all of it being read again
        let killed = number % 3 != 2 && began.elapsed() < plan.whole;
        if began.elapsed() >= plan.whole {
            load.stop();
            load.verify();
        }
        let ended = if killed {
            node.kill();
            "killed"
        } else {
            assert!(node.stop().success(), "a clean stop exits with 0");
            "stopped"
        };
        let again = Instant::now();
        node.restart();
        let life = Life { began: began.elapsed(), length, ended, samples, ready: again.elapsed() };
        println!("{}", life.line(number));
        lives.push(life);
    }
    if load.faults().is_empty() {
        load.verify();
    }
    println!("soak: {}", load.summary());
    let faults = [load.faults(), watch::verdict(&lives, plan.whole)].concat();
    assert!(faults.is_empty(), "\n{}\nthe node said:\n{}", faults.join("\n"), tail(&node.output()));
    println!("soak: nothing acknowledged is missing or altered; {}", watch::praise(&lives));
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
