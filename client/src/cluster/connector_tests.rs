//! A connector of one's own: a stream that is wrapped, as TLS would, and an exchange before anything else,
//! as SASL would.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use duramen_protocol::api::ApiKey;
use duramen_protocol::frame;
use duramen_protocol::header::RequestHeader;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional, duplex};

use super::*;
use crate::connection::CallError;
use crate::consumer::{Assignment, Consumer, ConsumerOptions, Start};
use crate::error::Remedy;
use crate::producer::{Producer, ProducerOptions, ProducerRecord};
use crate::testing::model::{Fault, Model};
use crate::testing::{Answer, Asked, played, served};
use crate::transport::{Authenticate, Authenticating, ByteStream, Target};

const KEY: u8 = 0x5a;

/// Each byte is changed on the way in and out.
struct Xor<S>(S);

impl<S: ByteStream> AsyncRead for Xor<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buffer))?;
        buffer.filled_mut()[before..].iter_mut().for_each(|byte| *byte ^= KEY);
        Poll::Ready(Ok(()))
    }
}

impl<S: ByteStream> AsyncWrite for Xor<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let changed: Vec<u8> = bytes.iter().map(|byte| byte ^ KEY).collect();
        Pin::new(&mut self.0).poll_write(cx, &changed)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Streams whose far end takes the change back, and passes on to `clear`.
fn wrapped(clear: Connector, targets: Arc<Mutex<Vec<Target>>>) -> Connector {
    Connector::by(move |target| {
        targets.lock().unwrap().push(target.clone());
        let clear = clear.clone();
        async move {
            let mut broker = clear.connect(target).await?;
            let (near, far) = duplex(1 << 16);
            tokio::spawn(async move {
                let _ = copy_bidirectional(&mut Xor(far), &mut broker).await;
            });
            Ok(Xor(near))
        }
    })
}

/// Sends a name and a word, and wants a nod.
struct Password(&'static str);

impl Authenticate for Password {
    fn authenticate<'a>(&'a self, target: &'a Target, fresh: &'a Connection) -> Authenticating<'a> {
        Box::pin(async move {
            let answer = fresh.exchange(ApiKey::SaslHandshake, 1, b"\0\x05PLAIN").await?;
            assert_eq!(answer, &b"\0\0"[..], "of {target:?}");
            let said = fresh.exchange(ApiKey::SaslAuthenticate, 2, self.0.as_bytes()).await?;
            match &said[..] {
                b"nod" => Ok(()),
                _ => Err(ClientError::refused(
                    format!("authentication at {}", target.address),
                    ErrorCode::SaslAuthenticationFailed,
                    None,
                )),
            }
        })
    }
}

/// The bytes of an answer that has no message.
fn raw(asked: &Asked, body: &[u8]) -> Answer {
    let RequestHeader { api, version, correlation_id, .. } = asked.header;
    let mut bytes = correlation_id.to_be_bytes().to_vec();
    // The answer's header ends in tagged fields where the version is flexible.
    bytes.extend(api.is_flexible(version).then_some(0));
    bytes.extend(body);
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    Answer::Send(Bytes::from([&length[..], &bytes].concat()))
}

/// A broker that wants the word first; what it was asked.
fn strict(word: &'static str) -> (Model, Cluster, Arc<Mutex<Vec<ApiKey>>>) {
    let (model, open) = Model::start(1, |_, _| Fault::No);
    let asked: Arc<Mutex<Vec<ApiKey>>> = Arc::default();
    let (seen, behind) = (Arc::clone(&asked), model.clone());
    let cluster = played(open.options().clone(), move |port, asked| {
        seen.lock().unwrap().push(asked.header.api);
        match asked.header.api {
            ApiKey::SaslHandshake => raw(asked, b"\0\0"),
            ApiKey::SaslAuthenticate if asked.body == word.as_bytes() => raw(asked, b"nod"),
            ApiKey::SaslAuthenticate => raw(asked, b"no"),
            _ => behind.lock().serve(i32::from(port), asked, None),
        }
    });
    (model, cluster, asked)
}

#[tokio::test(start_paused = true)]
async fn a_wrapped_stream_and_an_exchange_before_anything_else() {
    let (model, clear, asked) = strict("sesame");
    let targets: Arc<Mutex<Vec<Target>>> = Arc::default();
    let connector = wrapped(clear.options().connector.clone(), Arc::clone(&targets));
    let options = ClusterOptions::default().connector(connector.authenticate(Password("sesame")));
    let cluster = Cluster::new("played:1", options).unwrap();
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    producer.send(ProducerRecord::new("t", b"apple")).await.unwrap();
    let from = vec![Assignment::new("t", 0, Start::Earliest)];
    let mut consumer = Consumer::start(&cluster, ConsumerOptions::default(), from).unwrap();
    let read = consumer.poll(1, Duration::from_secs(5)).await.unwrap();
    assert_eq!(read[0].value.as_deref(), Some(&b"apple"[..]));
    assert_eq!(model.lock().logs[0].end, 1);

    let targets = targets.lock().unwrap().clone();
    assert_eq!(targets[0].broker, None, "as given at the start");
    assert!(targets.iter().skip(1).all(|to| to.broker == Some(to.address.port.into())));
    assert!(targets.len() > 1);
    let asked = asked.lock().unwrap();
    let both = [ApiKey::SaslHandshake, ApiKey::SaslAuthenticate];
    assert_eq!(asked[..2], both, "before anything else");
    let exchanges = asked.iter().filter(|api| **api == ApiKey::SaslAuthenticate).count();
    assert_eq!(exchanges, targets.len(), "on each connection");
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_hears_why_and_does_not_try_for_ever() {
    let (_, clear, asked) = strict("sesame");
    let connector = clear.options().connector.clone().authenticate(Password("barley"));
    let cluster = Cluster::new("played:1", ClusterOptions::default().connector(connector)).unwrap();
    let error = cluster.refresh(Topics::None).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::SaslAuthenticationFailed));
    assert_eq!(error.remedy(), Remedy::Change);
    assert!(error.to_string().starts_with("authentication at played:1"), "{error}");
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    let error = producer.send(ProducerRecord::new("t", b"apple")).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::SaslAuthenticationFailed));
    let served = asked.lock().unwrap();
    assert!(
        served.iter().all(|api| [ApiKey::SaslHandshake, ApiKey::SaslAuthenticate].contains(api))
    );
}

/// Fails in passing, as when a token server is down.
struct Flaky(AtomicUsize);

impl Authenticate for Flaky {
    fn authenticate<'a>(&'a self, _: &'a Target, fresh: &'a Connection) -> Authenticating<'a> {
        Box::pin(async move {
            assert!(fresh.versions().is_some(), "what the broker speaks is known");
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => Err(CallError::Busy.into()),
                _ => Ok(()),
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again() {
    let (_, open) = Model::start(1, |_, _| Fault::No);
    let connector = open.options().connector.clone().authenticate(Flaky(AtomicUsize::new(0)));
    let cluster = Cluster::new("played:1", ClusterOptions::default().connector(connector)).unwrap();
    cluster.refresh(Topics::None).await.unwrap();
    assert_eq!(cluster.metrics().connections_failed, 2);
}

/// Is refused by one broker, as when only that one has another password.
struct AllBut(i32);

impl Authenticate for AllBut {
    fn authenticate<'a>(&'a self, target: &'a Target, _: &'a Connection) -> Authenticating<'a> {
        let code = ErrorCode::SaslAuthenticationFailed;
        let refused = ClientError::refused("authentication".to_owned(), code, None);
        let accepted = target.broker != Some(self.0);
        Box::pin(async move { if accepted { Ok(()) } else { Err(refused) } })
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_refuses_this_client_is_not_asked_where_another_will_do() {
    for refuses in [1, 2] {
        let (_, open) = Model::start(1, |_, _| Fault::No);
        let connector = open.options().connector.clone().authenticate(AllBut(refuses));
        let options = ClusterOptions::default().connector(connector);
        let cluster = Cluster::new("played:1", options).unwrap();
        for _ in 0..9 {
            cluster.fetch_metadata(Topics::None).await.unwrap();
        }
        let metrics = cluster.metrics();
        assert!(cluster.view().brokers.len() > 1 && metrics.connections_failed <= 1);
    }
}

#[tokio::test]
async fn an_exchange_is_framed_like_any_request() {
    let (client, mut peer) = crate::testing::Peer::pair();
    let connection = Connection::start(client, ConnectionOptions::default()).unwrap();
    let ask = connection.exchange(ApiKey::ApiVersions, 0, b"");
    let answer = async {
        let asked = peer.asked().await.unwrap();
        assert_eq!((asked.header.version, asked.body.len()), (0, 0));
        let body = frame::response(0, asked.header.correlation_id, &served()).unwrap().into_bytes();
        peer.send(&body).await;
        body
    };
    let (got, sent) = tokio::join!(ask, answer);
    assert_eq!(got.unwrap(), sent.slice(8..), "behind the length and the number");
}
