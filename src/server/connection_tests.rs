//! The mechanics of a connection, over an in-memory stream and with handlers made for the occasion.

use super::*;
use crate::server::reply::Reply;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;

fn limits() -> Limits {
    Limits {
        frame_bytes_max: 1 << 20,
        in_flight_max: 5,
        in_flight_bytes_max: 1 << 20,
        idle: Duration::from_secs(600),
        frame_deadline: Duration::from_secs(20),
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// Answers a request with its own bytes.
fn echo(frame: Bytes) -> EncodedReply {
    Reply::Now(Ok(vec![Bytes::from(framed(&frame))]))
}

struct Running {
    far: DuplexStream,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<Ended>,
}

fn start(serve: impl FnMut(Bytes) -> EncodedReply + Send + 'static) -> Running {
    start_within(64 << 20, serve)
}

fn start_within(
    budget: usize,
    serve: impl FnMut(Bytes) -> EncodedReply + Send + 'static,
) -> Running {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let stop = CancellationToken::new();
    let token = stop.clone();
    let ended =
        tokio::spawn(
            async move { run(near, &limits(), &ByteBudget::new(budget), &token, serve).await },
        );
    Running { far, stop, ended }
}

async fn read_frame(stream: &mut DuplexStream) -> Vec<u8> {
    let len = stream.read_u32().await.unwrap();
    let mut body = vec![0; len as usize];
    stream.read_exact(&mut body).await.unwrap();
    body
}

#[tokio::test]
async fn frames_are_answered_in_order_and_a_large_one_comes_back_whole() {
    let mut running = start(echo);
    let large = vec![3; 700 * 1024];
    let sent = [framed(b"one"), framed(b"two"), framed(&large)].concat();
    let (mut reader, mut writer) = tokio::io::split(running.far);
    let write = tokio::spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer
    });
    for expected in [b"one".to_vec(), b"two".to_vec(), large] {
        let len = reader.read_u32().await.unwrap();
        let mut body = vec![0; len as usize];
        reader.read_exact(&mut body).await.unwrap();
        assert!(body == expected);
    }
    running.far = reader.unsplit(write.await.unwrap());
    drop(running.far);
    assert!(matches!(running.ended.await.unwrap(), Ended::ByPeer));
}

#[tokio::test]
async fn a_waiting_answer_does_not_stop_later_requests_from_being_served() {
    let (release, released) = oneshot::channel::<()>();
    let served = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&served);
    let mut released = Some(released);
    let mut running = start(move |frame| {
        seen.lock().unwrap().push(frame.clone());
        match released.take() {
            Some(released) => Reply::overlapping(async move {
                released.await.unwrap();
                Ok(vec![Bytes::from(framed(&frame))])
            }),
            None => echo(frame),
        }
    });
    running.far.write_all(&[framed(b"waits"), framed(b"ready")].concat()).await.unwrap();
    while served.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    assert_eq!(read_frame(&mut running.far).await, b"waits");
    assert_eq!(read_frame(&mut running.far).await, b"ready");
}

#[tokio::test]
async fn stopping_answers_what_is_in_flight_first() {
    let (release, released) = oneshot::channel::<()>();
    let mut released = Some(released);
    let mut running = start(move |frame| {
        let released = released.take().unwrap();
        Reply::overlapping(async move {
            released.await.unwrap();
            Ok(vec![Bytes::from(framed(&frame))])
        })
    });
    running.far.write_all(&framed(b"in flight")).await.unwrap();
    tokio::task::yield_now().await;
    running.stop.cancel();
    tokio::task::yield_now().await;
    assert!(!running.ended.is_finished());
    release.send(()).unwrap();
    assert_eq!(read_frame(&mut running.far).await, b"in flight");
    assert!(matches!(running.ended.await.unwrap(), Ended::Stopped));
}

#[tokio::test]
async fn a_refused_request_closes_the_connection() {
    let mut running = start(|_| Reply::Close("no such api".into()));
    running.far.write_all(&framed(b"x")).await.unwrap();
    assert_eq!(running.ended.await.unwrap().to_string(), "no such api");
}

#[tokio::test]
async fn bytes_that_are_no_frames_end_the_connection_at_once() {
    for bytes in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 2, 0, 1, 0], &(-1_i32).to_be_bytes()]
    {
        let mut running = start(echo);
        running.far.write_all(bytes).await.unwrap();
        assert!(matches!(running.ended.await.unwrap(), Ended::Framing(_)), "{bytes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_and_silence_both_end() {
    let mut half = start(echo);
    half.far.write_all(&framed(b"cut off")[..6]).await.unwrap();
    assert!(matches!(half.ended.await.unwrap(), Ended::Stalled));
    let silent = start(echo);
    assert!(matches!(silent.ended.await.unwrap(), Ended::Idle));
    let mut gone = start(echo);
    gone.far.write_all(&framed(b"cut off")[..6]).await.unwrap();
    drop(gone.far);
    assert!(matches!(gone.ended.await.unwrap(), Ended::CutOff));
}

/// Sends many requests, each answered with `answer` bytes, and reads nothing until the connection
/// stands still. Returns how many were served until then, and that all are once the reader reads.
async fn served_to_a_slow_reader(budget: usize, answer: usize) -> usize {
    const SENT: usize = 4000;
    let served = Arc::new(Mutex::new(0_usize));
    let count = Arc::clone(&served);
    let running = start_within(budget, move |_| {
        *count.lock().unwrap() += 1;
        Reply::Now(Ok(vec![Bytes::from(framed(&vec![0; answer]))]))
    });
    let (mut reader, mut writer) = tokio::io::split(running.far);
    let writing = tokio::spawn(async move {
        writer.write_all(&framed(b"more").repeat(SENT)).await.unwrap();
        writer
    });
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let stood_at = *served.lock().unwrap();
    for _ in 0..SENT {
        let len = reader.read_u32().await.unwrap();
        reader.read_exact(&mut vec![0; len as usize]).await.unwrap();
    }
    drop(writing.await.unwrap());
    stood_at
}

#[tokio::test]
async fn a_reader_that_does_not_read_stops_being_served() {
    let served = served_to_a_slow_reader(64 << 20, 100 * 1024).await;
    assert!((8..=12).contains(&served), "served {served}");
}

#[tokio::test]
async fn with_the_budget_of_the_broker_spent_a_slow_reader_gets_little_and_the_rest_when_it_reads()
{
    let served = served_to_a_slow_reader(4096, 100 * 1024).await;
    assert!(served <= 4, "served {served}");
}
