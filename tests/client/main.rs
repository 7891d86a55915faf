//! The client against real brokers, the same cases on Duramen and on Apache Kafka: what is acknowledged
//! is there once and in order, whatever happens to connections, brokers and topics.
//!
//! `cargo test --test client`; a word picks cases: `CLIENT_CASE=cut cargo test --test client`.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "a test may panic, and has the real clock and disk"
)]

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod cancel;
mod epochs;
mod examples;
mod faults;
mod groups;
mod lab;
mod proxy;
mod topics;
mod typed;

use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use lab::{Kind, Lab};

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A case, on its own topics of a broker that others use at the same time.
struct Case {
    name: &'static str,
    run: fn(Arc<Lab>) -> Running,
}

macro_rules! cases {
    ($($module:ident::$case:ident),* $(,)?) => {
        &[$(Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            run: |lab| Box::pin($module::$case(lab)),
        }),*]
    };
}

const CASES: &[Case] = cases![
    admin::topics_are_made_grown_and_deleted,
    admin::configs_are_told_and_changed,
    admin::offsets_epochs_and_producers_are_told,
    admin::records_are_deleted,
    admin::the_cluster_tells_of_itself,
    admin::groups_are_told_and_changed,
    admin::offsets_of_groups_are_changed,
    cancel::a_send_that_is_dropped_is_sent_whole_or_not_at_all,
    cancel::every_other_future_can_be_dropped,
    cancel::admin_calls_can_be_dropped,
    cancel::replays_and_members_can_be_dropped_while_they_wait,
    epochs::leader_epochs_that_rise_are_followed,
    faults::connections_that_are_cut_lose_and_double_nothing,
    faults::connections_that_stand_still_are_replaced,
    faults::slow_connections_are_only_slow,
    faults::killed_brokers_lose_and_double_nothing,
    groups::members_on_connections_that_are_cut_share_all,
    groups::members_of_a_killed_broker_share_all,
    groups::a_member_pauses_and_goes_elsewhere,
    topics::a_topic_that_is_missing_is_told_in_time,
    topics::a_record_that_is_too_large_is_told_and_the_rest_goes_on,
    topics::batches_larger_than_the_topic_takes_go_in_parts,
    topics::a_topic_that_is_made_again_is_written_and_read_anew,
    topics::a_topic_that_grows_is_used_whole,
    typed::values_go_there_and_back,
];

/// Cases at a time; the machine has few cores.
const AT_ONCE: usize = 3;

fn run(kind: Kind) {
    if let Some(reason) = kind.missing() {
        // past the capture of the test's output, so that it is seen
        let _ = writeln!(std::io::stdout(), "skipped client on {kind:?}: {reason}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let failed = runtime.block_on(async {
        let lab = Arc::new(Lab::start(kind));
        let wanted = std::env::var("CLIENT_CASE").unwrap_or_default();
        let room = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        let running: Vec<_> = CASES
            .iter()
            .filter(|case| case.name.contains(&wanted))
            .map(|case| {
                let (lab, room) = (Arc::clone(&lab), Arc::clone(&room));
                let running = async move {
                    let _room = room.acquire_owned().await.unwrap();
                    let began = Instant::now();
                    (case.run)(lab).await;
                    println!("{kind:?} {} ok ({:.1} s)", case.name, began.elapsed().as_secs_f64());
                };
                (case.name, tokio::spawn(running))
            })
            .collect();
        let mut failed = Vec::new();
        for (name, case) in running {
            if case.await.is_err() {
                failed.push(name);
            }
        }
        failed
    });
    assert!(failed.is_empty(), "on {kind:?}: {failed:?}");
}

#[test]
fn on_duramen() {
    run(Kind::Duramen);
}

#[test]
fn on_kafka() {
    run(Kind::Kafka);
}
