//! DescribeTopicPartitions.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};

use crate::support::client::error;
use crate::support::{Client, Node};

fn asking(topics: &[&str], limit: i32) -> DescribeTopicPartitionsRequest {
    let topic = |name: &&str| TopicRequest { name: (*name).into(), ..Default::default() };
    DescribeTopicPartitionsRequest {
        topics: topics.iter().map(topic).collect(),
        response_partition_limit: limit,
        ..Default::default()
    }
}

fn cursor(topic: &str, partition_index: i32) -> Option<Cursor> {
    Some(Cursor { topic_name: topic.into(), partition_index, ..Default::default() })
}

/// `topic-partition` of everything told.
fn told(response: &DescribeTopicPartitionsResponse) -> Vec<String> {
    let topics = response.topics.iter();
    topics
        .flat_map(|topic| {
            let name = topic.name.as_deref().unwrap_or("?").to_owned();
            topic.partitions.iter().map(move |p| format!("{name}-{}", p.partition_index))
        })
        .collect()
}

/// Follows the cursors from page to page.
async fn pages(client: &Client, topics: &[&str], limit: i32) -> Vec<Vec<String>> {
    let mut request = asking(topics, limit);
    let mut pages = Vec::new();
    loop {
        let response = client.call(0, &request).await;
        pages.push(told(&response));
        assert!(pages.len() < 50, "the pages have an end");
        match response.next_cursor {
            Some(next) => request.cursor = Some(next),
            None => return pages,
        }
    }
}

async fn three_topics() -> (Node, Client) {
    let (node, client) = Node::client().await;
    client.create("a", 3).await;
    client.create("b", 1).await;
    client.create("c", 4).await;
    (node, client)
}

#[tokio::test]
async fn a_topic_is_told_whole() {
    let (node, client) = Node::client().await;
    let id = client.create("orders", 2).await;
    let response = client.call(0, &asking(&["orders"], 2000)).await;
    assert_eq!((response.topics.len(), &response.next_cursor), (1, &None));
    let topic = &response.topics[0];
    assert_eq!((error(topic.error_code), topic.topic_id), (ErrorCode::None, id));
    assert_eq!((topic.name.as_deref(), topic.is_internal), (Some("orders"), false));
    assert_eq!(topic.topic_authorized_operations, 0b1101_1111_1000);
    for (partition, index) in topic.partitions.iter().zip(0..) {
        assert_eq!((partition.error_code, partition.partition_index), (0, index));
        assert_eq!((partition.leader_id, partition.leader_epoch), (1, 0));
        assert_eq!((&*partition.replica_nodes, &*partition.isr_nodes), (&[1][..], &[1][..]));
        assert_eq!(partition.eligible_leader_replicas.as_deref(), Some(&[][..]));
        assert_eq!(partition.last_known_elr.as_deref(), Some(&[][..]));
        assert!(partition.offline_replicas.is_empty());
    }
    drop(node);
}

#[tokio::test]
async fn pages_follow_one_another_without_gap_or_repetition() {
    let (_node, client) = three_topics().await;
    let all = ["a-0", "a-1", "a-2", "b-0", "c-0", "c-1", "c-2", "c-3"];
    for limit in 1..10 {
        let pages = pages(&client, &[], limit).await;
        assert_eq!(pages.concat(), all, "pages of {limit}");
        let full = pages.len() - 1;
        assert!(pages[..full].iter().all(|page| page.len() == limit as usize), "{pages:?}");
    }
    for limit in [0, -1, i32::MIN] {
        assert_eq!(pages(&client, &[], limit).await.concat(), all, "at least one a page");
    }
    assert_eq!(
        pages(&client, &["c", "a", "c"], 2).await.concat(),
        ["a-0", "a-1", "a-2", "c-0", "c-1", "c-2", "c-3"]
    );
}

#[tokio::test]
async fn the_broker_bounds_a_page_too() {
    let node = Node::with(&["max.request.partition.size.limit=3"]).await;
    let client = node.connect().await;
    client.create("a", 5).await;
    let pages = pages(&client, &[], 2000).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
}

#[tokio::test]
async fn unknown_topics_are_named() {
    let (_node, client) = three_topics().await;
    let response = client.call(0, &asking(&["none", "b"], 2000)).await;
    let codes: Vec<_> = response
        .topics
        .iter()
        .map(|topic| (topic.name.as_deref().unwrap(), error(topic.error_code)))
        .collect();
    assert_eq!(codes, [("b", ErrorCode::None), ("none", ErrorCode::UnknownTopicOrPartition)]);
}

#[tokio::test]
async fn a_cursor_of_a_topic_that_went_meanwhile_goes_on_behind_it() {
    let (_node, client) = three_topics().await;
    let mut request = asking(&[], 2000);
    request.cursor = cursor("aa", 2);
    let response = client.call(0, &request).await;
    assert_eq!(told(&response), ["b-0", "c-0", "c-1", "c-2", "c-3"]);
    request.cursor = cursor("c", 99);
    assert_eq!(told(&client.call(0, &request).await), Vec::<String>::new());
    request.cursor = cursor("zzz", 0);
    assert_eq!(told(&client.call(0, &request).await), Vec::<String>::new());
}

#[tokio::test]
async fn no_topics_no_pages() {
    let (_node, client) = Node::client().await;
    assert_eq!(pages(&client, &[], 10).await, [Vec::<String>::new()]);
}
