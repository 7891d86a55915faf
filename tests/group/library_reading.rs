//! What a member may do while it reads: pause, seek, read partitions apart, take records one by one or in
//! lists, outlive its topics, and drop any call at any point.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use duramen_client::ClientError;
use duramen_client::consumer::group::{GroupConsumer, GroupEvent, GroupProtocol, Subscription};
use duramen_client::consumer::{
    ConsumerOptions, ConsumerRecord, PartitionStream, Start, TopicPartition,
};
use duramen_client::protocol::error::ErrorCode;
use futures_core::Stream;
use tokio::time::timeout;

use crate::lab::{BOTH, Lab, PATIENCE, number, numbers, of, until_own};

fn t(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

async fn record<S>(stream: &mut S) -> Option<ConsumerRecord>
where
    S: Stream<Item = Result<ConsumerRecord, ClientError>> + Unpin,
{
    let next = poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx));
    timeout(PATIENCE, next).await.expect("a record in time").map(Result::unwrap)
}

/// The numbers of the next records, so many.
async fn take(member: &mut GroupConsumer, count: usize) -> Vec<u32> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let more = member.poll(count - seen.len(), PATIENCE).await.unwrap();
        assert!(!more.is_empty(), "{} of {count} came", seen.len());
        seen.extend(more.iter().map(number));
    }
    seen.sort_unstable();
    seen
}

async fn is_quiet(member: &mut GroupConsumer) -> bool {
    member.poll(1, Duration::from_secs(1)).await.unwrap().is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_pauses_resumes_and_goes_elsewhere() {
    for protocol in BOTH {
        let lab = Lab::start();
        lab.topic("t", 2).await;
        lab.write("t", 2, 0..100).await;
        let options = of(protocol).auto_commit(None);
        let mut member = GroupConsumer::join(&lab.cluster, options, "t").unwrap();
        assert_eq!(take(&mut member, 100).await, (0..100).collect::<Vec<_>>());
        member.pause(&[t(0)]);
        lab.write("t", 2, 100..120).await;
        let odd: Vec<u32> = (100..120).filter(|number| number % 2 == 1).collect();
        assert_eq!(take(&mut member, 10).await, odd);
        assert!(is_quiet(&mut member).await);
        assert_eq!(member.paused(), [t(0)]);
        member.resume(&[t(0)]);
        assert_eq!(take(&mut member, 10).await[0], 100);

        assert_eq!(member.seek(&t(0), Start::Offset(55)).await.unwrap(), 55);
        assert_eq!(take(&mut member, 5).await, [110, 112, 114, 116, 118]);
        assert_eq!(member.seek(&t(1), Start::Latest).await.unwrap(), 60);
        assert_eq!(member.seek(&t(0), Start::Time(i64::MAX)).await.unwrap(), 60, "the end");
        assert!(is_quiet(&mut member).await);
        assert_eq!(member.seek(&t(0), Start::Earliest).await.unwrap(), 0);
        member.commit().await.unwrap();
        assert_eq!(lab.committed("g").await, [(t(0), 0), (t(1), 60)].into());
        member.commit_offsets(&[(t(0), 7)]).await.unwrap();
        assert_eq!(lab.committed("g").await[&t(0)], 7);
        let error = member.commit_offsets(&[(t(5), 7)]).await.unwrap_err();
        assert!(matches!(error, ClientError::NotAssigned(_)), "{error}");
        let error = member.seek(&t(5), Start::Earliest).await.unwrap_err();
        assert!(matches!(error, ClientError::NotAssigned(_)), "{error}");
        member.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_come_one_by_one_and_what_came_before_is_committed() {
    for protocol in BOTH {
        let lab = Lab::start();
        lab.topic("t", 3).await;
        lab.write("t", 3, 0..300).await;
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        let options = of(protocol).stop_at_end(true);
        let mut member = GroupConsumer::join(&lab.cluster, options, "t").unwrap();
        member.on_rebalance(move |event| told.lock().unwrap().push(format!("{event:?}")));
        let mut seen = Vec::new();
        for _ in 0..250 {
            seen.push(number(&record(&mut member).await.unwrap()));
        }
        assert!(events.lock().unwrap()[0].starts_with("Assigned"), "{events:?}");
        // What came last is dealt with by closing.
        member.close().await.unwrap();
        assert_eq!(lab.committed("g").await.values().sum::<i64>(), 250);

        let options = of(protocol).stop_at_end(true);
        let mut member = GroupConsumer::join(&lab.cluster, options, "t").unwrap();
        while let Some(record) = record(&mut member).await {
            seen.push(number(&record));
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..300).collect::<Vec<_>>());
        member.close().await.unwrap();
    }
}

/// In which way records are taken may change from call to call: none is left out, and none is committed that
/// was not handed out.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_fetch_behind_single_records_leaves_none_out() {
    for protocol in BOTH {
        let lab = Lab::start();
        lab.topic("t", 1).await;
        lab.write("t", 1, 0..300).await;
        let options = of(protocol).auto_commit(None);
        let mut member = GroupConsumer::join(&lab.cluster, options, "t").unwrap();
        let mut seen = take(&mut member, 7).await;
        lab.write("t", 1, 300..310).await;
        let event = timeout(PATIENCE, member.next()).await.expect("an event in time");
        let Some(Ok(GroupEvent::Records(fetched))) = event else { panic!("records: {event:?}") };
        seen.extend(numbers(&fetched));
        member.commit().await.unwrap();
        assert_eq!(seen, (0..).take(seen.len()).collect::<Vec<_>>(), "{protocol:?}");
        let committed = usize::try_from(lab.committed("g").await[&t(0)]).unwrap();
        assert_eq!(committed, seen.len(), "{protocol:?}");
        member.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_reading_is_the_end() {
    for protocol in BOTH {
        let lab = Lab::start();
        lab.topic("t", 1).await;
        let options = of(protocol).start(Start::Offset(1000)).consumer(ConsumerOptions::default());
        let mut member = GroupConsumer::join(&lab.cluster, options, "t").unwrap();
        let mut next = async || timeout(PATIENCE, member.next()).await.expect("it is told");
        let error = loop {
            match next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("the error comes first"),
            }
        };
        assert_eq!(error.code(), Some(ErrorCode::OffsetOutOfRange));
        assert!(next().await.is_none(), "nothing comes after it");
        member.close().await.unwrap();
    }
}

/// Reads a partition in a task of its own, slowly; how many records it dealt with.
fn work(mut stream: PartitionStream) -> tokio::task::JoinHandle<Vec<u32>> {
    tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(record) = record(&mut stream).await {
            tokio::time::sleep(Duration::from_millis(1)).await;
            seen.push(number(&record));
        }
        seen
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_goes_when_the_task_that_reads_it_has_seen_its_end() {
    for protocol in BOTH {
        let lab = Lab::start();
        lab.topic("t", 4).await;
        lab.write("t", 4, 0..4000).await;
        let mut one = GroupConsumer::join(&lab.cluster, of(protocol), "t").unwrap();
        let mut two = None;
        let mut tasks = Vec::new();
        let mut streams: BTreeMap<TopicPartition, u32> = BTreeMap::new();
        while streams.values().filter(|count| **count > 0).count() < 4 || streams.len() < 4 {
            let Some(Ok(GroupEvent::Assigned(added))) = one.next().await else { continue };
            for at in added {
                tasks.push(work(one.split(&at).unwrap()));
                *streams.entry(at).or_default() += 1;
            }
        }
        // Another comes, and reads what goes.
        let mut seen = Vec::new();
        let done = timeout(PATIENCE, async {
            loop {
                let other = two.get_or_insert_with(|| {
                    GroupConsumer::join(&lab.cluster, of(protocol), "t").unwrap()
                });
                tokio::select! {
                    event = one.next() => if let GroupEvent::Assigned(added) = event.unwrap().unwrap() {
                        tasks.extend(added.iter().map(|at| work(one.split(at).unwrap())));
                    },
                    records = other.poll(100, Duration::from_millis(100)) => {
                        seen.extend(records.unwrap().iter().map(number));
                    }
                }
                if lab.committed("g").await.values().sum::<i64>() == 4000 {
                    break;
                }
            }
        });
        assert!(done.await.is_ok(), "{:?}", lab.committed("g").await);
        one.close().await.unwrap();
        two.unwrap().close().await.unwrap();
        for task in tasks {
            seen.extend(timeout(PATIENCE, task).await.expect("it ends").unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..4000).collect::<Vec<_>>(), "each once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_stay_are_read_on_from_where_they_were_fetched() {
    let lab = Lab::start();
    lab.topic("t", 2).await;
    lab.write("t", 2, 0..20).await;
    let mut one = lab.member(of(GroupProtocol::Consumer), "t");
    one.until_seen(20).await;
    // A seek stands over a rebalance that leaves the partition here.
    let kept = one.owned[0].clone();
    one.consumer.pause(std::slice::from_ref(&kept));
    let mut two = lab.member(of(GroupProtocol::Consumer), "t");
    until_own(&mut one, &mut two, (1, 1)).await;
    let paused = one.consumer.paused();
    assert_eq!(paused.is_empty(), one.owned[0] != kept, "what stays stays paused: {paused:?}");
    one.consumer.close().await.unwrap();
    two.consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_goes_ends_no_member_and_is_read_when_it_is_back() {
    for protocol in BOTH {
        let lab = Lab::start();
        lab.topic("t", 2).await;
        lab.topic("other", 1).await;
        lab.write("t", 2, 0..20).await;
        let both: Subscription = ["t", "other"].into();
        let mut member = lab.member(of(protocol), both);
        member.until_seen(20).await;
        member.consumer.commit().await.unwrap();
        for outcome in lab.admin.delete_topics(&["t".into()]).await.unwrap() {
            outcome.result.unwrap();
        }
        member.until_owns(1).await;
        lab.write("other", 1, 20..25).await;
        member.until_seen(25).await;
        lab.topic("t", 2).await;
        lab.write("t", 2, 25..45).await;
        member.until_seen(45).await;
        assert_eq!(member.owned.len(), 3);
        let mut seen = member.seen.clone();
        seen.sort_unstable();
        assert_eq!(seen, (0..45).collect::<Vec<_>>(), "{protocol:?}");
        member.consumer.close().await.unwrap();
        assert_eq!(lab.committed("g").await.values().sum::<i64>(), 25);
    }
}

/// The result of a future, or nothing when it is dropped after so many polls without one.
async fn dropped_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        let next = poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(output) = next.await {
            return Some(output);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    None
}

/// Whatever call is dropped at whatever point: what was committed does not come again, and nothing is left
/// out.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_loses_nothing_that_was_acknowledged() {
    for protocol in BOTH {
        let lab = Lab::start();
        lab.topic("t", 2).await;
        lab.write("t", 2, 0..400).await;
        let options = of(protocol).auto_commit(None);
        let mut seen: Vec<u32> = Vec::new();
        for polls in 1..6 {
            let mut member = GroupConsumer::join(&lab.cluster, options.clone(), "t").unwrap();
            let mut dealt_with = 0;
            let want = if polls == 5 { 400 - seen.len() } else { 50 };
            while dealt_with < want {
                let polled = member.poll(7.min(want - dealt_with), PATIENCE);
                let records = match dropped_after(polls, polled).await {
                    Some(records) => records.unwrap(),
                    None => continue,
                };
                dealt_with += records.len();
                seen.extend(records.iter().map(number));
                let _ = dropped_after(polls, member.commit()).await;
                let _ = dropped_after(1, member.seek(&t(9), Start::Earliest)).await;
            }
            // The last commit was begun, and goes on; a further one is behind it.
            member.begin_commit().await.unwrap();
            let committed: i64 = lab.committed("g").await.values().sum();
            assert_eq!(committed, i64::try_from(seen.len()).unwrap(), "after {polls} polls");
            // Closing goes on, too.
            let _ = dropped_after(polls - 1, member.close()).await;
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..400).collect::<Vec<_>>());
    }
}

/// A member that closes commits, also when nobody waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_is_dropped_commits_and_leaves() {
    for (protocol, polls) in [(GroupProtocol::Classic, 1), (GroupProtocol::Consumer, 0)] {
        let lab = Lab::start();
        lab.topic("t", 1).await;
        lab.write("t", 1, 0..20).await;
        let mut member = GroupConsumer::join(&lab.cluster, of(protocol), "t").unwrap();
        assert_eq!(take(&mut member, 20).await.len(), 20);
        assert!(is_quiet(&mut member).await, "coming again says that they are dealt with");
        let _ = dropped_after(polls, member.close()).await;
        let mut next = GroupConsumer::join(&lab.cluster, of(protocol), "t").unwrap();
        lab.write("t", 1, 20..30).await;
        assert_eq!(take(&mut next, 10).await, (20..30).collect::<Vec<_>>());
        next.close().await.unwrap();
    }
}
