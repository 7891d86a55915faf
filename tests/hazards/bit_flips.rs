//! One bit flips in a file of each kind, after a clean stop and after a crash: no wrong record is
//! served, what can be derived is derived again, and what is lost is told to the offset.

mod world;

use std::collections::BTreeSet;
use std::path::PathBuf;

use duramen::storage::offline::{Event, FileKind, SegmentSource, Severity, kind_of, read_small};

use crate::effort;
use world::{Outcome, Template, World, disk};

/// Places that are tried in each kind of file, times [`effort`].
const PLACES: u64 = 8;

/// The files of a template that `is_wanted`, by their paths within it.
fn files(template: &Template, is_wanted: impl Fn(FileKind, &str) -> bool) -> Vec<PathBuf> {
    let named = |path: &PathBuf| is_wanted(kind_of(path), &path.to_string_lossy());
    let found: Vec<PathBuf> = template.files().into_iter().filter(named).collect();
    assert!(!found.is_empty(), "the template has no such file");
    found
}

/// Flips seeded bits of the files that are wanted; `check` sees what came of each.
fn flip_each(
    template: &'static Template,
    is_wanted: impl Fn(FileKind, &str) -> bool,
    mut check: impl FnMut(&World, &Outcome),
) {
    let files = files(template, is_wanted);
    for seed in 0..PLACES * effort() {
        let random = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let file = &files[(random >> 40) as usize % files.len()];
        let len = template.len(file);
        if len == 0 {
            continue;
        }
        let world = template.with_flip(file, (random >> 8) % (len * 8));
        let outcome = world.run();
        check(&world, &outcome);
    }
}

/// Every record is served as it was written.
fn all_there(world: &World, outcome: &Outcome) {
    let served = outcome.served.as_ref().unwrap_or_else(|error| panic!("{world}: {error}"));
    assert_eq!(served.moved, [], "{world}");
    assert_eq!(served.missing(), Vec::<i64>::new(), "{world}");
}

/// `log verify` finds the flip, unless it changes nothing that the file says.
fn found_or_harmless(world: &World, outcome: &Outcome) {
    if outcome.findings.is_empty() {
        let says = |path: &PathBuf| format!("{:?}", read_small(&*disk(), path).unwrap());
        let (before, after) = world.before_and_after();
        assert_eq!(says(&before), says(&after), "{world}: verify finds nothing");
    }
}

#[test]
fn in_a_sound_directory_nothing_is_found() {
    assert_eq!(world::clean().verify(), []);
    // What a crash leaves lying about is no fault: it may have come in the middle of a checkpoint.
    let mut faults = world::crashed().verify();
    faults.retain(|found| found.severity > Severity::Note);
    assert_eq!(faults, []);
}

#[test]
fn derived_files_are_made_again() {
    type Wanted = fn(FileKind, &str) -> bool;
    let kinds: [Wanted; 4] = [
        |kind, _| matches!(kind, FileKind::OffsetIndex(_)),
        |kind, _| matches!(kind, FileKind::TimeIndex(_)),
        |kind, _| matches!(kind, FileKind::ProducerSnapshot(_)),
        |kind, path| kind == FileKind::Epochs && path.contains("orders-0"),
    ];
    for template in [world::clean(), world::crashed()] {
        for wanted in kinds {
            flip_each(template, wanted, |world, outcome| {
                all_there(world, outcome);
                if template.is_clean() {
                    found_or_harmless(world, outcome);
                }
                world.repair();
                let left = world.verify();
                assert_eq!(left, [], "{world}: something is left after a repair");
            });
        }
    }
}

#[test]
fn checkpoints_and_marks_hide_no_record() {
    for template in [world::clean(), world::crashed()] {
        flip_each(
            template,
            |kind, _| kind == FileKind::Offsets,
            |world, outcome| {
                all_there(world, outcome);
                // A checksum that is no longer one leaves a partition that nobody has.
                if !world.is_in_last_line() {
                    found_or_harmless(world, outcome);
                }
            },
        );
        flip_each(
            template,
            |kind, _| kind == FileKind::PartitionMetadata,
            |world, outcome| {
                all_there(world, outcome);
                found_or_harmless(world, outcome);
            },
        );
    }
    let clean = world::clean();
    flip_each(
        clean,
        |kind, _| kind == FileKind::CleanShutdown,
        |world, outcome| {
            all_there(world, outcome);
            found_or_harmless(world, outcome);
        },
    );
}

#[test]
fn a_directory_whose_owner_is_not_sure_is_refused() {
    for template in [world::clean(), world::crashed()] {
        flip_each(
            template,
            |kind, _| kind == FileKind::MetaProperties,
            |world, outcome| {
                found_or_harmless(world, outcome);
                match &outcome.served {
                    Ok(_) => all_there(world, outcome),
                    Err(error) => assert!(error.contains("meta.properties"), "{world}: {error}"),
                }
            },
        );
    }
}

#[test]
fn damaged_metadata_is_refused_or_made_up_for_and_deletes_nothing() {
    for template in [world::clean(), world::crashed()] {
        let is_metadata = |kind, path: &str| {
            let of_log =
                matches!(kind, FileKind::Segment(_)) && path.contains("__cluster_metadata");
            of_log || kind == FileKind::MetadataSnapshot
        };
        flip_each(template, is_metadata, |world, outcome| {
            // Offsets and epochs of the batches in a snapshot mean nothing.
            let in_log = matches!(kind_of(&world.before_and_after().0), FileKind::Segment(_));
            assert!(!in_log || !outcome.findings.is_empty(), "{world}: verify finds nothing");
            match &outcome.served {
                Ok(_) => all_there(world, outcome),
                // With the file put back it is as if nothing had been.
                Err(error) => {
                    assert!(error.contains("damaged"), "{world}: {error}");
                    all_there(world, &world.undo());
                }
            }
        });
    }
}

/// Batches of a segment: position, bytes, offsets from first to behind the last.
fn batches(path: &std::path::Path) -> Vec<(u64, u64, i64, i64)> {
    let source = SegmentSource::open(&*disk(), path).unwrap();
    let mut scan = source.scan(i64::MAX, None);
    let mut found = Vec::new();
    while let Some(event) = scan.step().unwrap() {
        let Event::Batch { position, header } = event else { panic!("the template is sound") };
        found.push((position, header.size() as u64, header.base_offset, header.next_offset()));
    }
    found
}

/// What may be missing after a flip in one batch: the records of that batch, each told of, unless
/// the log ended with it and was not closed properly: then it may have been cut.
fn only_that_batch(world: &World, outcome: &Outcome, offsets: std::ops::Range<i64>, is_last: bool) {
    assert!(!outcome.findings.is_empty(), "{world}: verify finds nothing");
    let served = outcome.served.as_ref().unwrap_or_else(|error| panic!("{world}: {error}"));
    let missing = served.missing();
    let told: BTreeSet<i64> = served.moved.iter().flat_map(|(from, to)| *from..*to).collect();
    for offset in &missing {
        assert!(
            offsets.contains(offset),
            "{world}: {offset} of {missing:?} is outside {offsets:?}; told: {:?}; found: {:?}",
            served.moved,
            outcome.findings
        );
        let cut = is_last && !world.template().is_clean();
        assert!(
            told.contains(offset) || cut,
            "{world}: nobody tells that {offset} of {missing:?} is missing, only {:?}; found: {:?}",
            served.moved,
            outcome.findings
        );
    }
    for offset in &told {
        assert!(offsets.contains(offset), "{world}: {offset} is told to be lost: {told:?}");
    }
}

#[test]
fn a_damaged_batch_takes_nothing_else_along() {
    for template in [world::clean(), world::crashed()] {
        let logs = files(template, |kind, path| {
            matches!(kind, FileKind::Segment(_)) && path.contains("orders-0")
        });
        let last_log = logs.last().unwrap();
        for seed in 0..4 * PLACES * effort() {
            let random = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let log = &logs[(random >> 50) as usize % logs.len()];
            let batches = batches(&template.path(log));
            let at = (random >> 20) as usize % batches.len();
            let (position, size, first, next) = batches[at];
            // Three of four in the header, most of which no checksum covers.
            let len = if seed % 4 == 3 { size } else { 61 };
            let bit = position * 8 + (random >> 4) % (len * 8);
            let world = template.with_flip(log, bit);
            let is_last = log == last_log && at + 1 == batches.len();
            only_that_batch(&world, &world.run(), first..next, is_last);
        }
    }
}
