//! Going on after a stop: what is the same, what is refused, and that stopping is clean.

use std::process::Command;

use duramen_client::Admin;

use crate::api::eventually;
use crate::lab::{Lab, Rec, ended, enqueue, numbered, text_of};

/// A lab with 2,000 records in two partitions of `t`, and a topic `copy` like it.
async fn filled() -> (Lab, Vec<Vec<Rec>>) {
    let lab = Lab::start().await;
    lab.topic("t", 2).await;
    lab.topic("copy", 2).await;
    let source: Vec<Vec<Rec>> = (0..2).map(|partition| numbered(partition, 1_000)).collect();
    for (partition, records) in (0..).zip(&source) {
        lab.fill("t", partition, records).await;
    }
    (lab, source)
}

/// So slowly that a replay is far from its end when it is stopped, however late that comes.
const SLOWLY: [&str; 2] = ["--rate", "50/s"];

/// Starts a replay, and stops it with a signal when some of it is in the target.
async fn stopped_midway(lab: &Lab, words: &[&str], signal: &str) -> crate::lab::Ended {
    let written = async || {
        let in_file = std::fs::metadata(lab.file("out.jsonl")).map_or(0, |meta| meta.len());
        in_file / 100 + u64::try_from(lab.end("copy", 0).await.unwrap()).unwrap()
    };
    let before = written().await;
    let child = lab.spawn(&[&["replay"], words].concat());
    eventually("some records arrive", async || (written().await > before + 20).then_some(())).await;
    let told = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    tokio::task::spawn_blocking(move || ended(child)).await.unwrap()
}

async fn assert_copied(lab: &Lab, source: &[Vec<Rec>]) {
    for (partition, records) in (0..).zip(source) {
        let copied: Vec<_> = lab.read("copy", partition).await.iter().map(Rec::plain).collect();
        assert_eq!(copied.len(), records.len());
        assert!(copied == *records, "partition {partition} differs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_stops_cleanly_and_the_rest_follows_at_any_pace() {
    let (lab, source) = filled().await;
    let begin = [&["t", "--to", "copy", "--keep-partitions"], &SLOWLY[..]].concat();
    let go_on = [&begin[..], &["--resume"]].concat();
    for (words, signal) in [(&begin[..], "-INT"), (&go_on[..], "-TERM")] {
        let ended = stopped_midway(&lab, words, signal).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let there = lab.end("copy", 0).await.unwrap() + lab.end("copy", 1).await.unwrap();
        let told = format!("stopped after {there} of 2000 offsets; --resume goes on from there");
        assert!(ended.err.contains(&told), "everything sent is settled: {told}: {ended:?}");
        lab.replay(&begin).await.failed(2, "did not end; go on with --resume");
    }
    let at_once = ["t", "--to", "copy", "--keep-partitions", "--resume"];
    lab.replay(&at_once).await.ok();
    assert_copied(&lab, &source).await;
    let again = lab.replay(&at_once).await.ok();
    assert!(again.err.contains("has ended already"), "{again:?}");
    assert_copied(&lab, &source).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_cut_to_what_the_checkpoint_knows() {
    let (lab, _) = filled().await;
    let whole = lab.replay(&["t", "--no-provenance"]).await.ok().out;
    let words = ["t", "--no-provenance", "--to-file", "out.jsonl"];
    let paced = [&words[..], &SLOWLY].concat();
    stopped_midway(&lab, &paced, "-KILL").await;
    // What came after the checkpoint, torn in the middle of a line.
    let mut text = text_of(&lab.file("out.jsonl"));
    text.push_str("{\"topic\":\"t\",\"part");
    std::fs::write(lab.file("out.jsonl"), &text).unwrap();
    lab.replay(&[&words[..], &["--resume"]].concat()).await.ok();
    assert_eq!(text_of(&lab.file("out.jsonl")), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replay_is_not_taken_for_this_one() {
    let (lab, _) = filled().await;
    let words = ["t", "--to", "copy", "--filter-key", "key-"];
    stopped_midway(&lab, &[&words[..], &SLOWLY].concat(), "-KILL").await;
    for (other, message) in [
        (&["--to", "copy"][..], "had --filter-key [\"key-\"]; go on with the same, or remove"),
        (&["--to", "copy", "--filter-key", "key-", "-o", "5"], "had --offset \"start\""),
        (&["--to", "copy", "--filter-key", "key-", "--no-provenance"], "had --no-provenance false"),
        (&["--to", "copy", "--filter-key", "key-", "--keep-partitions"], "had --keep-partitions"),
        (&["--to-file", "f", "--checkpoint", "t-to-copy.replay"], "the replay to be resumed had"),
    ] {
        lab.replay(&[&["t", "--resume"], other].concat()).await.failed(2, message);
    }
    Admin::new(&lab.cluster).delete_topics(&["copy".into()]).await.unwrap();
    lab.topic("copy", 2).await;
    let anew = lab.replay(&[&words[..], &["--resume"]].concat()).await;
    anew.failed(2, "topic copy was made anew since the replay began");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_is_in_use_is_left_alone() {
    let (lab, _) = filled().await;
    let words = ["t", "--to", "copy", "--rate", "10/s"];
    let mut child = lab.spawn(&[&["replay"], &words[..]].concat());
    eventually("it has begun", async || lab.file("t-to-copy.replay").exists().then_some(())).await;
    let other = lab.replay(&[&words[..], &["--resume"]].concat()).await;
    other.failed(1, "another replay is at work on t-to-copy.replay; wait for it, or stop it");
    child.kill().unwrap();
    child.wait().unwrap();
    lab.replay(&["t", "--to", "copy", "--resume"]).await.ok();
    let there = lab.end("copy", 0).await.unwrap() + lab.end("copy", 1).await.unwrap();
    assert_eq!(there, 2_000);
}

/// Everything is learnt from the target, however old the checkpoint is; what retention took from there
/// is not guessed at.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_checkpoint_is_enough_unless_the_target_has_lost_records() {
    let (lab, source) = filled().await;
    let words = ["t", "--to", "copy", "--keep-partitions", "--no-provenance"];
    let paced = [&words[..], &SLOWLY].concat();
    stopped_midway(&lab, &paced, "-KILL").await;
    let mut job: serde_json::Value =
        serde_json::from_str(&text_of(&lab.file("t-to-copy.replay"))).unwrap();
    for source in job["sources"].as_array_mut().unwrap() {
        source["position"] = source["from"].clone();
        source["sent"] = serde_json::json!([[0, 0], [0, 0]]);
    }
    job["target"]["scan_from"] = job["target"]["began_at"].clone();
    std::fs::write(lab.file("t-to-copy.replay"), job.to_string()).unwrap();
    std::fs::write(lab.file("kept"), job.to_string()).unwrap();
    let go_on = [&words[..], &["--resume"]].concat();
    lab.replay(&go_on).await.ok();
    assert_copied(&lab, &source).await;
    lab.run(&["topic", "trim", "copy", "--before", "end"]).await.ok();
    let old = [&go_on[..], &["--checkpoint", "kept"]].concat();
    lab.replay(&old).await.failed(1, "copy-0 has lost records to retention since the checkpoint");
}

/// The story of docs/replay.md: a request of a killed run that lands after the next one has looked.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_request_of_a_killed_run_doubles_nothing() {
    use duramen_client::producer::{Identity, Producer, ProducerOptions};
    let (lab, source) = filled().await;
    let words = ["t", "--to", "copy", "--keep-partitions", "--no-provenance"];
    let paced = [&words[..], &SLOWLY].concat();
    stopped_midway(&lab, &paced, "-KILL").await;
    let checkpoint: serde_json::Value =
        serde_json::from_str(&text_of(&lab.file("t-to-copy.replay"))).unwrap();
    let id = checkpoint["target"]["producers"][0][0].as_i64().unwrap();
    let go_on = [&words[..], &["--resume"]].concat();
    let before = lab.end("copy", 0).await.unwrap();
    let child = lab.spawn(&[&["replay"], &go_on[..], &SLOWLY].concat());
    eventually("the next run writes", async || {
        (lab.end("copy", 0).await.unwrap() > before + 5).then_some(())
    })
    .await;
    // What the killed one would have sent next, and some more: it takes the other's place for a while.
    let mut late = 0;
    while late < 150 {
        let end = usize::try_from(lab.end("copy", 0).await.unwrap()).unwrap();
        let next =
            std::collections::BTreeMap::from([(("copy".into(), 0), i32::try_from(end).unwrap())]);
        let identity = Some(Identity::new(id, 0).next(next));
        let options = ProducerOptions::default().identity(identity);
        let producer = Producer::start(&lab.cluster, options).unwrap();
        let mut deliveries = Vec::new();
        for record in source[0].iter().skip(end).take(60) {
            deliveries.push(enqueue(&producer, "copy", 0, record).await);
        }
        producer.flush().await;
        late += deliveries.iter().filter(|d| d.result().unwrap().is_ok()).count();
        if deliveries.is_empty() {
            break;
        }
    }
    assert!(late > 0, "at least once the late one came first");
    let there = lab.end("copy", 0).await.unwrap();
    eventually("the other goes on behind it", async || {
        (lab.end("copy", 0).await.unwrap() > there).then_some(())
    })
    .await;
    child.ask_to_stop();
    let stopped = tokio::task::spawn_blocking(move || ended(child)).await.unwrap();
    assert_eq!(stopped.code, Some(1), "{stopped:?}");
    assert!(stopped.err.contains("--resume goes on from there"), "{stopped:?}");
    lab.replay(&go_on).await.ok();
    assert_copied(&lab, &source).await;
}
