//! A connection against a broker that misbehaves in every way it can.

use bytes::BufMut;
use duramen_protocol::api::ApiKey;
use duramen_protocol::frame::FrameError;
use duramen_protocol::messages::{MetadataRequest, MetadataResponse};
use tokio::time::Instant;

use super::*;
use crate::testing::{Peer, served};

fn start() -> (Connection, Peer) {
    let (stream, peer) = Peer::pair();
    let options = ConnectionOptions { max_response_bytes: 10_000, ..ConnectionOptions::default() };
    (Connection::start(stream, options).unwrap(), peer)
}

fn begin(connection: &Connection) -> Pending<MetadataResponse> {
    connection.begin(1, &MetadataRequest::default(), Duration::from_secs(30)).unwrap()
}

fn answer_of(controller_id: i32) -> MetadataResponse {
    MetadataResponse { controller_id, ..MetadataResponse::default() }
}

/// Three calls are open when the broker does `misdeed`; all must fail, and every later call too.
async fn all_fail(misdeed: impl AsyncFnOnce(&mut Peer)) -> ConnectionError {
    let (connection, mut peer) = start();
    let calls = [begin(&connection), begin(&connection), begin(&connection)];
    for _ in 0..3 {
        peer.asked().await.unwrap();
    }
    misdeed(&mut peer).await;
    for call in calls {
        assert!(matches!(call.await, Err(CallError::Connection(_))));
    }
    let request = MetadataRequest::default();
    let later = connection.call_version(1, &request, Duration::from_secs(1)).await;
    assert!(matches!(later, Err(CallError::Connection(_))));
    connection.ended().unwrap()
}

#[tokio::test(start_paused = true)]
async fn requests_leave_together_and_answers_find_their_calls() {
    let (connection, mut peer) = start();
    let calls = [begin(&connection), begin(&connection), begin(&connection)];
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(peer.asked().await.unwrap());
    }
    for (number, asked) in asked.iter().enumerate() {
        peer.reply(asked, &answer_of(i32::try_from(number).unwrap())).await;
    }
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(usize::try_from(call.await.unwrap().controller_id).unwrap(), number);
    }
    assert!(connection.ended().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_request_ends_the_connection() {
    let reason = all_fail(async |peer: &mut Peer| {
        let mut frame = vec![0, 0, 0, 4];
        frame.put_i32(2);
        peer.send(&frame).await;
    })
    .await;
    assert!(matches!(reason, ConnectionError::OutOfOrder { expected: Some(0), got: 2 }));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_or_negative_ends_the_connection() {
    let large = all_fail(async |peer: &mut Peer| peer.send(&[0, 0, 0x27, 0x11]).await).await;
    assert!(matches!(large, ConnectionError::Frame(FrameError::TooLarge { length: 10_001, .. })));
    let negative = all_fail(async |peer: &mut Peer| peer.send(&[0xff; 4]).await).await;
    assert!(matches!(negative, ConnectionError::Frame(FrameError::Negative { .. })));
    let short = all_fail(async |peer: &mut Peer| peer.send(&[0, 0, 0, 2, 0, 0]).await).await;
    assert!(matches!(short, ConnectionError::Short(2)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_cut_off_ends_the_connection() {
    let reason = all_fail(async |peer: &mut Peer| {
        peer.send(&[0, 0, 0, 50, 0, 0, 0, 0, 1, 2, 3]).await;
        *peer = Peer::pair().1;
    })
    .await;
    assert!(matches!(reason, ConnectionError::Closed));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_in_time_ends_the_connection() {
    let before = Instant::now();
    let reason = all_fail(async |_: &mut Peer| {}).await;
    assert!(matches!(reason, ConnectionError::Timeout { api: ApiKey::Metadata, .. }));
    assert_eq!(before.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_short_deadline_counts_behind_a_long_one() {
    let (connection, mut peer) = start();
    let request = MetadataRequest::default();
    let long = connection.begin(1, &request, Duration::from_secs(60)).unwrap();
    let short = connection.begin(1, &request, Duration::from_secs(5)).unwrap();
    peer.asked().await.unwrap();
    let before = Instant::now();
    assert!(short.await.is_err() && long.await.is_err());
    assert_eq!(before.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_read_fails_its_call_alone() {
    let (connection, mut peer) = start();
    let (first, second) = (begin(&connection), begin(&connection));
    let asked = [peer.asked().await.unwrap(), peer.asked().await.unwrap()];
    // An array that claims more than the frame holds.
    let mut frame = vec![0, 0, 0, 8];
    frame.put_i32(asked[0].header.correlation_id);
    frame.put_i32(i32::MAX);
    peer.send(&frame).await;
    peer.reply(&asked[1], &answer_of(5)).await;
    assert!(matches!(first.await, Err(CallError::Decode(_))));
    assert_eq!(second.await.unwrap().controller_id, 5);
}

#[tokio::test(start_paused = true)]
async fn a_call_given_up_does_not_disturb_the_next() {
    let (connection, mut peer) = start();
    let dropped = begin(&connection);
    let asked = peer.asked().await.unwrap();
    drop(dropped);
    let kept = begin(&connection);
    peer.reply(&asked, &answer_of(1)).await;
    let asked = peer.asked().await.unwrap();
    peer.reply(&asked, &answer_of(2)).await;
    assert_eq!(kept.await.unwrap().controller_id, 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_closes_the_stream_after_what_was_queued() {
    let (connection, mut peer) = start();
    connection.begin_unanswered(1, &MetadataRequest::default()).unwrap();
    drop(connection);
    assert!(peer.asked().await.is_some());
    assert!(peer.asked().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn versions_are_agreed_on_the_highest_both_have() {
    let (connection, mut peer) = start();
    let broker = tokio::spawn(async move {
        let asked = peer.asked().await.unwrap();
        assert_eq!((asked.header.api, asked.header.version), (ApiKey::ApiVersions, 4));
        let mut old = served();
        for api in old.api_keys.iter_mut().filter(|api| api.api_key == 3) {
            api.max_version = 9;
        }
        old.api_keys.retain(|api| api.api_key != 60);
        peer.reply(&asked, &old).await;
        peer
    });
    connection.negotiate().await.unwrap();
    broker.await.unwrap();
    assert_eq!(connection.version_of::<MetadataRequest>(i16::MAX).unwrap(), 9);
    assert_eq!(connection.version_of::<MetadataRequest>(7).unwrap(), 7);
    let missing = connection
        .version_of::<duramen_protocol::messages::DescribeClusterRequest>(i16::MAX)
        .unwrap_err();
    assert!(missing.to_string().contains("it has none"), "{missing}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_version_of_the_question_is_asked_again_lower() {
    let (connection, mut peer) = start();
    let broker = tokio::spawn(async move {
        let asked = peer.asked().await.unwrap();
        // Error 35 comes in version 0, with the range of key 18 in it.
        let mut refusal = vec![0, 0, 0, 16];
        refusal.put_i32(asked.header.correlation_id);
        refusal.put_i16(35);
        refusal.put_i32(1);
        refusal.extend_from_slice(&[0, 18, 0, 0, 0, 2]);
        peer.send(&refusal).await;
        let asked = peer.asked().await.unwrap();
        assert_eq!(asked.header.version, 2);
        peer.reply(&asked, &served()).await;
        peer
    });
    connection.negotiate().await.unwrap();
    broker.await.unwrap();
    assert_eq!(connection.version_of::<ApiVersionsRequest>(i16::MAX).unwrap(), 4);
}
