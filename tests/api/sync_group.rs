//! SyncGroup.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::SyncGroupRequest;

use crate::support::client::{error, versions};
use crate::support::groups::{GROUP, Member, coordinator, join_request, sync_request};

#[tokio::test]
async fn every_version_gets_what_the_leader_assigned() {
    for version in versions::<SyncGroupRequest>() {
        let (node, leader) = coordinator().await;
        let follower = node.connect().await;
        let first = leader.member().await;
        let waiting = tokio::spawn({
            let follower = follower.clone();
            async move { follower.call(2, &join_request("")).await }
        });
        crate::support::eventually("the group is called together", async || {
            (leader.heartbeat(&first).await == ErrorCode::RebalanceInProgress).then_some(())
        })
        .await;
        let led = leader.join(&first.id).await;
        let followed = waiting.await.unwrap();
        assert_eq!((led.generation_id, followed.generation_id), (2, 2));
        let one = Member { id: led.member_id, generation: 2 };
        let two = Member { id: followed.member_id, generation: 2 };
        let assignments = [(&*one.id, "yours"), (&*two.id, "theirs")];
        let (ask, assign) = (sync_request(&two, &[]), sync_request(&one, &assignments));
        let (theirs, own) =
            tokio::join!(follower.call(version, &ask), leader.call(version, &assign));
        assert_eq!((own.error_code, &*own.assignment), (0, &b"yours"[..]), "v{version}");
        assert_eq!((theirs.error_code, &*theirs.assignment), (0, &b"theirs"[..]), "v{version}");
        assert_eq!(own.protocol_name.as_deref(), (version >= 5).then_some("range"));
    }
}

#[tokio::test]
async fn who_is_no_member_of_this_generation_gets_nothing() {
    let (_node, client) = coordinator().await;
    let nobody = Member { id: "nobody".into(), generation: 1 };
    let outcome = async |request: SyncGroupRequest| error(client.ask(&request).await.error_code);
    assert_eq!(outcome(sync_request(&nobody, &[])).await, ErrorCode::UnknownMemberId);
    let mut unnamed = sync_request(&nobody, &[]);
    unnamed.group_id = "".into();
    assert_eq!(outcome(unnamed).await, ErrorCode::InvalidGroupId);

    let member = client.member().await;
    let late = Member { generation: member.generation - 1, ..member.clone() };
    assert_eq!(outcome(sync_request(&late, &[])).await, ErrorCode::IllegalGeneration);
    let mut other = sync_request(&member, &[]);
    other.protocol_name = Some("sticky".into());
    assert_eq!(outcome(other).await, ErrorCode::InconsistentGroupProtocol);
    let mut fenced = sync_request(&member, &[]);
    fenced.group_instance_id = Some("reader-1".into());
    assert_eq!(outcome(fenced).await, ErrorCode::UnknownMemberId);
    // The leader joins again, and until it has assigned, nobody has work.
    assert_eq!(client.join(&member.id).await.generation_id, member.generation + 1);
    assert_eq!(outcome(sync_request(&member, &[])).await, ErrorCode::IllegalGeneration);
}

#[tokio::test]
async fn a_static_member_that_was_replaced_is_fenced() {
    let (_node, client) = coordinator().await;
    let mut join = join_request("");
    join.group_instance_id = Some("reader-1".into());
    let first = client.ask(&join).await;
    client.ask(&join).await;
    let first = Member { id: first.member_id, generation: first.generation_id };
    let mut request = sync_request(&first, &[]);
    request.group_instance_id = Some("reader-1".into());
    assert_eq!(error(client.ask(&request).await.error_code), ErrorCode::FencedInstanceId);
}

#[tokio::test]
async fn an_assignment_that_no_batch_can_hold_is_refused() {
    let (_node, client) = coordinator().await;
    let joined = client.join("").await;
    let member = Member { id: joined.member_id, generation: joined.generation_id };
    let mut request = sync_request(&member, &[(&member.id, "")]);
    request.assignments[0].assignment = vec![7; 2 << 20].into();
    let refused = client.ask(&request).await;
    assert_eq!(error(refused.error_code), ErrorCode::UnknownServerError);
    let synced = client.ask(&sync_request(&member, &[(&member.id, "less")])).await;
    assert_eq!((synced.error_code, &*synced.assignment), (0, &b"less"[..]));
    assert_eq!(GROUP, "payment-service");
}
