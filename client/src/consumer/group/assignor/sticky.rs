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
    for partition in &free {
        if let Some(reader) = table.least_loaded(&partition.topic) {
            table.give(reader, partition.clone());
        }
    }
    // What nobody reads moves for nothing, so it goes first.
    table.even_out(|partition| free.contains(partition));
    table.even_out(|_| true);
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
    /// Members that want the same topics, and which of these groups each is in.
    classes: Vec<Class<'a>>,
    class_of: Vec<usize>,
    /// The classes that want a topic.
    wanting: BTreeMap<&'a Text, Vec<usize>>,
    shares: Vec<BTreeSet<TopicPartition>>,
}

/// Members that want the same topics.
struct Class<'a> {
    topics: BTreeSet<&'a Text>,
    /// The members by how much they have.
    loads: BTreeSet<(usize, usize)>,
}

impl<'a> Table<'a> {
    fn new(members: &'a [&'a Candidate]) -> Self {
        let mut numbers: BTreeMap<BTreeSet<&Text>, usize> = BTreeMap::new();
        let (mut classes, mut class_of) = (Vec::new(), Vec::with_capacity(members.len()));
        for (at, member) in members.iter().enumerate() {
            let topics: BTreeSet<&Text> = member.topics.iter().collect();
            let number = *numbers.entry(topics).or_insert_with_key(|topics| {
                classes.push(Class { topics: topics.clone(), loads: BTreeSet::new() });
                classes.len() - 1
            });
            class_of.push(number);
            if let Some(class) = classes.get_mut(number) {
                class.loads.insert((0, at));
            }
        }
        let mut wanting: BTreeMap<&Text, Vec<usize>> = BTreeMap::new();
        for (number, class) in classes.iter().enumerate() {
            for topic in &class.topics {
                wanting.entry(topic).or_default().push(number);
            }
        }
        Self { members, classes, class_of, wanting, shares: vec![BTreeSet::new(); members.len()] }
    }

    fn class(&self, member: usize) -> Option<&Class<'a>> {
        self.classes.get(*self.class_of.get(member)?)
    }

    fn wants(&self, member: usize, topic: &Text) -> bool {
        self.class(member).is_some_and(|class| class.topics.contains(topic))
    }

    fn load(&self, member: usize) -> usize {
        self.shares.get(member).map_or(0, BTreeSet::len)
    }

    fn change(&mut self, member: usize, change: impl FnOnce(&mut BTreeSet<TopicPartition>)) {
        let before = self.load(member);
        if let Some(share) = self.shares.get_mut(member) {
            change(share);
        }
        let after = self.load(member);
        let number = self.class_of.get(member).copied();
        if let Some(class) = number.and_then(|number| self.classes.get_mut(number)) {
            class.loads.remove(&(before, member));
            class.loads.insert((after, member));
        }
    }

    fn give(&mut self, member: usize, partition: TopicPartition) {
        self.change(member, |share| {
            share.insert(partition);
        });
    }

    /// Who has least of those who want the topic.
    fn least_loaded(&self, topic: &Text) -> Option<usize> {
        let classes = self.wanting.get(topic)?.iter().filter_map(|at| self.classes.get(*at));
        classes.filter_map(|class| class.loads.first()).min().map(|(_, member)| *member)
    }

    /// Moves such partitions from members that have more to members that have less, until no move makes
    /// it more even. Each move makes the sum of squared loads smaller, so it ends.
    fn even_out(&mut self, may_move: impl Fn(&TopicPartition) -> bool) {
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        let mut moved = true;
        while moved {
            moved = false;
            order.sort_by_key(|member| std::cmp::Reverse(self.load(*member)));
            for from in &order {
                while let Some((to, partition)) = self.better_move(*from, &may_move) {
                    self.change(*from, |share| {
                        share.remove(&partition);
                    });
                    self.give(to, partition);
                    moved = true;
                }
            }
        }
    }

    /// Which partition of a member would do better with whom.
    fn better_move(
        &self,
        from: usize,
        may_move: impl Fn(&TopicPartition) -> bool,
    ) -> Option<(usize, TopicPartition)> {
        let load = self.load(from);
        let mut tried: Option<&Text> = None;
        for partition in self.shares.get(from)?.iter().rev().filter(|it| may_move(it)) {
            if tried == Some(&partition.topic) {
                continue;
            }
            tried = Some(&partition.topic);
            if let Some(to) = self.least_loaded(&partition.topic)
                && self.load(to) + 1 < load
            {
                return Some((to, partition.clone()));
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
