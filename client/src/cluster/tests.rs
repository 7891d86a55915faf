//! Metadata from brokers that come, go and lag.

use std::sync::atomic::{AtomicI32, Ordering};

use duramen_protocol::api::ApiKey;
use duramen_protocol::messages::metadata::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};

use super::*;
use crate::testing::{Answer, Asked, Dial, dialled, played};

fn answer(asked: &Asked, leader: i32, epoch: i32) -> Answer {
    let request: MetadataRequest = asked.read();
    let broker = |id: i32| MetadataResponseBroker {
        node_id: id,
        host: "played".into(),
        port: id,
        ..MetadataResponseBroker::default()
    };
    let topics = request.topics.unwrap_or_default().into_iter().map(|topic| {
        let known = topic.name.as_deref() != Some("missing");
        let code = if known { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition };
        MetadataResponseTopic {
            error_code: code.code(),
            name: topic.name,
            topic_id: TopicId::from_u128(1),
            partitions: vec![MetadataResponsePartition {
                leader_id: leader,
                leader_epoch: epoch,
                ..MetadataResponsePartition::default()
            }],
            ..MetadataResponseTopic::default()
        }
    });
    asked.answer(&MetadataResponse {
        brokers: vec![broker(1), broker(2)],
        controller_id: 2,
        topics: topics.collect(),
        ..MetadataResponse::default()
    })
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_asked_for_once_and_again_when_told_to() {
    let asked = Arc::new(AtomicI32::new(0));
    let count = Arc::clone(&asked);
    let cluster = played(ClusterOptions::default(), move |_, request| {
        let epoch = count.fetch_add(1, Ordering::Relaxed);
        answer(request, 1 + epoch, epoch)
    });
    let leader = async || cluster.topic("t").await.unwrap().partition(0).unwrap().leader;
    assert_eq!(leader().await, Some(1));
    assert_eq!(leader().await, Some(1));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    cluster.refresh(Topics::Named(&["t".into()])).await.unwrap();
    assert_eq!(leader().await, Some(2), "the leader moved");
    assert_eq!(cluster.view().controller, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_missing_topic_is_told_soon_and_waited_for_while_it_may_be_made() {
    let cluster = played(ClusterOptions::default(), move |_, request| answer(request, 1, 0));
    let before = Instant::now();
    let error = cluster.topic("missing").await.unwrap_err();
    assert!(error.to_string().contains("topic missing"), "{error}");
    assert!(before.elapsed() < Duration::from_millis(500));
    let making = cluster.refresh(Topics::NamedOrMade(&["missing".into()])).await;
    assert_eq!(making.unwrap_err().code(), Some(ErrorCode::UnknownTopicOrPartition));
    // 3.6 s of waits, each of them a fifth shorter at most.
    assert!(before.elapsed() > Duration::from_millis(2_800), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_replaced() {
    let mut requests = 0;
    let cluster = played(ClusterOptions::default(), move |_, request| {
        requests += 1;
        match request.header.api {
            ApiKey::Metadata if requests == 1 => Answer::Close,
            _ => answer(request, 1, 0),
        }
    });
    assert!(cluster.fetch_metadata(Topics::None).await.is_err());
    cluster.fetch_metadata(Topics::None).await.unwrap();
    cluster.refresh(Topics::None).await.unwrap();
    assert!(cluster.broker(2).await.is_ok());
    assert!(matches!(cluster.broker(9).await, Err(ClientError::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_dead_cluster_is_told_soon() {
    let refusing = Connector::by(|_| async {
        Err::<tokio::io::DuplexStream, _>(std::io::ErrorKind::ConnectionRefused.into())
    });
    let options = ClusterOptions::default().connector(refusing);
    let cluster = Cluster::new("a:1,b:2", options).unwrap();
    let before = Instant::now();
    let error = cluster.refresh(Topics::All).await.unwrap_err();
    assert_eq!(error.to_string(), "no broker answered at a:1, b:2: b:2: connection refused");
    assert!(before.elapsed() < Duration::from_secs(5));
    assert!(Cluster::new("", ClusterOptions::default()).is_err());
    assert!(Cluster::new("a:1,b:x", ClusterOptions::default()).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_answer_costs_one_caller_a_wait_and_the_others_nothing() {
    let dead = Arc::new(AtomicI32::new(1));
    let (is_dead, dials) = (Arc::clone(&dead), Arc::new(AtomicI32::new(0)));
    let dialled = Arc::clone(&dials);
    let both = played(ClusterOptions::default(), move |_, asked| answer(asked, 1, 0));
    // Broker 2 takes connections and says nothing, as one that was stopped does.
    let answering = both.options().clone();
    let connector = answering.connector.clone();
    let connector = Connector::by(move |target| {
        let is_two = target.address.port == 2;
        dialled.fetch_add(is_two.into(), Ordering::Relaxed);
        let silent = is_two && is_dead.load(Ordering::Relaxed) == 1;
        let connector = connector.clone();
        async move {
            match silent {
                true => std::future::pending().await,
                false => connector.connect(target).await,
            }
        }
    });
    let cluster = Cluster::new("played:1", answering.connector(connector)).unwrap();
    cluster.refresh(Topics::None).await.unwrap();
    assert_eq!(cluster.circuit(2), Circuit::Closed);

    let began = Instant::now();
    let (first, second) = tokio::join!(cluster.broker(2), cluster.broker(2));
    assert!(first.is_err() && second.is_err());
    let patience = cluster.options().connect_timeout;
    assert_eq!((began.elapsed(), dials.load(Ordering::Relaxed)), (patience, 1));
    assert_eq!(cluster.circuit(2), Circuit::Open);
    for _ in 0..1000 {
        let error = cluster.broker(2).await.unwrap_err();
        assert!(error.is_retriable() && error.to_string().contains("no connection within"));
        assert!(cluster.dedicated(2).await.is_err());
        cluster.broker(1).await.unwrap();
    }
    assert_eq!((began.elapsed(), dials.load(Ordering::Relaxed)), (patience, 1));

    // One looks again when the wait is over; the others are refused meanwhile.
    tokio::time::sleep(Duration::from_millis(120)).await;
    let probe = cluster.clone();
    let probe = tokio::spawn(async move { probe.broker(2).await.is_ok() });
    tokio::task::yield_now().await;
    assert_eq!(cluster.circuit(2), Circuit::HalfOpen);
    assert!(cluster.broker(2).await.is_err() && cluster.dedicated(2).await.is_err());
    // That one goes away: the next may try, and the broker is back.
    probe.abort();
    assert!(probe.await.is_err());
    dead.store(0, Ordering::Relaxed);
    cluster.broker(2).await.unwrap();
    assert_eq!((cluster.circuit(2), dials.load(Ordering::Relaxed)), (Circuit::Closed, 3));
}

/// Brokers 1 to 3, of which 1 lags behind and knows no topic; which of them were asked for metadata.
fn lagging(mut play: impl FnMut(u16) -> bool + Send + 'static) -> (Cluster, Arc<Mutex<Vec<u16>>>) {
    let asked: Arc<Mutex<Vec<u16>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let cluster = played(ClusterOptions::default(), move |port, asked| {
        seen.lock().unwrap().push(port);
        if !play(port) {
            return Answer::Close;
        }
        let named = asked.read::<MetadataRequest>().topics.unwrap_or_default();
        let code = if port == 1 { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::None };
        let topics = named.into_iter().map(|topic| MetadataResponseTopic {
            error_code: code.code(),
            name: topic.name,
            topic_id: TopicId::from_u128(1),
            ..MetadataResponseTopic::default()
        });
        let broker = |id: i32| MetadataResponseBroker {
            node_id: id,
            host: "played".into(),
            port: id,
            ..MetadataResponseBroker::default()
        };
        asked.answer(&MetadataResponse {
            brokers: (1..=3).map(broker).collect(),
            topics: topics.collect(),
            ..MetadataResponse::default()
        })
    });
    (cluster, asked)
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_lags_behind_does_not_serve_everybody() {
    let (cluster, asked) = lagging(|_| true);
    assert_eq!(cluster.topic("t").await.unwrap().name, "t", "another one knows it");
    for _ in 0..9 {
        let _ = cluster.fetch_metadata(Topics::None).await.unwrap();
    }
    let asked = asked.lock().unwrap();
    for port in 1..=3 {
        assert!(asked.iter().filter(|it| **it == port).count() >= 3, "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_answer_is_not_asked_where_another_will_do() {
    let (cluster, asked) = lagging(|_| true);
    // Broker 2 takes no connections.
    let dials = Arc::new(AtomicI32::new(0));
    let asked_for = Arc::clone(&dials);
    let cluster = dialled(&cluster, move |port| {
        if port != 2 {
            return Dial::Made;
        }
        asked_for.fetch_add(1, Ordering::Relaxed);
        Dial::Refused
    });
    for _ in 0..20 {
        let _ = cluster.fetch_metadata(Topics::None).await.unwrap();
    }
    assert_eq!(dials.load(Ordering::Relaxed), 1);
    assert_eq!(cluster.circuit(2), Circuit::Open);
    let asked = asked.lock().unwrap();
    assert!(asked.contains(&1) && asked.contains(&3) && !asked.contains(&2), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_silent_holds_nobody_up_where_another_is_connected() {
    let (cluster, asked) = lagging(|_| true);
    // Broker 2 lets connections wait for ever.
    let dials = Arc::new(AtomicI32::new(0));
    let asked_for = Arc::clone(&dials);
    let cluster = dialled(&cluster, move |port| {
        if port != 2 {
            return Dial::Made;
        }
        asked_for.fetch_add(1, Ordering::Relaxed);
        Dial::Silent
    });
    let began = Instant::now();
    for _ in 0..20 {
        let _ = cluster.fetch_metadata(Topics::None).await.unwrap();
    }
    assert!(began.elapsed() <= Duration::from_secs(1), "{:?}", began.elapsed());
    tokio::time::sleep(cluster.options().connect_timeout).await;
    assert_eq!((cluster.circuit(2), dials.load(Ordering::Relaxed)), (Circuit::Open, 1));
    let asked = asked.lock().unwrap();
    assert!(asked.contains(&1) && asked.contains(&3) && !asked.contains(&2), "{asked:?}");
}
