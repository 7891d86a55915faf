//! Ports beside the clients of this process.

use duramen::Broker;
use duramen_client::{Admin, Cluster, ClusterOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::lab::{on_each, read, write};

#[test]
fn each_listener_tells_its_own_address_and_all_have_the_same_records() {
    on_each(async || {
        let builder = Broker::builder().listen("127.0.0.1:0").listen("OUT://127.0.0.1:0");
        let broker = builder.start().await.unwrap();
        write(&broker.client(), "orders", &["apple"]).await;
        let names: Vec<_> = broker.addresses().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["PLAINTEXT", "OUT"]);
        assert_eq!(broker.bootstrap(), broker.addresses()[0].1.to_string());
        for (_, address) in broker.addresses() {
            let address = address.to_string();
            let cluster = Cluster::new(&address, ClusterOptions::default()).unwrap();
            assert_eq!(read(&cluster, "orders", 1).await, ["apple"]);
            let described = Admin::new(&cluster).describe_cluster().await.unwrap();
            assert_eq!(described.brokers[0].address.to_string(), address);
        }
        broker.stop().await;
    });
}

#[test]
fn metrics_are_served_when_they_are_asked_for() {
    on_each(async || {
        let broker = Broker::builder().http("127.0.0.1:0").start().await.unwrap();
        write(&broker.client(), "orders", &["apple"]).await;
        let address = broker.http_address().unwrap();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("duramen_connections_accepted_total 1"), "{answer}");
        broker.stop().await;
    });
}
