//! Kill -9 at any moment, again and again, until a run ends by itself: the target then has exactly the
//! source's records, once, in order. The replayer is killed; in one story its broker is, too.

use std::thread;
use std::time::{Duration, Instant};

use crate::lab::{Ended, Lab, Rec, ended, numbered, text_of};
use crate::process::chance::Chance;
use crate::process::child::Running;
use crate::process::eventually;
use crate::process::node::Node;

const PARTITIONS: i32 = 3;
const RECORDS: usize = 4_000;
/// At first so slowly that no run comes to its end, whoever is late with its kill.
const SLOW_KILLS: usize = 2;
/// After so many kills the rest may be done in peace: the machine may be too busy for any run to end.
const MOST_KILLS: usize = 30;

/// A node as a process of its own, and a topic `t` full of records.
async fn filled(records: usize) -> (Node, Lab, Vec<Vec<Rec>>) {
    let node = Node::start(&["log.segment.bytes=1048576"]);
    let lab = Lab::on(&format!("127.0.0.1:{}", node.port()));
    lab.topic("t", PARTITIONS).await;
    let source: Vec<Vec<Rec>> =
        (0..PARTITIONS).map(|partition| numbered(partition, records)).collect();
    for (partition, records) in (0..).zip(&source) {
        lab.fill("t", partition, records).await;
    }
    (node, lab, source)
}

/// Waits so long for the process; its end if it came to one by then.
fn ends_within(mut child: Running, limit: Duration) -> Result<Ended, Running> {
    let began = Instant::now();
    while began.elapsed() < limit {
        if child.try_wait().unwrap().is_some() {
            return Ok(ended(child));
        }
        thread::sleep(Duration::from_millis(2)); // the moment of the kill
    }
    Err(child)
}

/// Runs and kills `duramen replay WORDS…` until it ends by itself; `between` is called after each kill.
fn killed_until_done(lab: &Lab, words: &[&str], checkpoint: &str, mut between: impl FnMut(usize)) {
    let mut chance = Chance::new();
    println!("seed {}", chance.seed);
    let mut kills = 0;
    loop {
        let resume = lab.file(checkpoint).exists();
        let rate = if kills < SLOW_KILLS { "100/s" } else { "4000/s" };
        let mut all = [&["replay"], words, &["--rate", rate]].concat();
        all.extend(resume.then_some("--resume"));
        let child = lab.spawn(&all);
        let limit = match kills {
            MOST_KILLS.. => Duration::from_secs(120),
            // Some before the first checkpoint after the start, some behind it.
            _ => {
                let most = 300 + chance.below(1000);
                Duration::from_millis(20 + chance.below(most))
            }
        };
        match ends_within(child, limit) {
            Ok(ended) => {
                ended.ok();
                println!("{kills} kills");
                assert!(kills >= SLOW_KILLS, "it was never killed in the middle: {kills}");
                return;
            }
            Err(mut child) => {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
                assert!(kills <= MOST_KILLS, "the last run never ended");
                between(kills);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_kept_come_out_the_same_record_by_record() {
    let (_node, lab, source) = filled(RECORDS).await;
    lab.topic("copy", PARTITIONS).await;
    let words = ["t", "--to", "copy", "--keep-partitions"];
    killed_until_done(&lab, &words, "t-to-copy.replay", |_| ());
    for (partition, records) in (0..).zip(&source) {
        let copied = lab.read("copy", partition).await;
        assert_eq!(copied.len(), records.len(), "partition {partition}");
        for (offset, (copied, record)) in copied.iter().zip(records).enumerate() {
            assert_eq!(copied.plain(), *record, "{partition}: {offset}");
            assert_eq!(copied.header("duramen.replay.offset"), Some(offset.to_string()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_chosen_by_key_hold_each_record_once() {
    let (_node, lab, source) = filled(RECORDS).await;
    lab.topic("copy", 4).await;
    let words = ["t", "--to", "copy", "--no-provenance", "-z", "lz4"];
    killed_until_done(&lab, &words, "t-to-copy.replay", |_| ());
    let mut all = Vec::new();
    for partition in 0..4 {
        let copied = lab.read("copy", partition).await;
        // Of each source partition the records are still in order.
        for from in 0..PARTITIONS {
            let mine = format!("{from}/");
            let times: Vec<_> = copied
                .iter()
                .filter(|record| record.text().starts_with(&mine))
                .map(|record| record.timestamp)
                .collect();
            assert!(times.is_sorted(), "{from} to {partition}");
        }
        all.extend(copied);
    }
    all.sort();
    let mut want = source.concat();
    want.sort();
    assert_eq!(all.len(), want.len());
    assert!(all == want, "a record differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_may_die_as_well() {
    let (mut node, lab, source) = filled(RECORDS).await;
    lab.topic("copy", PARTITIONS).await;
    let words = ["t", "--to", "copy", "--keep-partitions", "--no-provenance"];
    let mut chance = Chance::new();
    println!("seed {}", chance.seed);
    killed_until_done(&lab, &words, "t-to-copy.replay", |kills| {
        if kills % 3 == 1 {
            // Sometimes while a replayer runs: one that is let go of, as if it hung, and does not come to its end.
            let ways = ["--resume", "--timeout", "5s", "--rate", "1000/s"];
            let all = [&["replay"], &words[..], &ways].concat();
            let mut hung = lab.file("t-to-copy.replay").exists().then(|| lab.spawn(&all));
            thread::sleep(Duration::from_millis(chance.below(150))); // the moment of the kill
            node.kill();
            node.restart();
            if let Some(hung) = &mut hung {
                hung.kill().unwrap();
                hung.wait().unwrap();
            }
        }
    });
    for (partition, records) in (0..).zip(&source) {
        assert!(lab.read("copy", partition).await == *records, "partition {partition}");
    }
    node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn at_full_speed_with_everything_in_flight() {
    let (_node, lab, source) = filled(10 * RECORDS).await;
    lab.topic("copy", PARTITIONS).await;
    // Begun and killed at once, several times: what was on its way may land while the next one looks.
    let words = ["replay", "t", "--to", "copy", "--keep-partitions", "--no-provenance"];
    let mut runs = 0;
    loop {
        let resume = lab.file("t-to-copy.replay").exists();
        let all = [&words[..], if resume { &["--resume"] } else { &[] }].concat();
        let mut child = lab.spawn(&all);
        let before: i64 = ends(&lab).await;
        let moved = eventually("it writes or ends", Duration::from_secs(60), || {
            let gone = child.try_wait().unwrap();
            let now = futures_block(ends(&lab));
            (gone.is_some() || now > before).then_some(gone)
        });
        if moved.is_some_and(|status| status.success()) {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        runs += 1;
        assert!(runs < 500);
    }
    println!("{runs} kills");
    for (partition, records) in (0..).zip(&source) {
        assert!(lab.read("copy", partition).await == *records, "partition {partition}");
    }
}

async fn ends(lab: &Lab) -> i64 {
    let mut sum = 0;
    for partition in 0..PARTITIONS {
        sum += lab.end("copy", partition).await.unwrap();
    }
    sum
}

fn futures_block<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_holds_each_line_once() {
    let (_node, lab, source) = filled(RECORDS).await;
    let whole = lab.replay(&["t", "--no-provenance"]).await.ok().out;
    assert_eq!(whole.lines().count(), source.concat().len());
    let words = ["t", "--to-file", "out", "--no-provenance"];
    killed_until_done(&lab, &words, "out.replay", |_| ());
    assert!(text_of(&lab.file("out")) == whole, "the file differs");
}
