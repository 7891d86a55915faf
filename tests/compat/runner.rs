//! Runs cases two at a time and reports as `cargo test` does, with one thing more: a case that
//! could not run says why.

use std::env;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::support::node::Node;
use crate::tools::Tools;

/// A client that a case needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Nothing,
    Kcat,
    Python,
    Java,
    Node,
    PythonAndJava,
    /// The Python clients, and a network of the test's own.
    OwnNetwork,
}

/// One thing a user does with a client.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub need: Need,
    pub run: fn(&Context),
}

/// What every case is given.
pub struct Context {
    pub node: Node,
    pub tools: Tools,
}

impl Context {
    pub fn bootstrap(&self) -> String {
        self.node.bootstrap()
    }
}

enum Outcome {
    Passed,
    Failed,
    Skipped,
}

/// Settings of the shared node: small enough to see rolls and limits. Records of long ago, which some cases
/// write, stay however long all of them take.
const SETTINGS: &[&str] =
    &["log.segment.bytes=1048576", "num.partitions=1", "log.retention.check.interval.ms=86400000"];

/// And: members of groups that are killed are missed after a while, and those not that the machine holds up
/// for a moment.
const GROUP_SETTINGS: &[&str] = &[
    "group.initial.rebalance.delay.ms=300",
    "group.consumer.min.session.timeout.ms=6000",
    "group.consumer.session.timeout.ms=15000",
    "group.consumer.min.heartbeat.interval.ms=500",
    "group.consumer.heartbeat.interval.ms=500",
];

pub fn run(cases: &[Case]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let filters: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let wanted: Vec<Case> = cases
        .iter()
        .copied()
        .filter(|case| filters.is_empty() || filters.iter().any(|part| case.name.contains(*part)))
        .collect();
    if arguments.iter().any(|word| word == "--list") {
        wanted.iter().for_each(|case| println!("{}: test", case.name));
        return ExitCode::SUCCESS;
    }
    // a failure is its message; where the runner stands on the stack says nothing
    panic::set_hook(Box::new(|info| println!("\n{info}\n")));
    println!("\nrunning {} tests", wanted.len());
    let began = Instant::now();
    let outcomes = if wanted.is_empty() { Vec::new() } else { run_all(&wanted) };
    let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|one| wanted(one)).count();
    let failed = count(|one| matches!(one, Outcome::Failed));
    println!(
        "\ntest result: {}. {} passed; {failed} failed; {} ignored; 0 measured; {} filtered out; \
         finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        count(|one| matches!(one, Outcome::Passed)),
        count(|one| matches!(one, Outcome::Skipped)),
        cases.len() - wanted.len(),
        began.elapsed().as_secs_f64(),
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_all(cases: &[Case]) -> Vec<Outcome> {
    let context =
        Context { node: Node::start(&[SETTINGS, GROUP_SETTINGS].concat()), tools: Tools::find() };
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let threads = env::var("COMPAT_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = run_one(case, &context);
                    outcomes.lock().expect("no one panics here").push(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("all done");
    if outcomes.iter().any(|one| matches!(one, Outcome::Failed)) {
        println!("\nthe node said:\n{}", tail(&context.node.output(), 40));
    }
    outcomes
}

fn run_one(case: &Case, context: &Context) -> Outcome {
    let name = case.name;
    if let Some(reason) = context.tools.missing(case.need) {
        println!("test {name} ... ignored\nskipped {name}: {reason}");
        return Outcome::Skipped;
    }
    let began = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| (case.run)(context)));
    let took = began.elapsed();
    let word = if result.is_ok() { "ok" } else { "FAILED" };
    println!("test {name} ... {word} ({:.1} s)", took.as_secs_f64());
    if result.is_ok() { Outcome::Passed } else { Outcome::Failed }
}

pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
