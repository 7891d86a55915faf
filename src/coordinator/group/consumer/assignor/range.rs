//! PURE. Each topic's partitions in order, a range for each member that subscribes to it; the first
//! members get one more where they can't be divided.

use std::collections::BTreeMap;

use duramen_protocol::ids::TopicId;

use super::{Assignment, MemberSpec};

/// What each of `members` is to have.
pub(super) fn assign(
    members: &[MemberSpec<'_>],
    partitions: &BTreeMap<TopicId, i32>,
) -> Vec<Assignment> {
    // Static members first, by their names: they keep their ranges when they come back.
    let mut order: Vec<(usize, &MemberSpec<'_>)> = members.iter().enumerate().collect();
    order.sort_by_key(|(_, member)| (member.instance_id.is_none(), member.instance_id));
    let mut assigned = vec![Assignment::new(); members.len()];
    for (topic, count) in partitions {
        let readers: Vec<usize> =
            order.iter().filter(|(_, it)| it.topics.contains(topic)).map(|(at, _)| *at).collect();
        let Ok(size) = i32::try_from(readers.len()) else { continue };
        if size == 0 {
            continue;
        }
        let mut next = 0;
        for (reader, rank) in readers.into_iter().zip(0..) {
            let end = next + count / size + i32::from(rank < count % size);
            if let Some(own) = assigned.get_mut(reader).filter(|_| next < end) {
                own.insert(*topic, (next..end).collect());
            }
            next = end;
        }
    }
    assigned
}
