use super::*;
use crate::random::Random;

fn member(id: &str, topics: &[&str]) -> Candidate {
    Candidate {
        member_id: id.into(),
        instance_id: None,
        topics: topics.iter().map(|topic| Text::from(*topic)).collect(),
        owned: Vec::new(),
        generation: -1,
    }
}

fn counts(topics: &[(&str, i32)]) -> BTreeMap<Text, i32> {
    topics.iter().map(|(topic, count)| (Text::from(*topic), *count)).collect()
}

/// `a0 a1 b0` of each member, in the order of their ids.
fn shown(shares: &Shares) -> Vec<(String, String)> {
    let name = |part: &TopicPartition| format!("{}{}", part.topic, part.partition);
    let all = |parts: &[TopicPartition]| parts.iter().map(name).collect::<Vec<_>>().join(" ");
    shares.iter().map(|(member, parts)| (member.to_string(), all(parts))).collect()
}

fn check(assignor: Assignor, members: &[Candidate], topics: &[(&str, i32)], want: &[&str]) {
    let shares = shown(&assignor.assign(members, &counts(topics)));
    let shares: Vec<&str> = shares.iter().map(|(_, parts)| parts.as_str()).collect();
    assert_eq!(shares, want, "{assignor:?} {topics:?}");
}

#[test]
fn range_gives_adjoining_partitions_of_each_topic() {
    let two = [member("c2", &["a", "b"]), member("c1", &["a", "b"])];
    check(Assignor::Range, &two, &[("a", 3), ("b", 3)], &["a0 a1 b0 b1", "a2 b2"]);
    let three = [member("c1", &["a"]), member("c2", &["a", "b"]), member("c3", &["a"])];
    check(Assignor::Range, &three, &[("a", 3), ("b", 2)], &["a0", "a1 b0 b1", "a2"]);
    check(Assignor::Range, &three, &[("a", 1)], &["a0", "", ""]);
    check(Assignor::Range, &three, &[], &["", "", ""]);
}

#[test]
fn static_members_come_first_by_their_instance_id() {
    let mut members = [member("c1", &["a"]), member("c2", &["a"]), member("c3", &["a"])];
    members[1].instance_id = Some("z".into());
    members[2].instance_id = Some("y".into());
    check(Assignor::Range, &members, &[("a", 4)], &["a3", "a2", "a0 a1"]);
}

#[test]
fn round_robin_passes_over_those_who_do_not_want_the_topic() {
    let two = [member("c1", &["a", "b"]), member("c2", &["a", "b"])];
    check(Assignor::RoundRobin, &two, &[("a", 3), ("b", 3)], &["a0 a2 b1", "a1 b0 b2"]);
    let three = [member("c1", &["a"]), member("c2", &["a", "b"]), member("c3", &["a", "b", "c"])];
    let topics = [("a", 1), ("b", 2), ("c", 3)];
    check(Assignor::RoundRobin, &three, &topics, &["a0", "b0", "b1 c0 c1 c2"]);
    check(Assignor::RoundRobin, &[], &topics, &[]);
}

/// The members after they have taken their shares.
fn settled(members: &[Candidate], shares: &Shares, generation: i32) -> Vec<Candidate> {
    let mut members = members.to_vec();
    for member in &mut members {
        member.owned = shares.get(&member.member_id).cloned().unwrap_or_default();
        member.generation = generation;
    }
    members
}

#[test]
fn a_partition_that_moves_is_given_up_before_it_is_given_out() {
    let sticky = Assignor::CooperativeSticky;
    let topics = counts(&[("a", 4)]);
    let one = [member("c1", &["a"])];
    let first = sticky.assign(&one, &topics);
    assert_eq!(first[&Text::from("c1")].len(), 4);
    let mut two = settled(&one, &first, 1);
    two.push(member("c2", &["a"]));
    let second = sticky.assign(&two, &topics);
    assert_eq!(
        shown(&second),
        [("c1".to_owned(), "a0 a1".to_owned()), ("c2".to_owned(), String::new())]
    );
    let third = sticky.assign(&settled(&two, &second, 2), &topics);
    assert_eq!(
        shown(&third),
        [("c1".to_owned(), "a0 a1".to_owned()), ("c2".to_owned(), "a2 a3".to_owned())]
    );
    let again = sticky.assign(&settled(&two, &third, 3), &topics);
    assert_eq!(again, third, "nothing moves without a reason");
}

#[test]
fn of_two_who_claim_a_partition_the_newer_generation_has_it() {
    let mut members = [member("c1", &["a"]), member("c2", &["a"])];
    members[0].owned = vec![TopicPartition::new("a", 0), TopicPartition::new("a", 1)];
    members[0].generation = 3;
    members[1].owned = vec![TopicPartition::new("a", 0)];
    members[1].generation = 4;
    let refs: Vec<&Candidate> = members.iter().collect();
    let target = sticky::assign(&refs, &counts(&[("a", 2)]));
    assert_eq!(
        shown(&target),
        [("c1".to_owned(), "a1".to_owned()), ("c2".to_owned(), "a0".to_owned())]
    );
}

/// Members come, go and change what they want: each partition is read by at most one, in the end by
/// exactly one, and no move would make it more even.
#[test]
fn whatever_comes_and_goes_the_sticky_shares_are_whole_and_even() {
    let topics = counts(&[("a", 7), ("b", 1), ("c", 4)]);
    for seed in 0..200 {
        let mut random = Random::seeded(seed);
        let mut members: Vec<Candidate> = Vec::new();
        for step in 0..8 {
            if random.below(3) == 0 && members.len() > 1 {
                members.remove(random.below(members.len()));
            } else {
                let wants: Vec<&str> =
                    ["a", "b", "c"].into_iter().filter(|_| random.below(3) > 0).collect();
                members.push(member(&format!("m{step}"), &wants));
            }
            // Usually one rebalance gives up what moves, and a second one gives it out.
            for round in 0.. {
                let shares = Assignor::CooperativeSticky.assign(&members, &topics);
                check_shares(&members, &shares, &topics, false);
                let before = members.clone();
                members = settled(&members, &shares, 10 * step + round);
                if members.iter().zip(&before).all(|(now, then)| now.owned == then.owned) {
                    check_shares(&members, &shares, &topics, true);
                    break;
                }
                assert!(round < 5, "it does not come to rest: seed {seed}");
            }
        }
    }
}

fn check_shares(members: &[Candidate], shares: &Shares, topics: &BTreeMap<Text, i32>, whole: bool) {
    let mut owners: BTreeMap<&TopicPartition, &Text> = BTreeMap::new();
    for (member, parts) in shares {
        for part in parts {
            assert_eq!(owners.insert(part, member), None, "{part:?} is read twice");
        }
    }
    if !whole {
        return;
    }
    for (topic, count) in topics {
        let wanted = members.iter().any(|member| member.topics.contains(topic));
        for partition in 0..*count {
            let part = TopicPartition::new(topic.clone(), partition);
            assert_eq!(owners.contains_key(&part), wanted, "{part:?}");
            let Some(owner) = owners.get(&part) else { continue };
            let load = shares[*owner].len();
            let others = members.iter().filter(|member| member.topics.contains(topic));
            for other in others {
                assert!(shares[&other.member_id].len() + 1 >= load, "{part:?} should move");
            }
        }
    }
}
