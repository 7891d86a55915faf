//! PURE. A contiguous range of each topic for each of its subscribers, in the order of their names:
//! members with the same topics get the same partitions of each, so that they can be joined.

use std::collections::BTreeMap;

use duramen_protocol::ids::TopicId;

use super::{Partitions, Subscriber};

/// Assigns by ranges; the first members get the partitions that are left over.
pub(super) fn assign(
    members: &[Subscriber<'_>],
    counts: &BTreeMap<TopicId, i32>,
) -> Vec<Partitions> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    // Static members come first, by their lasting names.
    order.sort_by_key(|index| {
        members.get(*index).map(|it| (it.instance_id.is_none(), it.instance_id, it.id))
    });
    let mut assigned = vec![Partitions::new(); members.len()];
    for (topic, count) in counts {
        let subscribed =
            |index: &&usize| members.get(**index).is_some_and(|it| it.topics.contains(topic));
        let subscribers: Vec<usize> = order.iter().filter(subscribed).copied().collect();
        let mut left = i32::try_from(subscribers.len()).unwrap_or(i32::MAX);
        let mut next = 0;
        for index in subscribers {
            let share = (count - next + left - 1) / left.max(1);
            left -= 1;
            if share > 0
                && let Some(of_member) = assigned.get_mut(index)
            {
                of_member.insert(*topic, (next..next + share).collect());
                next += share;
            }
        }
    }
    assigned
}
