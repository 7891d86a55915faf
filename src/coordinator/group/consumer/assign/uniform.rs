//! PURE. As many partitions for everyone. Whoever has a partition keeps it, unless that would leave
//! another with two less.

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::ids::TopicId;

use super::{Partitions, Subscriber};

type Partition = (TopicId, i32);

/// What each member has, while it is worked out.
struct Plan<'a> {
    members: &'a [Subscriber<'a>],
    assigned: Vec<BTreeSet<Partition>>,
    free: Vec<Partition>,
}

/// Assigns evenly.
pub(super) fn assign(
    members: &[Subscriber<'_>],
    counts: &BTreeMap<TopicId, i32>,
) -> Vec<Partitions> {
    let mut plan = Plan::sticky(members, counts);
    let alike = members.windows(2).all(|pair| match pair {
        [one, other] => one.topics == other.topics,
        _ => true,
    });
    if alike {
        plan.level();
    } else {
        plan.spread();
        plan.balance(counts);
    }
    plan.finish()
}

impl<'a> Plan<'a> {
    /// Everyone keeps what is still there and still subscribed to; one keeper a partition.
    fn sticky(members: &'a [Subscriber<'a>], counts: &BTreeMap<TopicId, i32>) -> Self {
        let mut taken: BTreeSet<Partition> = BTreeSet::new();
        let mut keep = |member: &Subscriber<'_>| {
            let held = member.held.into_iter().flatten();
            let held = held.filter(|(topic, _)| member.topics.contains(topic));
            let held = held.flat_map(|(topic, all)| all.iter().map(|index| (*topic, *index)));
            let exists = |it: &Partition| counts.get(&it.0).is_some_and(|count| it.1 < *count);
            held.filter(|it| exists(it) && taken.insert(*it)).collect::<BTreeSet<_>>()
        };
        let assigned = members.iter().map(&mut keep).collect();
        let wanted: BTreeSet<TopicId> =
            members.iter().flat_map(|member| member.topics.iter().copied()).collect();
        let all = counts.iter().filter(|(topic, _)| wanted.contains(topic));
        let all = all.flat_map(|(topic, count)| (0..*count).map(|index| (*topic, index)));
        let free = all.filter(|it| !taken.contains(it)).collect();
        Self { members, assigned, free }
    }

    /// Everyone may have everything: each gets the same number, or one more. Those who have most keep
    /// the one more.
    fn level(&mut self) {
        let held: usize = self.assigned.iter().map(BTreeSet::len).sum();
        let all = held + self.free.len();
        let Some(least) = all.checked_div(self.members.len()) else { return };
        let extra = all - least * self.members.len();
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        let count = |index: &usize| self.assigned.get(*index).map_or(0, BTreeSet::len);
        order.sort_by_key(|index| std::cmp::Reverse(count(index)));
        let quota = |rank: usize| least + usize::from(rank < extra);
        for (rank, index) in order.iter().enumerate() {
            let Some(of_member) = self.assigned.get_mut(*index) else { continue };
            while of_member.len() > quota(rank) {
                self.free.extend(of_member.pop_last());
            }
        }
        let mut free = std::mem::take(&mut self.free).into_iter();
        for (rank, index) in order.iter().enumerate() {
            let Some(of_member) = self.assigned.get_mut(*index) else { continue };
            let room = quota(rank).saturating_sub(of_member.len());
            of_member.extend(free.by_ref().take(room));
        }
    }

    /// Gives what is free to the subscriber with the least, topics with few subscribers first.
    fn spread(&mut self) {
        let mut by_topic: BTreeMap<TopicId, Vec<i32>> = BTreeMap::new();
        for (topic, index) in std::mem::take(&mut self.free) {
            by_topic.entry(topic).or_default().push(index);
        }
        let mut topics: Vec<(Vec<usize>, TopicId, Vec<i32>)> = by_topic
            .into_iter()
            .map(|(topic, free)| (self.subscribers(topic), topic, free))
            .collect();
        topics.sort_by_key(|(subscribers, topic, _)| (subscribers.len(), *topic));
        for (subscribers, topic, free) in topics {
            let mut by_load: BTreeSet<(usize, usize)> =
                subscribers.iter().map(|member| (self.load(*member), *member)).collect();
            for index in free {
                let Some((load, member)) = by_load.pop_first() else { break };
                if let Some(of_member) = self.assigned.get_mut(member) {
                    of_member.insert((topic, index));
                }
                by_load.insert((load + 1, member));
            }
        }
    }

    /// Moves partitions from who has most to who has least, until no move makes it more even. Each
    /// move brings two members nearer to each other, and so this ends.
    fn balance(&mut self, counts: &BTreeMap<TopicId, i32>) {
        let topics: Vec<(TopicId, Vec<usize>)> =
            counts.keys().map(|topic| (*topic, self.subscribers(*topic))).collect();
        let mut moved = true;
        while moved {
            moved = false;
            for (topic, subscribers) in &topics {
                while self.move_one(*topic, subscribers) {
                    moved = true;
                }
            }
        }
    }

    fn move_one(&mut self, topic: TopicId, subscribers: &[usize]) -> bool {
        let of_topic = |member: usize| {
            let assigned = self.assigned.get(member)?;
            assigned.range((topic, 0)..=(topic, i32::MAX)).next_back().copied()
        };
        let giver = subscribers.iter().filter(|member| of_topic(**member).is_some());
        let Some(giver) = giver.copied().max_by_key(|member| self.load(*member)) else {
            return false;
        };
        let Some(taker) = subscribers.iter().copied().min_by_key(|member| self.load(*member))
        else {
            return false;
        };
        let Some(partition) = of_topic(giver) else { return false };
        if self.load(giver) <= self.load(taker) + 1 {
            return false;
        }
        if let Some(of_giver) = self.assigned.get_mut(giver) {
            of_giver.remove(&partition);
        }
        self.assigned.get_mut(taker).is_some_and(|of_taker| of_taker.insert(partition))
    }

    fn subscribers(&self, topic: TopicId) -> Vec<usize> {
        let members = self.members.iter().enumerate();
        members.filter(|(_, it)| it.topics.contains(&topic)).map(|(index, _)| index).collect()
    }

    fn load(&self, member: usize) -> usize {
        self.assigned.get(member).map_or(0, BTreeSet::len)
    }

    fn finish(self) -> Vec<Partitions> {
        let by_topic = |assigned: BTreeSet<Partition>| {
            let mut partitions = Partitions::new();
            for (topic, index) in assigned {
                partitions.entry(topic).or_default().insert(index);
            }
            partitions
        };
        self.assigned.into_iter().map(by_topic).collect()
    }
}
