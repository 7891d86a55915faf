//! PURE. Groups that change sides while they have members (`group.consumer.migration.policy`).
//!
//! ```text
//!             a KIP-848 member joins: the classic members go on, as members of the other kind
//!   classic ────────────────────────────────────────────────────────────────────────▶ KIP-848
//!           ◀────────────────────────────────────────────────────────────────────────
//!             only classic members are left: they are called together
//! ```
//!
//! | file | what lives there |
//! |---|---|
//! | this one | classic to KIP-848; who goes from one kind of group into the other |
//! | `blobs.rs` | what clients of the classic protocol tell each other |
//! | `../classic/migrate.rs` | a classic group taken apart, and put together |
//! | `../consumer/classic/` | classic members of a KIP-848 group; `migrate.rs` as above |
//!
//! The records of both groups are one batch: the one is gone when the other is there.

mod blobs;

use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::group_records::{GroupMetadataKey, GroupRecord};
use duramen_protocol::messages::ConsumerGroupHeartbeatResponse;
use duramen_protocol::text::Text;

use super::Group;
use super::classic::ClassicGroup;
use super::consumer::{self, Assignment, ConsumerGroup, Refusal};
use crate::coordinator::command::{ConsumerBeat, Turn};
use crate::metadata::MetadataImage;

pub(super) use blobs::{by_id, read_assignment, to_assignment};

/// A member that speaks the classic protocol, on its way from one kind of group into the other.
#[derive(Debug, Clone)]
pub(super) struct Migrant {
    /// Its id.
    pub(super) id: Text,
    /// The name of a static member.
    pub(super) instance_id: Option<Text>,
    /// Its rack.
    pub(super) rack_id: Option<Text>,
    /// Its client id.
    pub(super) client_id: Text,
    /// Where it is.
    pub(super) client_host: Text,
    /// The topics it subscribes to, in order.
    pub(super) topics: Vec<Text>,
    /// How long it may take to join again, in ms.
    pub(super) rebalance_timeout_ms: i32,
    /// How long it may be silent, in ms.
    pub(super) session_timeout_ms: i32,
    /// The assignors that it speaks, and what it has to say to each.
    pub(super) protocols: Vec<(Text, Bytes)>,
    /// What it may be reading.
    pub(super) held: Assignment,
    /// When it is taken for dead.
    pub(super) deadline: Duration,
}

/// A KIP-848 member joins a classic group with members, which becomes one of KIP-848.
pub(crate) fn upgrade(
    group: &mut ClassicGroup,
    turn: &mut Turn<'_>,
    beat: &ConsumerBeat,
    image: &MetadataImage,
) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
    let id = group.id().clone();
    consumer::check(beat, turn.limits)?;
    if beat.request.member_epoch != consumer::JOIN {
        return Err(Refusal::not_found(format!("Group {id} is not a consumer group.")));
    }
    let migrants = may_upgrade(group, turn, image).map_err(|why| {
        let cannot = format!("Cannot upgrade classic group {id} to consumer group because");
        Refusal::not_found(format!("{cannot} {why}."))
    })?;
    turn.record(GroupRecord::GroupMetadata(GroupMetadataKey { group: id.clone() }, None));
    let mut consumers = ConsumerGroup::of_migrants(id, group.generation(), &migrants, turn, image);
    let answer = consumers.heartbeat(turn, beat, image);
    match &answer {
        Ok(_) => {
            group.dissolve(turn);
            turn.begin(Group::Consumer(consumers));
        }
        Err(_) => turn.out.records.clear(),
    }
    answer
}

fn may_upgrade(
    group: &ClassicGroup,
    turn: &Turn<'_>,
    image: &MetadataImage,
) -> Result<Vec<Migrant>, &'static str> {
    if !turn.limits.consumer.migration.upgrades() {
        return Err("online upgrade is disabled");
    }
    if !group.is_of_consumers() {
        return Err("the group does not use the consumer embedded protocol");
    }
    let migrants = group.migrants(image)?;
    if migrants.len() > turn.limits.consumer.members_max {
        return Err("the group size exceeds the consumer group maximum size");
    }
    Ok(migrants)
}
