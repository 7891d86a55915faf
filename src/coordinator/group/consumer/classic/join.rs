//! PURE. JoinGroup: a classic member comes, or takes its next step. It is answered at once, with
//! nobody to lead; what it is to read it asks for by SyncGroup.

use std::collections::BTreeSet;

use duramen_protocol::consumer_protocol::{ConsumerProtocolSubscription, PROTOCOL_TYPE};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::group_records::{ClassicMemberMetadata, ClassicProtocol};
use duramen_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse};
use duramen_protocol::text::Text;

use super::super::draft::Sender;
use super::super::member::{Member, ordered};
use super::super::{ConsumerGroup, State};
use super::migrate::Arrival;
use crate::coordinator::command::{Join, Turn};
use crate::coordinator::group::classic::{ID_REQUIRED_VERSION, fresh_id, refused_join};
use crate::coordinator::group::migration::by_id;
use crate::metadata::MetadataImage;

impl ConsumerGroup {
    /// A classic member joins.
    pub(crate) fn join_classic(
        &mut self,
        turn: &mut Turn<'_>,
        join: &Join,
        image: &MetadataImage,
    ) -> Result<JoinGroupResponse, ErrorCode> {
        let request = &join.request;
        let anew = request.member_id.is_empty();
        let instance = request.group_instance_id.as_ref();
        let id = match anew {
            true => fresh_id(instance.unwrap_or(&join.client_id), join),
            false => request.member_id.clone(),
        };
        let sender = self.classic_sender(request, id)?;
        if sender.is_new && self.members.len() >= turn.limits.consumer.members_max {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        let subscription = self.read_subscription(request)?;
        if anew && instance.is_none() && join.version >= ID_REQUIRED_VERSION {
            return Ok(refused_join(sender.member.id, ErrorCode::MemberIdRequired));
        }
        let owned = by_id(&subscription.owned_partitions, image);
        if !anew && !sender.member.position.holds(&owned) {
            // It was out, did not hear of it, and reads what others read by now: it must let go of
            // all that first, as a new member. (Kafka takes it in, and both commit.)
            return Err(ErrorCode::UnknownMemberId);
        }
        let mut member = sender.member.clone();
        member.hear_classic(join, subscription);
        if let Some(generation) = self.replace_last(turn, &sender, &member, image) {
            return Ok(answer(&member, generation));
        }
        let member = self.advance(turn, image, &sender, member, Some(&owned));
        let member = member.map_err(|refusal| refusal.code)?;
        self.await_sync(turn, &member, image);
        Ok(answer(&member, member.position.epoch))
    }

    /// Who joins: a new member, one that is known, or one in the place of another.
    fn classic_sender(&self, request: &JoinGroupRequest, id: Text) -> Result<Sender, ErrorCode> {
        let anew = request.member_id.is_empty();
        let current = request.group_instance_id.as_ref().map(|instance| self.statics.get(instance));
        match current {
            Some(None) if !anew => return Err(ErrorCode::UnknownMemberId),
            Some(Some(current)) if !anew && *current != id => {
                return Err(ErrorCode::FencedInstanceId);
            }
            Some(Some(current)) if anew => {
                let left = self.members.get(current).ok_or(ErrorCode::UnknownMemberId)?;
                return Ok(Sender::in_place_of(left, id));
            }
            _ => {}
        }
        Ok(match self.members.get(&id) {
            Some(known) => Sender { member: known.clone(), is_new: false, replaces: None },
            None => Sender { member: Member::new(id), is_new: true, replaces: None },
        })
    }

    /// What a member subscribes to. Clients say the same to all assignors; one of those must be
    /// spoken by all classic members.
    fn read_subscription(
        &self,
        request: &JoinGroupRequest,
    ) -> Result<ConsumerProtocolSubscription, ErrorCode> {
        let first = request.protocols.first().ok_or(ErrorCode::InconsistentGroupProtocol)?;
        let everyone = |name: &Text| {
            let mut others = self.members.values().filter(|member| member.is_classic());
            others.all(|it| it.protocols().iter().any(|protocol| protocol.name == *name))
        };
        let common = request.protocols.iter().any(|protocol| everyone(&protocol.name));
        if &*request.protocol_type != PROTOCOL_TYPE || !common {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        ConsumerProtocolSubscription::from_bytes(&first.metadata)
            .map_err(|_| ErrorCode::InconsistentGroupProtocol)
    }

    /// When the last member that spoke the protocol of KIP-848 comes back as a classic one, the group
    /// becomes a classic group of this generation.
    fn replace_last(
        &mut self,
        turn: &mut Turn<'_>,
        sender: &Sender,
        member: &Member,
        image: &MetadataImage,
    ) -> Option<i32> {
        if sender.is_new || sender.member.is_classic() {
            return None;
        }
        let settled = self.state() == State::Stable && member.subscribes_as(&sender.member);
        let former = sender.replaces.clone().unwrap_or_else(|| member.id.clone());
        let arrival = Arrival { member, settled };
        self.downgrade(turn, &BTreeSet::from([former]), Some(&arrival), image).then_some(self.epoch)
    }

    /// The member was heard of, and is to ask for its assignment.
    fn await_sync(&mut self, turn: &Turn<'_>, member: &Member, image: &MetadataImage) {
        let now = turn.now.at;
        let sync = now + member.rebalance_timeout();
        self.timers.joins.remove(&member.id);
        self.timers.revocations.remove(&member.id);
        self.timers.syncs.insert(member.id.clone(), sync);
        self.timers.wake_by(sync);
        let session = self.session_timeout(turn.limits, image);
        self.timers.heard(&member.id, now + member.session_timeout(session));
    }
}

impl Member {
    /// Takes over what a JoinGroup says.
    fn hear_classic(&mut self, join: &Join, subscription: ConsumerProtocolSubscription) {
        let about = &mut self.about;
        about.subscribed_topic_names = ordered(subscription.topics);
        about.subscribed_topic_regex = None;
        about.rack_id = subscription.rack_id.filter(|rack| !rack.is_empty());
        about.instance_id.clone_from(&join.request.group_instance_id);
        about.client_id.clone_from(&join.client_id);
        about.client_host.clone_from(&join.client_host);
        about.rebalance_timeout_ms = join.rebalance_timeout_ms();
        let protocol = |(name, metadata)| ClassicProtocol { name, metadata };
        about.classic_member_metadata = Some(ClassicMemberMetadata {
            session_timeout_ms: join.request.session_timeout_ms,
            supported_protocols: join.protocols().map(protocol).collect(),
        });
    }
}

fn answer(member: &Member, generation_id: i32) -> JoinGroupResponse {
    JoinGroupResponse {
        generation_id,
        protocol_type: Some(PROTOCOL_TYPE.into()),
        protocol_name: member.protocols().first().map(|protocol| protocol.name.clone()),
        member_id: member.id.clone(),
        ..JoinGroupResponse::default()
    }
}
