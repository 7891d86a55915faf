//! Which brokers get the replicas of a new partition. Pure.
//!
//! Brokers stand in a ring in which racks alternate. Leaders go round the ring; followers are taken
//! from the ring behind the leader, first those of racks that have no replica of the partition yet,
//! at a distance that grows with each turn of the leaders, so that the followers of one broker's
//! partitions are spread over all others. Brokers that are fenced come last and never lead.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use duramen_protocol::text::Text;

/// A broker that may get replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The broker's id.
    pub id: i32,
    /// The rack it stands in; brokers without one count as one rack.
    pub rack: Option<Text>,
    /// Whether it may lead and be in sync at once.
    pub active: bool,
}

/// Why replicas could not be placed; the messages are Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// Nobody could lead.
    #[error("All brokers are currently fenced.")]
    NoneActive,
    /// More replicas than brokers.
    #[error(
        "The target replication factor of {wanted} cannot be reached because only {registered} \
         broker(s) are registered."
    )]
    TooFew {
        /// Replicas wanted.
        wanted: usize,
        /// Brokers there are.
        registered: usize,
    },
}

/// The replicas of `partitions` new partitions, the leader first. `start` says where on the ring
/// the first leader stands: take it at random, so that topics of few partitions are spread too.
///
/// # Errors
///
/// See [`PlacementError`].
pub fn place(
    candidates: &[Candidate],
    partitions: usize,
    replication_factor: usize,
    start: u64,
) -> Result<Vec<Vec<i32>>, PlacementError> {
    let ring = ring(candidates.iter().filter(|candidate| candidate.active));
    let fenced = ring_ids(candidates.iter().filter(|candidate| !candidate.active));
    if ring.is_empty() {
        return Err(PlacementError::NoneActive);
    }
    if replication_factor > candidates.len() {
        return Err(PlacementError::TooFew {
            wanted: replication_factor,
            registered: candidates.len(),
        });
    }
    let len = u64::try_from(ring.len()).unwrap_or(1);
    let start = usize::try_from(start % len).unwrap_or(0);
    Ok((0..partitions)
        .map(|partition| replicas(&ring, &fenced, replication_factor, start, partition))
        .collect())
}

/// The replicas of one partition.
fn replicas(
    ring: &[&Candidate],
    fenced: &[i32],
    replication_factor: usize,
    start: usize,
    partition: usize,
) -> Vec<i32> {
    let first = (start + partition) % ring.len();
    // The others in ring order, beginning further from the leader with each turn of the leaders.
    let mut others: VecDeque<&Candidate> =
        ring.iter().cycle().skip(first + 1).take(ring.len() - 1).copied().collect();
    if !others.is_empty() {
        others.rotate_left(((start + partition) / ring.len()) % others.len());
    }
    let leader = ring.get(first).copied();
    let mut racks: BTreeSet<Option<&Text>> =
        leader.iter().map(|candidate| candidate.rack.as_ref()).collect();
    let (new_rack, same_rack): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|candidate| racks.insert(candidate.rack.as_ref()));
    leader
        .into_iter()
        .chain(new_rack)
        .chain(same_rack)
        .map(|candidate| candidate.id)
        .chain(fenced.iter().copied())
        .take(replication_factor)
        .collect()
}

/// The candidates with their racks alternating, by rising rack and id.
fn ring<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> Vec<&'a Candidate> {
    let mut racks: BTreeMap<Option<&Text>, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        racks.entry(candidate.rack.as_ref()).or_default().push(candidate);
    }
    let mut racks: Vec<_> = racks
        .into_values()
        .map(|mut rack| {
            rack.sort_unstable_by_key(|candidate| candidate.id);
            rack.into_iter()
        })
        .collect();
    let mut ring = Vec::new();
    loop {
        let before = ring.len();
        ring.extend(racks.iter_mut().filter_map(Iterator::next));
        if ring.len() == before {
            return ring;
        }
    }
}

fn ring_ids<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> Vec<i32> {
    ring(candidates).into_iter().map(|candidate| candidate.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn broker(id: i32, rack: Option<&str>, active: bool) -> Candidate {
        Candidate { id, rack: rack.map(Text::from), active }
    }

    fn racked(racks: &[&str]) -> Vec<Candidate> {
        (0..).zip(racks).map(|(id, rack)| broker(id, Some(rack), true)).collect()
    }

    #[test]
    fn one_broker_gets_every_partition() {
        let placed = place(&[broker(7, None, true)], 3, 1, 12345).unwrap();
        assert_eq!(placed, vec![vec![7]; 3]);
    }

    #[test]
    fn more_replicas_than_brokers_is_refused_with_kafkas_words() {
        let error = place(&[broker(1, None, true)], 1, 3, 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "The target replication factor of 3 cannot be reached because only 1 broker(s) are \
             registered."
        );
    }

    #[test]
    fn fenced_brokers_come_last_and_never_lead() {
        let brokers = [broker(1, None, false), broker(2, None, true)];
        assert_eq!(place(&brokers, 2, 2, 5), Ok(vec![vec![2, 1]; 2]));
        assert_eq!(place(&[broker(1, None, false)], 1, 1, 0), Err(PlacementError::NoneActive));
        assert_eq!(place(&[], 1, 1, 0), Err(PlacementError::NoneActive));
    }

    #[test]
    fn three_replicas_in_three_racks_are_in_three_racks() {
        let brokers = racked(&["a", "a", "b", "b", "c", "c"]);
        for replicas in place(&brokers, 60, 3, 4).unwrap() {
            let racks: BTreeSet<_> =
                replicas.iter().map(|id| brokers[*id as usize].rack.clone()).collect();
            assert_eq!(racks.len(), 3, "{replicas:?}");
        }
    }

    #[test]
    fn the_followers_of_one_leader_are_spread() {
        let brokers: Vec<_> = (0..5).map(|id| broker(id, None, true)).collect();
        let placed = place(&brokers, 20, 2, 0).unwrap();
        let followers: BTreeSet<_> =
            placed.iter().filter(|at| at[0] == 0).map(|at| at[1]).collect();
        assert_eq!(followers, BTreeSet::from([1, 2, 3, 4]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn replicas_differ_racks_spread_and_leaders_balance(
            racks in prop::collection::vec(0u8..4, 1..9),
            partitions in 1usize..40,
            replication_factor in 1usize..9,
            start in any::<u64>(),
        ) {
            let brokers: Vec<_> = (0..)
                .zip(&racks)
                .map(|(id, rack)| broker(id, Some(&rack.to_string()), true))
                .collect();
            prop_assume!(replication_factor <= brokers.len());
            let placed = place(&brokers, partitions, replication_factor, start).unwrap();
            prop_assert_eq!(placed.len(), partitions);
            let rack_count = racks.iter().collect::<BTreeSet<_>>().len();
            let mut led = vec![0usize; brokers.len()];
            for replicas in &placed {
                let distinct: BTreeSet<_> = replicas.iter().collect();
                prop_assert_eq!(distinct.len(), replication_factor);
                let in_racks: BTreeSet<_> =
                    replicas.iter().map(|&id| racks[id as usize]).collect();
                prop_assert_eq!(in_racks.len(), rack_count.min(replication_factor));
                led[replicas[0] as usize] += 1;
            }
            let (least, most) = (led.iter().min().unwrap(), led.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{led:?}");
        }
    }
}
