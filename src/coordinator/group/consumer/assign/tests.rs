//! What every assignment must be, whoever made it.

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;
use proptest::prelude::*;

use super::{Assignor, Partitions, Subscriber};

fn topic(number: usize) -> TopicId {
    TopicId::from_u128(number as u128 + 1)
}

fn assign(
    assignor: Assignor,
    subscriptions: &[BTreeSet<usize>],
    counts: &[i32],
    held: &[Partitions],
) -> Vec<Partitions> {
    let ids: Vec<Text> = (0..subscriptions.len()).map(|it| format!("m{it:04}").into()).collect();
    let subscriber = |(index, topics): (usize, &BTreeSet<usize>)| Subscriber {
        id: &ids[index],
        instance_id: None,
        topics: topics.iter().map(|number| topic(*number)).collect(),
        held: held.get(index),
    };
    let members: Vec<_> = subscriptions.iter().enumerate().map(subscriber).collect();
    let counts = counts.iter().enumerate().map(|(number, count)| (topic(number), *count)).collect();
    assignor.assign(&members, &counts)
}

fn load(partitions: &Partitions) -> usize {
    partitions.values().map(BTreeSet::len).sum()
}

fn check_each_once(subscriptions: &[BTreeSet<usize>], counts: &[i32], assigned: &[Partitions]) {
    let mut owners: BTreeMap<(TopicId, i32), usize> = BTreeMap::new();
    for (member, partitions) in assigned.iter().enumerate() {
        for (id, indexes) in partitions {
            for index in indexes {
                assert!(owners.insert((*id, *index), member).is_none(), "{id} {index} twice");
                assert!(subscriptions[member].iter().any(|number| topic(*number) == *id));
            }
        }
    }
    let wanted: BTreeSet<usize> = subscriptions.iter().flatten().copied().collect();
    let all: usize = wanted.iter().map(|number| counts[*number] as usize).sum();
    assert_eq!(owners.len(), all, "each partition that somebody wants has an owner");
}

fn subscriptions() -> impl Strategy<Value = Vec<BTreeSet<usize>>> {
    proptest::collection::vec(proptest::collection::btree_set(0usize..6, 0..6), 1..12)
}

proptest! {
    #[test]
    fn each_partition_has_one_owner(
        first in subscriptions(),
        second in subscriptions(),
        counts in proptest::collection::vec(0i32..20, 6),
    ) {
        for assignor in Assignor::ALL {
            let before = assign(assignor, &first, &counts, &[]);
            check_each_once(&first, &counts, &before);
            let after = assign(assignor, &second, &counts, &before);
            check_each_once(&second, &counts, &after);
            prop_assert_eq!(&after, &assign(assignor, &second, &counts, &before));
        }
    }

    #[test]
    fn uniform_is_even_and_moves_no_more_than_it_must(
        members in 1usize..15,
        later in 1usize..15,
        counts in proptest::collection::vec(0i32..30, 3),
    ) {
        let alike = |count| vec![BTreeSet::from([0, 1, 2]); count];
        let before = assign(Assignor::Uniform, &alike(members), &counts, &[]);
        let after = assign(Assignor::Uniform, &alike(later), &counts, &before);
        let loads = || after.iter().map(load);
        prop_assert!(loads().max().unwrap() - loads().min().unwrap() <= 1);
        // Who had no more than the new quota lost nothing.
        let all: usize = after.iter().map(load).sum();
        let moved: usize = before
            .iter()
            .zip(&after)
            .map(|(old, new)| {
                let lost = old.iter().map(|(topic, indexes)| {
                    let kept = new.get(topic);
                    indexes.iter().filter(|it| kept.is_none_or(|kept| !kept.contains(it))).count()
                });
                lost.sum::<usize>()
            })
            .sum();
        let (least, extra) = (all / later, all % later);
        let mut held: Vec<usize> = before.iter().take(later).map(load).collect();
        held.sort_unstable_by(|one, other| other.cmp(one));
        let must: usize = held
            .iter()
            .enumerate()
            .map(|(rank, held)| held.saturating_sub(least + usize::from(rank < extra)))
            .sum();
        prop_assert_eq!(moved, must);
    }

    #[test]
    fn uniform_leaves_no_move_that_helps(
        subscriptions in subscriptions(),
        counts in proptest::collection::vec(0i32..20, 6),
    ) {
        let assigned = assign(Assignor::Uniform, &subscriptions, &counts, &[]);
        for (giver, partitions) in assigned.iter().enumerate() {
            for (taker, topics) in subscriptions.iter().enumerate() {
                let could_move = partitions.keys().any(|id| topics.iter().any(|it| topic(*it) == *id));
                prop_assert!(
                    !could_move || load(&assigned[giver]) <= load(&assigned[taker]) + 1
                );
            }
        }
        let again = assign(Assignor::Uniform, &subscriptions, &counts, &assigned);
        prop_assert_eq!(again, assigned);
    }
}

#[test]
fn range_gives_the_same_numbers_of_each_topic() {
    let alike = vec![BTreeSet::from([0, 1]); 3];
    let assigned = assign(Assignor::Range, &alike, &[7, 7], &[]);
    let indexes = |member: usize| assigned[member][&topic(0)].iter().copied().collect::<Vec<_>>();
    assert_eq!((indexes(0), indexes(1), indexes(2)), (vec![0, 1, 2], vec![3, 4], vec![5, 6]));
    assert!(assigned.iter().all(|it| it[&topic(0)] == it[&topic(1)]));
}

#[test]
fn a_thousand_members_share_ten_thousand_partitions() {
    let alike = vec![BTreeSet::from_iter(0..10); 1_000];
    let counts = [1_000; 10];
    for assignor in Assignor::ALL {
        let assigned = assign(assignor, &alike, &counts, &[]);
        assert!(assigned.iter().all(|it| load(it) == 10));
    }
    let mut mixed = alike;
    mixed[0].remove(&3);
    let assigned = assign(Assignor::Uniform, &mixed, &counts, &[]);
    assert!(assigned.iter().all(|it| load(it) == 10));
}
