//! PURE. As many partitions for each member as its subscription allows, and few that move: members
//! keep what they had, what is left goes to those who have least, and what is too much moves on.

use std::collections::{BTreeMap, BTreeSet};

use duramen_protocol::ids::TopicId;

use super::{Assignment, MemberSpec};

/// Members by how many partitions they have.
struct Loads<'a> {
    members: &'a [MemberSpec<'a>],
    assigned: Vec<Assignment>,
    load: Vec<usize>,
    by_load: BTreeSet<(usize, usize)>,
}

impl Loads<'_> {
    fn subscribes(&self, member: usize, topic: TopicId) -> bool {
        self.members.get(member).is_some_and(|member| member.topics.contains(&topic))
    }

    /// The member with least that reads a topic, and how much it has.
    fn least(&self, topic: TopicId) -> Option<(usize, usize)> {
        self.by_load.iter().find(|(_, member)| self.subscribes(*member, topic)).copied()
    }

    fn weigh(&mut self, member: usize, change: impl Fn(usize) -> usize) {
        let Some(load) = self.load.get_mut(member) else { return };
        self.by_load.remove(&(*load, member));
        *load = change(*load);
        self.by_load.insert((*load, member));
    }

    fn give(&mut self, member: usize, topic: TopicId, partition: i32) {
        if let Some(own) = self.assigned.get_mut(member) {
            own.entry(topic).or_default().insert(partition);
            self.weigh(member, |load| load + 1);
        }
    }

    fn take(&mut self, member: usize, topic: TopicId, partition: i32) {
        let Some(own) = self.assigned.get_mut(member) else { return };
        if let Some(partitions) = own.get_mut(&topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                own.remove(&topic);
            }
            self.weigh(member, |load| load.saturating_sub(1));
        }
    }

    /// Moves what a member has too much; whether anything moved. Each move makes loads more equal,
    /// so that it comes to an end.
    fn relieve(&mut self, member: usize) -> bool {
        let own = self.assigned.get(member).cloned().unwrap_or_default();
        let mut moved = false;
        for (topic, partitions) in own {
            // The last first: what a member keeps stays together.
            for partition in partitions.into_iter().rev() {
                let load = self.load.get(member).copied().unwrap_or(0);
                let Some((least, other)) = self.least(topic) else { break };
                if load < least + 2 {
                    break;
                }
                self.take(member, topic, partition);
                self.give(other, topic, partition);
                moved = true;
            }
        }
        moved
    }
}

/// What each of `members` is to have.
pub(super) fn assign(
    members: &[MemberSpec<'_>],
    partitions: &BTreeMap<TopicId, i32>,
) -> Vec<Assignment> {
    let mut loads = Loads {
        members,
        assigned: vec![Assignment::new(); members.len()],
        load: vec![0; members.len()],
        by_load: (0..members.len()).map(|member| (0, member)).collect(),
    };
    let mut left: BTreeMap<TopicId, BTreeSet<i32>> =
        partitions.iter().map(|(topic, count)| (*topic, (0..*count).collect())).collect();
    for (index, member) in members.iter().enumerate() {
        for (topic, owned) in member.owned.iter().filter(|(it, _)| member.topics.contains(it)) {
            let Some(left) = left.get_mut(topic) else { continue };
            for partition in owned.iter().filter(|partition| left.remove(partition)) {
                loads.give(index, *topic, *partition);
            }
        }
    }
    for (topic, partitions) in left {
        for partition in partitions {
            if let Some((_, member)) = loads.least(topic) {
                loads.give(member, topic, partition);
            }
        }
    }
    loop {
        let most: Vec<usize> = loads.by_load.iter().rev().map(|(_, member)| *member).collect();
        let moved = most.into_iter().filter(|member| loads.relieve(*member)).count();
        if moved == 0 {
            return loads.assigned;
        }
    }
}
