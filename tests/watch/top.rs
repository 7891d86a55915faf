//! `duramen top` beside a broker with traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::broker::{Batch, eventually};
use super::{duramen, with_http};

/// The machine may be busy with other things.
const PATIENT: [&str; 2] = ["--timeout", "60s"];

fn stdout(output: &std::process::Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_of_a_broker_with_traffic() {
    let (node, kafka, http) = with_http(&[]).await;
    let client = node.connect().await;
    client.create("orders", 2).await;
    client.create("bills", 1).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (client, stop) = (client.clone(), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::Relaxed) {
                client.send("orders", 1, &Batch::of(["x", "y"])).await;
                client.read("orders", 1, 0).await;
            }
        }
    });
    let words = ["top", "--once", "--interval", "300ms", "--brokers", &kafka, "--http", &http];
    let words = [&words[..], &PATIENT].concat();
    // The writer may not have its turn in those 300 ms.
    let view = eventually("what is written and read is busiest", async || {
        let output = duramen(&[&words[..], &["--format", "json"]].concat()).await;
        assert!(output.status.success(), "{output:?}");
        let view: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let busiest = &view["topics"][0];
        let figures = [
            "in_records_per_second",
            "in_bytes_per_second",
            "out_bytes_per_second",
            "out_records_per_second_estimate",
        ];
        let moves = figures.iter().all(|figure| busiest[figure].as_f64() > Some(0.0));
        (moves && busiest["topic"] == "orders").then_some(view)
    })
    .await;
    let orders = &view["topics"][0];
    assert_eq!((&orders["partitions"], &orders["durability"]), (&2.into(), &"disk".into()));
    assert_eq!(view["topics"][1]["in_records_per_second"], 0.0);
    assert!(view["broker"]["connections"].as_u64().unwrap() >= 2, "{view}");
    let clients = view["broker"]["clients"].as_array().unwrap();
    let ours = clients.iter().find(|client| client["software"] == "duramen-client").unwrap();
    assert_eq!(ours["version"], env!("CARGO_PKG_VERSION"));
    assert!(ours["connections"].as_u64().unwrap() >= 1, "{view}");
    assert!(view["broker"]["requests_per_second"].as_f64().unwrap() > 0.0);
    assert!(view["disks"][0]["free_bytes"].as_u64().unwrap() > 0);
    assert_eq!(
        (&view["note"], &view["cluster"]),
        (&Value::Null, &node.broker().cluster_id().into())
    );

    let output = duramen(&[&words[..], &["--sort", "name"]].concat()).await;
    let text = stdout(&output);
    assert!(text.contains("TOPIC") && !text.contains('\x1b'), "plain in a pipe: {text}");
    let at =
        |word: &str| text.find(&format!("\n{word} ")).unwrap_or_else(|| panic!("{word}: {text}"));
    assert!(at("bills") < at("orders"));
    assert!(text.contains("\nclients duramen-client "), "{text}");
    let output = duramen(&[&words[..], &["--format", "text", "bil.*"]].concat()).await;
    assert_eq!(stdout(&output).split('\t').next(), Some("bills"));
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
}

#[tokio::test]
async fn without_http_or_with_another_brokers_it_says_so_and_goes_on() {
    let (node, kafka, _) = with_http(&[]).await;
    let (_other, _, others_http) = with_http(&[]).await;
    let client = node.connect().await;
    client.create("orders", 1).await;
    client.send("orders", 0, &Batch::of(["x"])).await;
    let closed = format!("127.0.0.1:{}", super::process::node::free_port());
    for (http, why) in [
        (closed.as_str(), "nothing listens"),
        (&others_http, "belongs to cluster"),
        (&kafka, "http"),
    ] {
        let words =
            ["top", "--once", "-i", "100ms", "--format", "json", "-b", &kafka, "--http", http];
        let output = duramen(&[&words[..], &PATIENT].concat()).await;
        assert!(output.status.success(), "{output:?}");
        let view: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert!(view["note"].as_str().unwrap().contains(why), "{view}");
        let orders = &view["topics"][0];
        assert_eq!(
            (&orders["records"], &orders["out_bytes_per_second"]),
            (&1.into(), &Value::Null)
        );
        assert!(orders["bytes"].as_u64().unwrap() > 0, "sizes come by Kafka's protocol: {view}");
    }
    let words = ["top", "--once", "-i", "100ms", "--format", "json", "-b", &kafka, "--http", "off"];
    let view: Value = serde_json::from_str(&stdout(&duramen(&words).await)).unwrap();
    assert_eq!((&view["note"], &view["broker"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn no_broker_is_a_failure_with_its_code() {
    let closed = format!("127.0.0.1:{}", super::process::node::free_port());
    let output = duramen(&["top", "--once", "-b", &closed, "--http", "off"]).await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}
