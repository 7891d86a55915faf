//! What a member's numbers say: rebalances, heartbeats, commits, lag.

use std::time::Duration;

use duramen_client::consumer::TopicPartition;
use tokio::time::timeout;

use crate::lab::{BOTH, Lab, PATIENCE, of};

#[tokio::test(flavor = "multi_thread")]
async fn a_member_counts_what_it_does_and_knows_how_far_it_is() {
    for protocol in BOTH {
        let lab = Lab::start();
        lab.topic("t", 2).await;
        lab.write("t", 2, 0..10).await;
        let mut member = lab.member(of(protocol).auto_commit(None), "t");
        member.until_seen(10).await;
        member.consumer.commit().await.unwrap();
        let beats = async {
            while lab.cluster.metrics().heartbeats < 2 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, beats).await.expect("heartbeats are answered");
        let numbers = lab.cluster.metrics();
        assert!(numbers.rebalances >= 1, "{numbers:?}");
        assert_eq!((numbers.commits, numbers.commits_failed), (1, 0), "{numbers:?}");
        assert_eq!(numbers.records_taken, 10, "{numbers:?}");
        let stands: Vec<_> = numbers.standings.iter().map(|it| (it.at.clone(), it.next)).collect();
        let at = |partition| (TopicPartition::new("t", partition), 5);
        assert_eq!(stands, [at(0), at(1)]);
        assert!(numbers.standings.iter().all(|it| it.lag() == 0), "{numbers:?}");
        member.consumer.close().await.unwrap();
    }
}
