//! The sticky assignment: as even as the subscriptions allow, and members keep what they have where they
//! can.

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::text::Text;

use super::{Candidate, Shares, count_of, nothing, wanted};
use crate::consumer::group::TopicPartition;

/// Shares as they should be in the end.
pub(super) fn assign(members: &[&Candidate], counts: &BTreeMap<Text, i32>) -> Shares {
    let all: BTreeSet<TopicPartition> = wanted(members)
        .into_iter()
        .flat_map(|topic| {
            (0..count_of(counts, &topic))
                .map(move |partition| TopicPartition::new(topic.clone(), partition))
        })
        .collect();
    let mut table = Table::new(members);
    let mut free = all.clone();
    for (partition, owner) in owners(members) {
        if all.contains(&partition) && table.wants(owner, &partition.topic) {
            free.remove(&partition);
            table.give(owner, partition);
        }
    }
    for partition in free {
        if let Some(reader) = table.least_loaded(&partition.topic) {
            table.give(reader, partition);
        }
    }
    table.even_out();
    table.shares()
}

/// Takes from the shares what another member still reads: it is given out when that one has let go of
/// it, in the rebalance that follows.
pub(super) fn without_moving(members: &[&Candidate], mut target: Shares) -> Shares {
    let owners = owners(members);
    for (place, member) in members.iter().enumerate() {
        let Some(share) = target.get_mut(&member.member_id) else { continue };
        share.retain(|partition| owners.get(partition).is_none_or(|owner| *owner == place));
    }
    target
}

/// Who has which partition. Of several that claim one, the newest generation has it; two of the same
/// have it neither.
fn owners(members: &[&Candidate]) -> BTreeMap<TopicPartition, usize> {
    let mut claims: BTreeMap<&TopicPartition, (i32, Option<usize>)> = BTreeMap::new();
    for (at, member) in members.iter().enumerate() {
        for owned in &member.owned {
            let claim = (member.generation, Some(at));
            claims
                .entry(owned)
                .and_modify(|known| match member.generation.cmp(&known.0) {
                    std::cmp::Ordering::Greater => *known = claim,
                    std::cmp::Ordering::Equal => known.1 = None,
                    std::cmp::Ordering::Less => {}
                })
                .or_insert(claim);
        }
    }
    claims
        .into_iter()
        .filter_map(|(partition, (_, owner))| Some((partition.clone(), owner?)))
        .collect()
}

/// The shares while they are made, by the member's place in the order.
struct Table<'a> {
    members: &'a [&'a Candidate],
    wants: Vec<BTreeSet<&'a Text>>,
    shares: Vec<BTreeSet<TopicPartition>>,
    /// Members by how much they have.
    loads: BTreeSet<(usize, usize)>,
}

impl<'a> Table<'a> {
    fn new(members: &'a [&'a Candidate]) -> Self {
        Self {
            wants: members.iter().map(|member| member.topics.iter().collect()).collect(),
            shares: vec![BTreeSet::new(); members.len()],
            loads: (0..members.len()).map(|at| (0, at)).collect(),
            members,
        }
    }

    fn wants(&self, member: usize, topic: &Text) -> bool {
        self.wants.get(member).is_some_and(|topics| topics.contains(topic))
    }

    fn load(&self, member: usize) -> usize {
        self.shares.get(member).map_or(0, BTreeSet::len)
    }

    fn change(&mut self, member: usize, change: impl FnOnce(&mut BTreeSet<TopicPartition>)) {
        self.loads.remove(&(self.load(member), member));
        if let Some(share) = self.shares.get_mut(member) {
            change(share);
        }
        self.loads.insert((self.load(member), member));
    }

    fn give(&mut self, member: usize, partition: TopicPartition) {
        self.change(member, |share| {
            share.insert(partition);
        });
    }

    fn least_loaded(&self, topic: &Text) -> Option<usize> {
        self.loads.iter().map(|(_, member)| *member).find(|member| self.wants(*member, topic))
    }

    /// Moves partitions from members that have more to members that have less, until no move makes it
    /// more even. Each move makes the sum of squared loads smaller, so it ends.
    fn even_out(&mut self) {
        while let Some((from, to, partition)) = self.better_move() {
            self.change(from, |share| {
                share.remove(&partition);
            });
            self.give(to, partition);
        }
    }

    fn better_move(&self) -> Option<(usize, usize, TopicPartition)> {
        let least = self.loads.first()?.0;
        for (load, from) in self.loads.iter().rev().take_while(|(load, _)| *load > least + 1) {
            let mut tried: Option<&Text> = None;
            // What was given last goes first: it is the least likely to be one that the member had.
            for partition in self.shares.get(*from)?.iter().rev() {
                if tried == Some(&partition.topic) {
                    continue;
                }
                tried = Some(&partition.topic);
                if let Some(to) = self.least_loaded(&partition.topic)
                    && self.load(to) + 1 < *load
                {
                    return Some((*from, to, partition.clone()));
                }
            }
        }
        None
    }

    fn shares(self) -> Shares {
        let mut shares = nothing(self.members);
        for (member, share) in self.members.iter().zip(self.shares) {
            shares.insert(member.member_id.clone(), share.into_iter().collect());
        }
        shares
    }
}
