//! DescribeLogDirs.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsRequest, DescribeLogDirsResponse,
};

use crate::support::client::{error, versions};
use crate::support::{Batch, Node};

fn asking(topics: &[(&str, &[i32])]) -> DescribeLogDirsRequest {
    let topic = |&(topic, partitions): &(&str, &[i32])| DescribableLogDirTopic {
        topic: topic.into(),
        partitions: partitions.to_vec(),
        ..Default::default()
    };
    DescribeLogDirsRequest {
        topics: Some(topics.iter().map(topic).collect()),
        ..Default::default()
    }
}

fn all() -> DescribeLogDirsRequest {
    DescribeLogDirsRequest { topics: None, ..Default::default() }
}

/// Topic, partition and size of each replica told of.
fn replicas(response: &DescribeLogDirsResponse) -> Vec<(String, i32, i64)> {
    let mut found = Vec::new();
    for topic in response.results.iter().flat_map(|result| &result.topics) {
        for partition in &topic.partitions {
            assert_eq!((partition.offset_lag, partition.is_future_key), (0, false));
            found.push((
                topic.name.to_string(),
                partition.partition_index,
                partition.partition_size,
            ));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn every_version_tells_sizes_and_room() {
    let (node, client) = Node::client().await;
    client.create("orders", 2).await;
    client.create("bills", 1).await;
    let batch = Batch::noise(5000);
    client.send("orders", 1, &batch).await;
    let size = batch.build().len() as i64;
    for version in versions::<DescribeLogDirsRequest>() {
        let response = client.call(version, &all()).await;
        assert_eq!(error(response.error_code), ErrorCode::None);
        assert_eq!(response.results.len(), 1);
        let dir = &response.results[0];
        assert_eq!((dir.error_code, dir.is_cordoned), (0, false));
        assert_eq!(dir.log_dir.as_str(), node.log_dir().to_str().unwrap());
        if version >= 4 {
            assert!(dir.usable_bytes > 0 && dir.total_bytes >= dir.usable_bytes, "{dir:?}");
        }
        let told = replicas(&response);
        let expected = [
            ("bills".to_owned(), 0, 0),
            ("orders".to_owned(), 0, 0),
            ("orders".to_owned(), 1, size),
        ];
        assert_eq!(told, expected, "v{version}");
    }
}

#[tokio::test]
async fn only_what_was_asked_for_is_told() {
    let (_node, client) = Node::client().await;
    client.create("orders", 3).await;
    client.create("bills", 1).await;
    let names = async |request: DescribeLogDirsRequest| {
        let response = client.ask(&request).await;
        let told = replicas(&response);
        told.into_iter().map(|(topic, index, _)| format!("{topic}-{index}")).collect::<Vec<_>>()
    };
    assert_eq!(names(asking(&[("orders", &[2, 0, 7])])).await, ["orders-0", "orders-2"]);
    assert_eq!(names(asking(&[("bills", &[0]), ("none", &[0])])).await, ["bills-0"]);
    assert_eq!(names(asking(&[])).await, Vec::<String>::new());
    assert_eq!(names(asking(&[("orders", &[1, 1]), ("orders", &[1])])).await, ["orders-1"]);
}

#[tokio::test]
async fn every_directory_is_told_of_and_new_partitions_are_spread() {
    let other = tempfile::tempdir().unwrap();
    let mut node = Node::start().await;
    let dirs = format!("log.dirs={},{}", node.log_dir().display(), other.path().display());
    node.set(&dirs);
    let client = node.restart().await;
    client.create("orders", 4).await;
    let response = client.ask(&all()).await;
    let by_dir: Vec<_> = response
        .results
        .iter()
        .map(|dir| dir.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>())
        .collect();
    assert_eq!(by_dir.len(), 2);
    assert_eq!(by_dir.iter().sum::<usize>(), 4);
    assert!(by_dir.iter().all(|count| *count >= 1), "{by_dir:?}");
    for partition in 0..4 {
        client.send("orders", partition, &Batch::of(["x"])).await;
    }
    drop(client);
    let client = node.drop_and_restart().await;
    for partition in 0..4 {
        assert_eq!(client.read("orders", partition, 0).await, ["x"]);
    }
}
