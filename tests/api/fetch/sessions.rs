//! Incremental fetch sessions (KIP-227).

use duramen_protocol::messages::fetch::ForgottenTopic;

use super::*;

/// No partitions are told of.
const NONE: [i32; 0] = [];

/// A session on partitions 0 to 2 of `orders`, opened with a full fetch.
struct Session {
    node: Node,
    client: Client,
    id: i32,
    epoch: i32,
}

impl Session {
    async fn open() -> Self {
        let (node, client) = Node::client().await;
        client.create("orders", 3).await;
        let request = FetchRequest {
            session_epoch: 0,
            topics: vec![fetch_topic("orders", &[(0, 0), (1, 0), (2, 0)])],
            ..fetch_request("orders", 0, 0)
        };
        let response = client.call(12, &request).await;
        assert_ne!(response.session_id, 0);
        assert_eq!(indexes(&response), [0, 1, 2], "the first answer tells of all");
        Self { node, client, id: response.session_id, epoch: 0 }
    }

    fn request(&self, topics: Vec<FetchTopic>) -> FetchRequest {
        FetchRequest {
            session_id: self.id,
            session_epoch: self.epoch,
            topics,
            ..fetch_request("orders", 0, 0)
        }
    }

    async fn next(&mut self, topics: Vec<FetchTopic>) -> FetchResponse {
        self.epoch += 1;
        let response = self.client.call(12, &self.request(topics)).await;
        assert_eq!(error(response.error_code), ErrorCode::None);
        assert_eq!(response.session_id, self.id);
        response
    }

    async fn refused(&self, request: &FetchRequest) -> ErrorCode {
        let response = self.client.call(12, request).await;
        assert_eq!((response.session_id, response.responses.len()), (0, 0));
        error(response.error_code)
    }
}

fn indexes(response: &FetchResponse) -> Vec<i32> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|data| data.partition_index).collect()
}

#[tokio::test]
async fn only_what_changed_is_told() {
    let mut session = Session::open().await;
    assert_eq!(indexes(&session.next(vec![]).await), NONE, "no news");
    session.client.send("orders", 1, &Batch::of(["one"])).await;
    let response = session.next(vec![]).await;
    assert_eq!(indexes(&response), [1]);
    assert_eq!(fetched(&response.responses[0].partitions[0]), ["one"]);
    // The consumer moves on, and has heard of everything.
    assert_eq!(indexes(&session.next(vec![fetch_topic("orders", &[(1, 1)])]).await), NONE);
    session.client.send("orders", 1, &Batch::of(["two"])).await;
    let response = session.next(vec![]).await;
    assert_eq!(fetched(&response.responses[0].partitions[0]), ["two"]);
}

#[tokio::test]
async fn a_consumer_that_did_not_move_on_is_told_again() {
    let mut session = Session::open().await;
    session.client.send("orders", 1, &Batch::of(["one"])).await;
    for _ in 0..3 {
        assert_eq!(indexes(&session.next(vec![]).await), [1]);
    }
}

#[tokio::test]
async fn a_waiting_session_wakes() {
    let mut session = Session::open().await;
    session.epoch += 1;
    let request = FetchRequest { max_wait_ms: i32::MAX, ..session.request(vec![]) };
    let waiting = session.client.connection.begin(12, &request, PATIENCE).unwrap();
    session.node.connect().await.send("orders", 2, &Batch::of(["two"])).await;
    assert_eq!(indexes(&waiting.await.unwrap()), [2]);
}

#[tokio::test]
async fn a_new_log_start_is_news() {
    let mut session = Session::open().await;
    session.client.send("orders", 0, &Batch::of(["a"])).await;
    session.next(vec![fetch_topic("orders", &[(0, 1)])]).await;
    assert_eq!(indexes(&session.next(vec![]).await), NONE);
    crate::delete_records::delete(&session.client, "orders", 0, 1).await;
    let response = session.next(vec![]).await;
    assert_eq!(indexes(&response), [0]);
    assert_eq!(response.responses[0].partitions[0].log_start_offset, 1);
}

#[tokio::test]
async fn forgotten_partitions_are_silent_and_new_ones_speak() {
    let mut session = Session::open().await;
    session.epoch += 1;
    let forgotten =
        ForgottenTopic { topic: "orders".into(), partitions: vec![1, 2], ..Default::default() };
    let request =
        FetchRequest { forgotten_topics_data: vec![forgotten], ..session.request(vec![]) };
    assert_eq!(indexes(&session.client.call(12, &request).await), NONE);
    for partition in 0..3 {
        session.client.send("orders", partition, &Batch::of(["x"])).await;
    }
    assert_eq!(indexes(&session.next(vec![]).await), [0]);
    let response = session.next(vec![fetch_topic("orders", &[(2, 0)])]).await;
    let mut told = indexes(&response);
    told.sort_unstable();
    assert_eq!(told, [0, 2]);
}

#[tokio::test]
async fn wrong_ids_and_epochs_are_refused_and_the_session_goes_on() {
    let mut session = Session::open().await;
    for id in [session.id ^ 1, -7, i32::MAX] {
        let request = FetchRequest { session_id: id, session_epoch: 1, ..session.request(vec![]) };
        assert_eq!(session.refused(&request).await, ErrorCode::FetchSessionIdNotFound);
    }
    for epoch in [2, 7, -3] {
        let request = FetchRequest { session_epoch: epoch, ..session.request(vec![]) };
        assert_eq!(session.refused(&request).await, ErrorCode::InvalidFetchSessionEpoch);
    }
    session.next(vec![]).await;
    // An answer that was lost makes the client repeat an epoch.
    let again = session.request(vec![]);
    assert_eq!(session.refused(&again).await, ErrorCode::InvalidFetchSessionEpoch);
}

#[tokio::test]
async fn a_final_epoch_ends_the_session_and_reads_in_full() {
    let session = Session::open().await;
    let request = FetchRequest {
        session_epoch: -1,
        ..session.request(vec![fetch_topic("orders", &[(0, 0), (1, 0)])])
    };
    let response = session.client.call(12, &request).await;
    assert_eq!((response.session_id, indexes(&response)), (0, vec![0, 1]));
    let request = FetchRequest { session_epoch: 1, ..session.request(vec![]) };
    assert_eq!(session.refused(&request).await, ErrorCode::FetchSessionIdNotFound);
}

#[tokio::test]
async fn names_and_ids_do_not_mix_in_a_session() {
    let session = Session::open().await;
    let id = session.client.create("bills", 1).await;
    let request = FetchRequest {
        session_epoch: 1,
        topics: vec![by_id(id, &[(0, 0)])],
        ..session.request(vec![])
    };
    let response = session.client.call(BY_ID, &request).await;
    assert_eq!(error(response.error_code), ErrorCode::FetchSessionTopicIdError);
}

#[tokio::test]
async fn an_unknown_topic_id_in_a_session_heals_when_it_is_forgotten() {
    let (_node, client, id) = orders(1).await;
    let stranger = uuid::Uuid::new_v4();
    let request = FetchRequest {
        session_epoch: 0,
        topics: vec![by_id(id, &[(0, 0)]), by_id(stranger, &[(0, 0)])],
        ..fetch_request("", 0, 0)
    };
    let response = client.ask(&request).await;
    assert_eq!(response.responses.len(), 2);
    assert_eq!(error(response.responses[1].partitions[0].error_code), ErrorCode::UnknownTopicId);
    let forgotten =
        ForgottenTopic { topic_id: stranger, partitions: vec![0], ..Default::default() };
    let next = FetchRequest {
        session_id: response.session_id,
        session_epoch: 1,
        topics: Vec::new(),
        forgotten_topics_data: vec![forgotten],
        ..request
    };
    let response = client.ask(&next).await;
    assert_eq!(error(response.error_code), ErrorCode::None);
    assert_eq!((response.responses.len(), response.responses[0].topic_id), (1, id));
}

#[tokio::test]
async fn when_all_slots_are_taken_a_consumer_is_served_without_a_session() {
    let node = Node::with(&["max.incremental.fetch.session.cache.slots=1"]).await;
    let client = node.connect().await;
    client.create("orders", 1).await;
    client.send("orders", 0, &Batch::of(["x"])).await;
    let request = FetchRequest { session_epoch: 0, ..fetch_request("orders", 0, 0) };
    assert_ne!(client.call(12, &request).await.session_id, 0);
    for _ in 0..2 {
        let response = client.call(12, &request).await;
        assert_eq!(response.session_id, 0);
        assert_eq!(fetched(&partition_of(response)), ["x"]);
    }
}

#[tokio::test]
async fn versions_before_sessions_have_none() {
    let (_node, client, _) = orders(1).await;
    for version in versions::<FetchRequest>().filter(|version| *version < 7) {
        let response = client.call(version, &fetch_request("orders", 0, 0)).await;
        assert_eq!(response.session_id, 0);
    }
}
