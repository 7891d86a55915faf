//! Three workers share a topic: each customer's orders are worked on by one of them at a time, also while
//! one leaves and the others take over.
//!
//! cargo run --example one_owner_workers --features json
#![allow(clippy::print_stdout, reason = "it says what it did")]

mod shop;

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_client::Cluster;
use duramen_client::consumer::group::{GroupConsumer, GroupEvent, GroupOptions};
use duramen_client::serde::Json;
use shop::{Failure, Order};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

const ORDERS: u32 = 300;

/// An order that a worker has dealt with.
struct Done {
    worker: usize,
    order: Order,
}

async fn work(
    cluster: Cluster,
    worker: usize,
    done: UnboundedSender<Done>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    // A name of its own: restarted within the session timeout it gets its partitions back at once.
    let options =
        GroupOptions::new("workers").instance(format!("worker-{worker}")).auto_commit(None);
    let mut member = GroupConsumer::join(&cluster, options, ["work-orders"])?;
    member.on_rebalance(move |event| match event {
        GroupEvent::Assigned(partitions) => println!("worker {worker} gets {}", partitions.len()),
        GroupEvent::Revoked(partitions) => println!("worker {worker} gives {}", partitions.len()),
        event => println!("worker {worker}: {event:?}"),
    });
    while !stop.is_cancelled() {
        let records = member.poll(20, Duration::from_millis(200)).await?;
        for record in &records {
            if let Some(order) = record.value_as(&Json)? {
                done.send(Done { worker, order })?;
            }
        }
        if !records.is_empty() {
            member.commit().await?;
        }
    }
    member.close().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let cluster = shop::cluster()?;
    shop::topic(&cluster, "work-orders").await?;
    let (done, mut finished) = unbounded_channel();
    let mut workers: Vec<_> = (1..=3)
        .map(|worker| {
            let stop = CancellationToken::new();
            let working = work(cluster.clone(), worker, done.clone(), stop.clone());
            (tokio::spawn(working), stop)
        })
        .collect();
    shop::place(&cluster, "work-orders", 0..ORDERS).await?;

    let mut times = BTreeMap::<u32, Vec<usize>>::new();
    let mut leaving = workers.pop();
    while times.len() < usize::try_from(ORDERS)? {
        let Some(Done { worker, order }) = finished.recv().await else { break };
        times.entry(order.number).or_default().push(worker);
        if times.len() == usize::try_from(ORDERS / 2)?
            && let Some((worker, stop)) = leaving.take()
        {
            println!("worker 3 goes home");
            stop.cancel();
            worker.await??;
            shop::place(&cluster, "work-orders", ORDERS..ORDERS + 10).await?;
        }
    }
    for (worker, stop) in workers {
        stop.cancel();
        worker.await??;
    }
    let twice = times.values().filter(|workers| workers.len() > 1).count();
    println!("{} orders worked on, {twice} of them more than once", times.len());
    Ok(())
}
