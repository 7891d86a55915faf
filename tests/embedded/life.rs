//! Start, stop and drop.

use std::path::Path;

use duramen::Broker;
use duramen::broker::StartError;
use duramen_client::{Admin, ProducerRecord};
use tokio_util::sync::CancellationToken;

use crate::lab::{eventually, on_each, producer, read, runtimes, write};

#[test]
fn it_serves_until_it_is_stopped_and_leaves_nothing() {
    on_each(async || {
        let broker = Broker::builder().start().await.unwrap();
        let (cluster, directory) = (broker.client(), broker.directory().to_owned());
        assert!(directory.is_dir() && broker.addresses().is_empty());
        write(&cluster, "orders", &["apple", "pear"]).await;
        assert_eq!(read(&cluster, "orders", 2).await, ["apple", "pear"]);
        broker.stop().await;
        assert!(!directory.exists());
        let error = broker_is_gone(&cluster).await;
        assert!(error.contains("the broker in this process has stopped"), "{error}");
    });
}

/// What a client hears that has outlived its broker.
async fn broker_is_gone(cluster: &duramen_client::Cluster) -> String {
    Admin::new(cluster).list_topics().await.unwrap_err().to_string()
}

#[test]
fn dropped_it_stops_by_itself() {
    on_each(async || {
        let broker = Broker::builder().listen("127.0.0.1:0").start().await.unwrap();
        let (cluster, directory) = (broker.client(), broker.directory().to_owned());
        let address = broker.addresses()[0].1;
        write(&cluster, "orders", &["apple"]).await;
        drop(broker);
        eventually("the directory is gone", async || !directory.exists()).await;
        eventually("the port is free", async || std::net::TcpListener::bind(address).is_ok()).await;
        broker_is_gone(&cluster).await;
    });
}

#[test]
fn it_may_be_dropped_outside_a_runtime_and_after_it() {
    let [current, multi] = runtimes();
    for runtime in [&current, &multi] {
        let broker = runtime.block_on(Broker::builder().start()).unwrap();
        let directory = broker.directory().to_owned();
        drop(broker);
        runtime.block_on(eventually("it is gone", async || !directory.exists()));
    }
    // A runtime that nobody runs any more takes the broker along.
    let broker = current.block_on(Broker::builder().start()).unwrap();
    let dropped_before = broker.directory().to_owned();
    drop(broker);
    let broker = current.block_on(Broker::builder().start()).unwrap();
    let dropped_after = broker.directory().to_owned();
    drop(current);
    assert!(!dropped_before.exists());
    drop(broker);
    assert!(!dropped_after.exists());
    let broker = multi.block_on(Broker::builder().start()).unwrap();
    let dropped_after = broker.directory().to_owned();
    drop(multi);
    drop(broker);
    assert!(!dropped_after.exists());
}

#[test]
fn without_a_port_it_needs_no_sockets_of_its_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let broker = Broker::builder().start().await.unwrap();
        write(&broker.client(), "orders", &["apple"]).await;
        assert_eq!(read(&broker.client(), "orders", 1).await, ["apple"]);
        broker.stop().await;
    });
}

#[test]
fn ten_live_side_by_side() {
    on_each(async || {
        let mut brokers = Vec::new();
        for number in 0..10 {
            let broker = Broker::builder().start().await.unwrap();
            write(&broker.client(), "own", &[&number.to_string()]).await;
            brokers.push(broker);
        }
        for (number, broker) in brokers.iter().enumerate() {
            let topics = Admin::new(&broker.client()).list_topics().await.unwrap();
            assert_eq!(topics.iter().filter(|topic| !topic.internal).count(), 1);
            assert_eq!(read(&broker.client(), "own", 1).await, [number.to_string()]);
        }
        for broker in brokers {
            broker.stop().await;
        }
    });
}

#[test]
fn a_directory_keeps_its_records_over_a_stop_and_over_a_drop() {
    on_each(async || {
        let folder = tempfile::tempdir().unwrap();
        let start = async || start_once_free(folder.path()).await;
        let broker = start().await;
        let cluster_id = broker.cluster_id().to_owned();
        write(&broker.client(), "orders", &["apple"]).await;
        broker.stop().await;
        assert!(folder.path().join(".kafka_cleanshutdown").exists());
        let broker = start().await;
        assert_eq!(broker.cluster_id(), cluster_id);
        write(&broker.client(), "orders", &["pear"]).await;
        drop(broker);
        let broker = start().await;
        assert_eq!(read(&broker.client(), "orders", 2).await, ["apple", "pear"]);
        broker.stop().await;
    });
}

/// A broker on a directory that another one may still let go of.
pub async fn start_once_free(path: &Path) -> Broker {
    let mut started = None;
    eventually("the directory is free", async || {
        match Broker::builder().directory(path).start().await {
            Ok(broker) => started = Some(broker),
            Err(error) => assert!(error.to_string().contains("in use"), "{error}"),
        }
        started.is_some()
    })
    .await;
    started.unwrap()
}

#[test]
fn a_directory_has_one_broker_at_a_time() {
    on_each(async || {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::builder().directory(folder.path()).start().await.unwrap();
        let error = Broker::builder().directory(folder.path()).start().await.unwrap_err();
        assert!(matches!(error, StartError::Open(_)));
        assert_eq!(
            error.to_string(),
            format!(
                "{} is in use by another broker: stop that one, or choose another directory",
                folder.path().display()
            )
        );
        // Nothing happened to the first one.
        write(&broker.client(), "orders", &["apple"]).await;
        broker.stop().await;
        let broker = Broker::builder().directory(folder.path()).start().await.unwrap();
        assert_eq!(read(&broker.client(), "orders", 1).await, ["apple"]);
        broker.stop().await;
    });
}

#[test]
fn what_is_wrong_is_told_and_leaves_nothing() {
    on_each(async || {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = Broker::builder().listen(address).start().await.unwrap_err();
        assert!(error.to_string().contains("the port is in use"), "{error}");
        let error = Broker::builder().set("log.retension.ms", "1").start().await.unwrap_err();
        assert!(error.to_string().ends_with("did you mean `log.retention.ms`?"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Broker::builder().directory(&file).start().await.unwrap_err();
        assert!(error.to_string().contains("as a log directory"), "{error}");
    });
}

#[test]
fn every_ack_before_a_stop_is_kept_and_nothing_twice() {
    on_each(async || {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::builder().directory(folder.path()).start().await.unwrap();
        let producer = producer(&broker.client());
        let (acked, mut seen) = tokio::sync::watch::channel(0_usize);
        let stopped = CancellationToken::new();
        let until = stopped.clone();
        let sending = tokio::spawn(async move {
            for number in 0_usize.. {
                let value = number.to_string();
                let record = ProducerRecord::new("orders", value.as_bytes());
                let sent = producer.send(ProducerRecord { partition: Some(0), ..record });
                match until.run_until_cancelled(sent).await {
                    Some(Ok(_)) => acked.send_replace(number + 1),
                    _ => return number,
                };
            }
            unreachable!()
        });
        seen.wait_for(|count| *count >= 20).await.unwrap();
        broker.stop().await;
        // What is not acknowledged now never will be.
        stopped.cancel();
        let acked = sending.await.unwrap();
        let broker = Broker::builder().directory(folder.path()).start().await.unwrap();
        let wanted: Vec<String> = (0..acked).map(|number| number.to_string()).collect();
        assert_eq!(read(&broker.client(), "orders", acked).await[..acked], wanted);
        broker.stop().await;
    });
}
