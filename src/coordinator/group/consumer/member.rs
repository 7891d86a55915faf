//! PURE. A member of a group of KIP-848, and its position: what it has, and on the way to which
//! epoch.

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_protocol::group_records::{ClassicProtocol, ConsumerGroupMemberMetadataValue};
use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

use super::assignor::Assignment;
use crate::coordinator::command::ConsumerBeat;
use crate::coordinator::group::millis;

/// Partitions, and for each the epoch in which it was given.
pub(super) type Given = BTreeMap<TopicId, BTreeMap<i32, i32>>;

/// Where a member is on the way to its target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum MemberState {
    /// It has what it is to have in its epoch.
    #[default]
    Stable,
    /// It has partitions to give up.
    Unrevoked,
    /// It waits for partitions that others have not given up yet.
    Unreleased,
}

/// What a member has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// Its epoch; -2 while a static member is away for a while.
    pub(super) epoch: i32,
    /// The epoch before.
    pub(super) previous_epoch: i32,
    /// On its way.
    pub(super) state: MemberState,
    /// What it may read.
    pub(super) assigned: Given,
    /// What it must give up.
    pub(super) revoking: Given,
}

impl Position {
    /// All partitions that it may be reading.
    pub(super) fn held(&self) -> impl Iterator<Item = (TopicId, i32)> {
        let all = self.assigned.iter().chain(&self.revoking);
        all.flat_map(|(topic, partitions)| partitions.keys().map(|index| (*topic, *index)))
    }

    /// Whether it may be reading all of these.
    pub(super) fn holds(&self, owned: &Assignment) -> bool {
        let within = |topic: &TopicId, index: &i32| {
            let mut both = [&self.assigned, &self.revoking].into_iter();
            both.any(|given| given.get(topic).is_some_and(|given| given.contains_key(index)))
        };
        owned.iter().all(|(topic, all)| all.iter().all(|index| within(topic, index)))
    }

    /// What it may read, without epochs.
    pub(super) fn assignment(&self) -> Assignment {
        let topics = self.assigned.iter();
        topics.map(|(topic, given)| (*topic, given.keys().copied().collect())).collect()
    }
}

/// A member.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) id: Text,
    /// What it said of itself.
    pub(super) about: ConsumerGroupMemberMetadataValue,
    pub(super) position: Position,
}

impl Member {
    /// A member that has said nothing and has nothing.
    pub(super) fn new(id: Text) -> Self {
        // As Kafka writes it: the schema's own default is the empty text, which says something else.
        let about = ConsumerGroupMemberMetadataValue {
            instance_id: None,
            rack_id: None,
            server_assignor: None,
            ..ConsumerGroupMemberMetadataValue::default()
        };
        Self { id, about, position: Position::default() }
    }

    /// How long it may take to give up partitions.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        millis(self.about.rebalance_timeout_ms)
    }

    /// Whether it speaks the classic protocol.
    pub(super) fn is_classic(&self) -> bool {
        self.about.classic_member_metadata.is_some()
    }

    /// The assignors that a classic member speaks, and what it has to say to each.
    pub(super) fn protocols(&self) -> &[ClassicProtocol] {
        let classic = self.about.classic_member_metadata.as_ref();
        classic.map_or(&[], |classic| &classic.supported_protocols)
    }

    /// How long it may be silent: a classic member has said so itself, to others the `group` says it.
    pub(super) fn session_timeout(&self, group: Duration) -> Duration {
        let classic = self.about.classic_member_metadata.as_ref();
        classic.map_or(group, |classic| millis(classic.session_timeout_ms))
    }

    /// The regular expression it subscribes to; an empty one is none.
    pub(super) fn regex(&self) -> Option<&Text> {
        self.about.subscribed_topic_regex.as_ref().filter(|regex| !regex.is_empty())
    }

    /// Takes over what a heartbeat says; what it leaves out did not change.
    pub(super) fn hear(&mut self, beat: &ConsumerBeat) {
        let (request, about) = (&beat.request, &mut self.about);
        let take = |kept: &mut Option<Text>, said: &Option<Text>| {
            if said.is_some() {
                kept.clone_from(said);
            }
        };
        take(&mut about.instance_id, &request.instance_id);
        take(&mut about.rack_id, &request.rack_id);
        take(&mut about.server_assignor, &request.server_assignor);
        take(&mut about.subscribed_topic_regex, &request.subscribed_topic_regex);
        if request.rebalance_timeout_ms != -1 {
            about.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(names) = &request.subscribed_topic_names {
            about.subscribed_topic_names = ordered(names.clone());
        }
        about.client_id.clone_from(&beat.client_id);
        about.client_host.clone_from(&beat.client_host);
        // Whoever sends these heartbeats has left the classic protocol behind.
        about.classic_member_metadata = None;
    }

    /// Whether it subscribes to the same topics, in the same words.
    pub(super) fn subscribes_as(&self, other: &Self) -> bool {
        self.about.subscribed_topic_names == other.about.subscribed_topic_names
            && self.regex() == other.regex()
    }
}

/// Names of topics in order, each once.
pub(in crate::coordinator::group) fn ordered(mut names: Vec<Text>) -> Vec<Text> {
    names.sort();
    names.dedup();
    names
}
