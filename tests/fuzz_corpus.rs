//! Replays the fuzz corpus, and then damages it: the same targets as the fuzzer's, the same inputs
//! every time, a few seconds, no nightly compiler. What the fuzzer finds is put into the corpus
//! and so stays found. `FUZZ_SECONDS` adds so many seconds of further inputs, `FUZZ_SEED` chooses which;
//! `FUZZ_INPUT` runs one of them alone, as a failure says.
//!
//! `cargo test --test fuzz_corpus -- --ignored write_seeds` writes the seeds anew after a change
//! of a format; `tests/fuzz/README.md` tells how to run the fuzzer itself.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test reads its corpus with plain files and may panic"
)]

#[path = "fuzz_corpus/broker_seeds.rs"]
mod broker_seeds;
#[path = "fuzz_corpus/coordinator_seeds.rs"]
mod coordinator_seeds;
#[path = "fuzz_corpus/damage.rs"]
mod damage;
#[path = "fuzz_corpus/group_seeds.rs"]
mod group_seeds;
#[path = "fuzz_corpus/seeds.rs"]
mod seeds;
#[path = "../protocol/tests/support/shapes.rs"]
mod shapes;
#[path = "fuzz/src/targets.rs"]
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use targets::{INPUT_MAX, MEMORY_MAX, TARGETS, Target};

/// Damaged inputs that are tried on each target.
const DAMAGED: usize = 1000;

/// Files that a target's corpus has at least, and bytes that all corpora have together at most.
const SEEDS_MIN: usize = 20;
const CORPUS_MAX: u64 = 1 << 20;

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target)
}

/// The inputs of a target, in the order of their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut inputs: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    inputs.sort();
    inputs
}

/// Runs the target, and tells the input and how to run it `again` if it panics or holds too much memory.
fn run(target: &Target, name: &str, again: &str, input: &[u8]) {
    let mut outcome = Ok(());
    let took = allocation_counter::measure(|| {
        outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    });
    let verdict = match outcome {
        Err(_) => "panicked",
        Ok(()) if took.bytes_max > MEMORY_MAX as u64 => "held too much memory",
        Ok(()) => return,
    };
    let file = std::env::temp_dir().join(format!("duramen-fuzz-{}", target.name));
    fs::write(&file, input).unwrap();
    let (target, held) = (target.name, took.bytes_max);
    panic!(
        "{target} {verdict} ({held} bytes) on {name}, kept in {file:?}; \
         again: {again}cargo test --test fuzz_corpus {target}"
    );
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let inputs = corpus(name);
    assert!(inputs.len() >= SEEDS_MIN, "{name} has {} seeds", inputs.len());
    for (file, input) in &inputs {
        run(target, file, "", input);
    }
    let whole: Vec<_> = inputs.into_iter().map(|(_, input)| input).collect();
    let mut damage = damage::Damage::new(&whole, INPUT_MAX);
    for number in 0..DAMAGED {
        run(target, &format!("damaged input {number}"), "", &damage.next());
    }
    further(target, &whole);
}

/// Runs the further inputs that were asked for: those of a time, or one.
fn further(target: &Target, whole: &[Vec<u8>]) {
    let seed = number("FUZZ_SEED").unwrap_or(2026);
    let only = number("FUZZ_INPUT");
    let Some(budget) = budget().or(only.map(|_| Duration::MAX)) else { return };
    let mut damage = damage::Damage::seeded(whole, INPUT_MAX, seed);
    let (began, mut next) = (Instant::now(), 0);
    while began.elapsed() < budget && only.is_none_or(|only| next <= only) {
        let input = damage.next();
        if only.is_none_or(|only| next == only) {
            let again = format!("FUZZ_SEED={seed} FUZZ_INPUT={next} ");
            run(target, &format!("further input {next}"), &again, &input);
        }
        next += 1;
    }
    println!("{}: {next} further inputs of seed {seed}", target.name);
}

/// A number that the environment gives: `FUZZ_SEED`, from which the further inputs are made (the same each
/// time if it is not set; `scripts/test` sets one for each commit), or `FUZZ_INPUT`.
fn number(variable: &str) -> Option<u64> {
    let set = std::env::var(variable).ok()?;
    Some(set.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {set:?}")))
}

/// How long a target is given further inputs: its share of `FUZZ_SECONDS`, if that is set.
fn budget() -> Option<Duration> {
    let seconds: f64 = std::env::var("FUZZ_SECONDS").ok()?.parse().ok()?;
    Some(Duration::from_secs_f64(seconds / TARGETS.len() as f64))
}

/// A test for each target, so that they run side by side and a failure names one.
macro_rules! replays {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target));
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($target)),*];
            let targets: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(targets, replayed);
            for target in targets {
                let binary = folder("../fuzz_targets").join(format!("{target}.rs"));
                assert!(binary.is_file(), "{binary:?} is missing");
            }
        }
    };
}

replays!(frame request response group batch gzip snappy lz4 zstd recovery index checkpoint metadata coordinator);

#[test]
fn the_corpus_stays_small() {
    let sizes = TARGETS.iter().flat_map(|target| corpus(target.name)).map(|(_, input)| input.len());
    let total: u64 = sizes.map(|len| u64::try_from(len).unwrap()).sum();
    assert!(total < CORPUS_MAX, "{total} bytes");
}

#[test]
#[ignore = "writes into the source tree"]
fn write_seeds() {
    for (target, seeds) in seeds::all()
        .into_iter()
        .chain(group_seeds::all())
        .chain(broker_seeds::all())
        .chain(coordinator_seeds::all())
    {
        let folder = folder(target);
        fs::create_dir_all(&folder).unwrap();
        for (name, input) in seeds {
            assert!(input.len() <= INPUT_MAX, "{target} {name}");
            fs::write(folder.join(format!("{name}.bin")), input).unwrap();
        }
    }
}
