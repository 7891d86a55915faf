//! Our half of the program of `scripts/bench client`, which is a workspace of its own that CI does not build:
//! librdkafka takes minutes.

#[path = "../../benches/clients/src/ours.rs"]
mod ours;
#[path = "../../benches/clients/src/work.rs"]
mod work;

use duramen::Broker;
use duramen_client::Admin;
use duramen_client::admin::NewTopic;

use work::{Load, Work};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_that_clients_are_measured_by_is_done() {
    let broker = Broker::builder().listen("127.0.0.1:0").start().await.unwrap();
    let topics = [NewTopic::new("t").partitions(3)];
    for topic in Admin::new(&broker.client()).create_topics(&topics, false).await.unwrap() {
        topic.result.unwrap();
    }
    let address = broker.addresses()[0].1.to_string();
    let load = |batch| Load { records: 5_000, size: 100, codec: "lz4".to_owned(), batch };
    let works = [Work::Produce(load(None)), Work::Produce(load(Some(1_000))), Work::Consume];
    for (work, records) in works.into_iter().zip([5_000, 5_000, 10_000]) {
        let address = address.clone();
        let threads = usize::from(records == 10_000);
        let done = move || ours::run(&address, "t", &work, threads).unwrap();
        let done = tokio::task::spawn_blocking(done).await.unwrap();
        assert_eq!((done.records, done.bytes), (records, records * 100));
    }
    broker.stop().await;
}
