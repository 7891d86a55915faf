//! What must be true of a group, whoever was killed: judged by what its members have told.
//!
//! Each partition has one owner at a time; who gets it goes on where the group has committed, or
//! behind; and in the end someone has read every record.

use std::collections::BTreeMap;

use crate::members::{Event, History};

/// From when until when a member owned a partition.
#[derive(Debug, Clone)]
struct Tenure {
    from: f64,
    until: f64,
    /// It ended before the member knew: `until` is too late.
    lost: bool,
}

fn tenures(history: &History) -> BTreeMap<i32, Vec<Tenure>> {
    let end = history.killed.unwrap_or(f64::INFINITY);
    let mut all: BTreeMap<i32, Vec<Tenure>> = BTreeMap::new();
    for told in &history.told {
        match &told.event {
            Event::Assigned(partitions) => {
                for partition in partitions {
                    let of_partition = all.entry(*partition).or_default();
                    if of_partition.last().is_none_or(|last| last.until < end) {
                        of_partition.push(Tenure { from: told.at, until: end, lost: false });
                    }
                }
            }
            Event::Revoked(partitions) | Event::Lost(partitions) => {
                let lost = matches!(told.event, Event::Lost(_));
                for partition in partitions {
                    let last = all.get_mut(partition).and_then(|tenures| tenures.last_mut());
                    if let Some(last) = last.filter(|last| last.until == end) {
                        (last.until, last.lost) = (told.at, lost);
                    }
                }
            }
            _ => {}
        }
    }
    all
}

/// No two members owned a partition at a time.
pub fn owned_once(histories: &[History]) -> Result<(), String> {
    let all: Vec<(&str, BTreeMap<i32, Vec<Tenure>>)> =
        histories.iter().map(|history| (history.name.as_str(), tenures(history))).collect();
    for (index, (name, tenures)) in all.iter().enumerate() {
        for (other, others) in &all[index + 1..] {
            for (partition, mine) in tenures {
                let theirs = others.get(partition).map(Vec::as_slice).unwrap_or_default();
                if let Some((mine, theirs)) = overlap(mine, theirs) {
                    return Err(format!(
                        "partition {partition} was owned by {name} ({mine:?}) and {other} ({theirs:?})"
                    ));
                }
            }
        }
    }
    Ok(())
}

fn overlap<'a>(mine: &'a [Tenure], theirs: &'a [Tenure]) -> Option<(&'a Tenure, &'a Tenure)> {
    let pairs = mine.iter().flat_map(|mine| theirs.iter().map(move |theirs| (mine, theirs)));
    pairs.into_iter().find(|(mine, theirs)| overlap_is_wrong(mine, theirs))
}

fn overlap_is_wrong(one: &Tenure, other: &Tenure) -> bool {
    let (first, second) = if one.from <= other.from { (one, other) } else { (other, one) };
    second.from < first.until && !first.lost
}

/// Nobody has read what was committed when the partition became its own, and each has read on
/// without gaps, from where its last commit failed if one did.
pub fn committed_is_not_read_again(histories: &[History]) -> Result<(), String> {
    let commits: Vec<(f64, i32, i64)> = histories
        .iter()
        .flat_map(|history| &history.told)
        .filter_map(|told| match told.event {
            Event::Committed { partition, next } => Some((told.at, partition, next)),
            _ => None,
        })
        .collect();
    let bound = |partition: i32, at: f64| {
        let before = commits.iter().filter(|(when, of, _)| *of == partition && *when < at);
        before.map(|(_, _, next)| *next).max().unwrap_or(0)
    };
    for history in histories {
        // what is the next offset in each partition: at least that, or just that
        let mut next: BTreeMap<i32, (i64, bool)> = BTreeMap::new();
        for told in &history.told {
            match &told.event {
                Event::Assigned(partitions) => {
                    let bounds = partitions.iter().map(|one| (*one, (bound(*one, told.at), false)));
                    next.extend(bounds);
                }
                Event::Refused(_) => {
                    next.iter_mut().for_each(|(one, next)| *next = (bound(*one, told.at), false));
                }
                Event::Read { partition, first, last } => {
                    let name = &history.name;
                    let Some((expected, exactly)) = next.insert(*partition, (last + 1, true))
                    else {
                        return Err(format!("{name} read of {partition}, which it never owned"));
                    };
                    if *first < expected || exactly && *first != expected {
                        return Err(format!(
                            "{name} read {first} to {last} of {partition} and not {expected}, at {}",
                            told.at
                        ));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The first record that nobody has read yet, of partitions that end at `ends`.
pub fn unread(histories: &[History], ends: &BTreeMap<i32, i64>) -> Option<(i32, i64)> {
    let mut reads: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
    for told in histories.iter().flat_map(|history| &history.told) {
        if let Event::Read { partition, first, last } = told.event {
            reads.entry(partition).or_default().push((first, last));
        }
    }
    ends.iter().find_map(|(partition, end)| {
        let mut of_partition = reads.remove(partition).unwrap_or_default();
        of_partition.sort_unstable();
        let mut next = 0;
        for (first, last) in of_partition {
            if first <= next {
                next = next.max(last + 1);
            }
        }
        (next < *end).then_some((*partition, next))
    })
}

/// How often members lost partitions without being asked.
pub fn losses(histories: &[History]) -> usize {
    let told = histories.iter().flat_map(|history| &history.told);
    told.filter(|told| matches!(&told.event, Event::Lost(gone) if !gone.is_empty())).count()
}
