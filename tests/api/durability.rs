//! What an acknowledgement is worth: over restarts, and for what a consumer sees.

use duramen_protocol::error::ErrorCode;

use crate::support::client::{error, produce_request};
use crate::support::{Batch, Client, Node, PATIENCE};

const DURABILITIES: [&str; 2] = ["disk", "page-cache"];

/// Produces records from several connections at once; every value that was acknowledged, by
/// partition and in order.
async fn acknowledged(node: &Node, topic: &str, from: usize) -> Vec<Vec<String>> {
    let mut values = Vec::new();
    for partition in 0..3 {
        let client = node.connect().await;
        let mut pending = Vec::new();
        let mut own = Vec::new();
        for n in from..from + 20 {
            let pair = [format!("{partition}-{n}a"), format!("{partition}-{n}b")];
            let request = produce_request(topic, partition, &Batch::of(&pair).build());
            pending.push(client.connection.begin(9, &request, PATIENCE).unwrap());
            own.extend(pair);
        }
        for pending in pending {
            let response = pending.await.unwrap();
            let code = response.responses[0].partition_responses[0].error_code;
            assert_eq!(error(code), ErrorCode::None);
        }
        values.push(own);
    }
    values
}

async fn check(client: &Client, topic: &str, expected: &[Vec<String>]) {
    for (partition, expected) in (0..).zip(expected) {
        assert_eq!(client.read(topic, partition, 0).await, *expected);
        assert_eq!(client.end(topic, partition).await, expected.len() as i64);
    }
}

#[tokio::test]
async fn acknowledged_records_are_there_after_every_kind_of_end() {
    for durability in DURABILITIES {
        let (mut node, client) = Node::client().await;
        client.create_with("orders", 3, &[("durability", durability)]).await;
        drop(client);
        let mut expected = vec![Vec::new(); 3];
        for (round, dropped) in [false, true, true, false].into_iter().enumerate() {
            let values = acknowledged(&node, "orders", 20 * round).await;
            expected.iter_mut().zip(values).for_each(|(all, new)| all.extend(new));
            let client = match dropped {
                true => node.drop_and_restart().await,
                false => node.restart().await,
            };
            check(&client, "orders", &expected).await;
        }
    }
}

#[tokio::test]
async fn a_consumer_sees_a_record_once_it_is_acknowledged_and_not_before() {
    for durability in DURABILITIES {
        let (node, client) = Node::client().await;
        client.create_with("orders", 1, &[("durability", durability)]).await;
        let reader = node.connect().await;
        for n in 0..20 {
            // What a consumer saw must be acknowledged in the end, whatever it was asked for.
            let request = produce_request("orders", 0, &Batch::of([n.to_string()]).build());
            let pending = client.connection.begin(9, &request, PATIENCE).unwrap();
            let seen = reader.fetch("orders", 0, 0).await;
            let records = crate::support::client::fetched(&seen);
            assert!(records.len() as i64 == seen.high_watermark, "nothing beyond the watermark");
            let offset = pending.await.unwrap().responses[0].partition_responses[0].base_offset;
            assert_eq!(offset, n);
            assert_eq!(reader.end("orders", 0).await, n + 1, "acknowledged is visible");
        }
    }
}

#[tokio::test]
async fn with_one_ack_a_record_becomes_visible_by_itself() {
    for durability in DURABILITIES {
        let (_node, client) = Node::client().await;
        client.create_with("orders", 1, &[("durability", durability)]).await;
        let mut request = produce_request("orders", 0, &Batch::of(["x"]).build());
        for acks in [1, 0] {
            request.acks = acks;
            match acks {
                0 => client.connection.begin_unanswered(9, &request).unwrap(),
                _ => _ = client.call(9, &request).await,
            }
        }
        crate::support::eventually("both are visible", async || {
            (client.end("orders", 0).await == 2).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn durability_can_be_changed_at_any_time() {
    let (mut node, client) = Node::client().await;
    client.create("orders", 1).await;
    let topic = duramen_protocol::ids::RESOURCE_TOPIC;
    for (round, durability) in ["page-cache", "disk", "page-cache"].into_iter().enumerate() {
        client.configure(topic, "orders", &[("durability", durability)]).await;
        client.send("orders", 0, &Batch::of([durability])).await;
        assert_eq!(client.end("orders", 0).await, round as i64 + 1);
    }
    drop(client);
    let client = node.drop_and_restart().await;
    assert_eq!(client.read("orders", 0, 0).await, ["page-cache", "disk", "page-cache"]);
}

#[tokio::test]
async fn flush_messages_makes_even_one_ack_wait_for_the_disk() {
    let (_node, client) = Node::client().await;
    let configs = [("durability", "page-cache"), ("flush.messages", "1")];
    client.create_with("orders", 1, &configs).await;
    for n in 0..5 {
        assert_eq!(client.send("orders", 0, &Batch::of(["x"])).await, n);
    }
}

#[tokio::test]
async fn stopping_finishes_what_is_in_flight() {
    let (mut node, client) = Node::client().await;
    client.create("orders", 1).await;
    let mut pending = Vec::new();
    for n in 0..30 {
        let request = produce_request("orders", 0, &Batch::of([n.to_string()]).build());
        pending.push(client.connection.begin(9, &request, PATIENCE).unwrap());
    }
    // The first answer is here, so the others are under way.
    let mut answered = 0;
    let mut pending = pending.into_iter();
    assert_eq!(pending.next().unwrap().await.unwrap().responses.len(), 1);
    answered += 1;
    node.stop().await;
    assert!(node.has_clean_marker());
    for pending in pending {
        let Ok(response) = pending.await else { break };
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
        answered += 1;
    }
    drop(client);
    let client = node.again().await;
    let read = client.read("orders", 0, 0).await;
    assert!(read.len() >= answered, "{answered} were acknowledged, {} are there", read.len());
    let expected: Vec<_> = (0..read.len()).map(|n| n.to_string()).collect();
    assert_eq!(read, expected);
}

#[tokio::test]
async fn a_clean_stop_is_trusted_and_a_dropped_broker_is_not() {
    let (mut node, client) = Node::client().await;
    client.create("orders", 1).await;
    client.send("orders", 0, &Batch::of(["x"])).await;
    assert!(!node.has_clean_marker(), "a running broker has no marker");
    drop(client);
    drop(node.restart().await);
    assert!(!node.has_clean_marker());
    drop(node.drop_and_restart().await);
    node.stop().await;
    assert!(node.has_clean_marker());
}

#[tokio::test]
async fn a_second_broker_on_the_directory_is_refused_in_words() {
    let node = Node::start().await;
    let error = node.second().await.unwrap_err().to_string();
    assert!(error.contains(node.log_dir().to_str().unwrap()), "{error}");
    assert!(!error.contains('\n'), "one line: {error}");
}

fn names_in(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn without_its_metadata_log_a_node_with_records_does_not_start_and_touches_nothing() {
    let (mut node, client) = Node::client().await;
    client.create("orders", 1).await;
    client.send("orders", 0, &Batch::of(["kept"])).await;
    drop(client);
    node.stop().await;
    let metadata = node.log_dir().join("__cluster_metadata-0");
    let copy = node.log_dir().with_file_name("copy");
    std::fs::rename(&metadata, &copy).unwrap();
    let refused = node.second().await.unwrap_err().to_string();
    assert!(
        refused.contains("1 partitions, orders-0 among them, but no metadata log"),
        "{refused}"
    );
    std::fs::rename(&copy, &metadata).unwrap();
    let client = node.again().await;
    assert_eq!(client.read("orders", 0, 0).await, ["kept"]);
}

#[tokio::test]
async fn a_damaged_metadata_log_is_told_when_the_start_fails() {
    let (mut node, client) = Node::client().await;
    client.create("orders", 1).await;
    drop(client);
    node.stop().await;
    let segment = node.segments("__cluster_metadata", 0).remove(0);
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[200] ^= 0xff;
    std::fs::write(&segment, bytes).unwrap();
    let refused = node.second().await.unwrap_err().to_string();
    assert!(refused.contains("the metadata log is damaged at offset"), "{refused}");
    assert!(node.partition_dir("orders", 0).exists());
}

#[tokio::test]
async fn a_log_that_no_topic_owns_is_set_aside_and_kept() {
    let (mut node, client) = Node::client().await;
    client.create("orders", 1).await;
    client.send("orders", 0, &Batch::of(["one"])).await;
    drop(client);
    node.stop().await;
    let ghost = node.partition_dir("ghost", 0);
    std::fs::create_dir(&ghost).unwrap();
    for segment in node.segments("orders", 0) {
        std::fs::copy(&segment, ghost.join(segment.file_name().unwrap())).unwrap();
    }
    let segments = names_in(&ghost);
    for _ in 0..2 {
        let client = node.again().await;
        assert_eq!(client.read("orders", 0, 0).await, ["one"]);
        let names = names_in(&node.log_dir());
        let strays: Vec<_> = names.iter().filter(|name| name.contains("ghost")).collect();
        assert_eq!(strays.len(), 1, "{names:?}");
        assert!(strays[0].starts_with("ghost-0.") && strays[0].ends_with("-stray"), "{names:?}");
        assert_eq!(names_in(&node.log_dir().join(strays[0])), segments);
        node.stop().await;
    }
}
