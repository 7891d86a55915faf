//! Starts and stops that are dropped at each point at which they wait: nothing stays behind.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use duramen::Broker;

use crate::lab::{eventually, on_each, read, write};
use crate::life::start_once_free;
use crate::traces::{alone, folders};

/// When a future is dropped.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// When it waits once more than so many times.
    Waits(u32),
    /// After so many steps of time, in the midst of what it began elsewhere.
    Steps(u32),
}

const STEP: Duration = Duration::from_micros(300);

impl Cut {
    /// The future's outcome; `None` when it was dropped before its end.
    async fn apply<F: Future>(self, future: F) -> Option<F::Output> {
        let (mut future, mut waits, began) = (pin!(future), 0, Instant::now());
        poll_fn(|cx: &mut Context<'_>| {
            if let Poll::Ready(done) = Pin::as_mut(&mut future).poll(cx) {
                return Poll::Ready(Some(done));
            }
            waits += 1;
            let over = match self {
                Self::Waits(most) => waits > most,
                Self::Steps(steps) => {
                    cx.waker().wake_by_ref();
                    began.elapsed() >= STEP * steps
                }
            };
            if over { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }
}

/// Tries cuts of both kinds, the shortest first, until one comes too late; `attempt` says whether it did.
async fn each(attempt: impl AsyncFn(Cut) -> bool) {
    let mut in_time = 0;
    for cut in [Cut::Waits, Cut::Steps] {
        let mut length = 0;
        while !attempt(cut(length)).await {
            length += 1 + length / 3;
            in_time += 1;
        }
    }
    assert!(in_time >= 2, "{in_time} cuts came in time");
}

#[test]
fn a_start_cut_at_any_point_leaves_its_directory_free() {
    on_each(async || {
        let folder = tempfile::tempdir().unwrap();
        let attempt = async |cut: Cut| {
            let start = Broker::builder().directory(folder.path()).start();
            if let Some(started) = cut.apply(start).await {
                started.unwrap().stop().await;
                return true;
            }
            start_once_free(folder.path()).await.stop().await;
            false
        };
        each(attempt).await;
    });
}

#[test]
fn a_temporary_start_cut_at_any_point_leaves_no_directory() {
    alone("cut_short::a_temporary_start_cut_at_any_point_leaves_no_directory", || {
        on_each(async || {
            let attempt = async |cut: Cut| {
                let started = cut.apply(Broker::builder().start()).await.is_some();
                eventually("no directory is left", async || folders() == 0).await;
                started
            };
            each(attempt).await;
        });
    });
}

#[test]
fn a_stop_cut_at_any_point_has_kept_what_was_acknowledged() {
    on_each(async || {
        let folder = tempfile::tempdir().unwrap();
        let acked = Cell::new(0);
        let attempt = async |cut: Cut| {
            let broker = start_once_free(folder.path()).await;
            write(&broker.client(), "orders", &[&acked.get().to_string()]).await;
            acked.set(acked.get() + 1);
            cut.apply(broker.stop()).await.is_some()
        };
        each(attempt).await;
        let broker = start_once_free(folder.path()).await;
        let wanted: Vec<_> = (0..acked.get()).map(|number| number.to_string()).collect();
        assert_eq!(read(&broker.client(), "orders", acked.get()).await, wanted);
        broker.stop().await;
    });
}
