//! Each option of `duramen replay`, and what a record keeps on its way.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{Lab, Rec, numbered, text_of};

const T0: i64 = 1_700_000_000_000;

/// Records `a` to `e` of one partition, 100 ms apart.
fn letters() -> Vec<Rec> {
    (0..).zip(["a", "b", "c", "d", "e"]).map(|(at, l)| Rec::new(T0 + 100 * at, l, l)).collect()
}

fn values(records: &[Rec]) -> String {
    records.iter().map(Rec::text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_kept_and_says_where_it_came_from() {
    let lab = Lab::start().await;
    lab.topic("orders", 3).await;
    lab.topic("copy", 3).await;
    let source: Vec<Vec<Rec>> = (0..3).map(|partition| numbered(partition, 300)).collect();
    for (partition, records) in (0..).zip(&source) {
        lab.fill("orders", partition, records).await;
    }
    let ended = lab.replay(&["orders", "--to", "copy", "--keep-partitions"]).await.ok();
    assert!(ended.err.starts_with("duramen: 900 records, "), "{ended:?}");
    assert_eq!(ended.out, "");
    for (partition, records) in (0..).zip(&source) {
        let copied = lab.read("copy", partition).await;
        assert_eq!(copied.iter().map(Rec::plain).collect::<Vec<_>>(), *records);
        for (offset, record) in copied.iter().enumerate() {
            let from = record.header("duramen.replay.source");
            assert_eq!(from, Some(format!("orders-{partition}")));
            assert_eq!(record.header("duramen.replay.offset"), Some(offset.to_string()));
            let time = record.header("duramen.replay.time").unwrap();
            assert!(time.ends_with('Z') && time.starts_with("20"), "{time}");
        }
    }
    assert!(text_of(&lab.file("orders-to-copy.replay")).contains("\"done\":true"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_choose_the_partition_unless_partitions_are_kept() {
    let lab = Lab::start().await;
    lab.topic("orders", 2).await;
    lab.topic("copy", 5).await;
    let source: Vec<Vec<Rec>> = (0..2).map(|partition| numbered(partition, 600)).collect();
    for (partition, records) in (0..).zip(&source) {
        lab.fill("orders", partition, records).await;
    }
    lab.replay(&["orders", "--to", "copy", "--no-provenance", "-z", "zstd", "--quiet"]).await.ok();
    let mut all = Vec::new();
    for partition in 0..5 {
        let records = lab.read("copy", partition).await;
        assert!(!records.is_empty());
        for record in &records {
            if let Some(key) = &record.key {
                let chosen = duramen_client::producer::partitioner::partition_of_key(key, 5);
                assert_eq!(chosen, partition);
            }
        }
        all.extend(records);
    }
    all.sort();
    let mut want: Vec<Rec> = source.concat();
    want.sort();
    assert_eq!(all, want, "and no header was added");
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_and_filters_choose_records() {
    let lab = Lab::start().await;
    lab.topic("t", 2).await;
    let json = |id: &str| format!("{{\"customer\":{{\"id\":\"{id}\"}},\"items\":[{{\"n\":7}}]}}");
    let records = [
        Rec::new(T0, "k0", &json("c-1")).with_header("kind", "new"),
        Rec::new(T0 + 1_000, "k1", &json("c-2")),
        Rec::new(T0 + 2_000, "k2", "no json").with_header("kind", "old"),
        Rec::new(T0 + 3_000, "k3", &json("c-1")),
    ];
    lab.fill("t", 0, &records).await;
    lab.fill("t", 1, &[Rec::new(T0 + 500, "other", "x")]).await;
    for (words, want) in [
        (&["-p", "0"][..], "k0 k1 k2 k3"),
        (&["-o", "1:3", "-p", "0"], "k1 k2"),
        (&["-o", "-1"], "other k3"),
        (&["-o", "1:100"], "k1 k2 k3"),
        (&["-o", "end"], ""),
        (&["-o", "@2023-11-14T22:13:20.500Z:2023-11-14T22:13:22Z"], "other k1"),
        (&["--filter-key", "^k[12]$"], "k1 k2"),
        (&["--filter-value", "c-1"], "k0 k3"),
        (&["--filter-header", "kind"], "k0 k2"),
        (&["--filter-header", "kind=^o"], "k2"),
        (&["--filter-json", "$.customer.id=^c-1$"], "k0 k3"),
        (&["--filter-json", "$.items[0].n=7", "--filter-key", "k1"], "k1"),
    ] {
        let ended = lab.replay(&[&["t"], words].concat()).await.ok();
        let keys: Vec<String> = ended
            .out
            .lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                line["key"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(keys.join(" "), want, "{words:?}: in the order of time");
    }
    // consume has the same one
    let words = ["consume", "t", "-e", "-f", "%k ", "--filter-json", "$.customer.id=^c-2$"];
    assert_eq!(lab.run(&words).await.ok().out, "k1 ");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_in_a_file_or_on_stdout_are_read_back_by_produce() {
    let lab = Lab::start().await;
    lab.topic("t", 1).await;
    lab.topic("back", 1).await;
    let mut records = numbered(0, 50);
    records[3].value = Some(vec![0xff, 0, 0xfe]);
    lab.fill("t", 0, &records).await;
    let out = lab.replay(&["t", "--no-provenance"]).await.ok().out;
    lab.replay(&["t", "--no-provenance", "--to-file", "t.jsonl"]).await.ok();
    assert_eq!(text_of(&lab.file("t.jsonl")), out);
    assert_eq!(out.lines().count(), 50);
    assert!(lab.file("t.jsonl.replay").exists(), "the checkpoint lies beside it");
    lab.run(&["produce", "back", "--format", "json", "t.jsonl"]).await.ok();
    assert_eq!(lab.read("back", 0).await, records);
    let first = lab.replay(&["t", "-o", ":1"]).await.ok().out;
    assert!(first.contains("duramen.replay.source\",\"value\":\"t-0\""), "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_and_writes_nothing() {
    let lab = Lab::start().await;
    lab.topic("t", 2).await;
    lab.topic("copy", 2).await;
    lab.fill("t", 1, &letters()).await;
    let words = ["t", "--to", "copy", "--keep-partitions", "--speed", "2x", "--dry-run"];
    let shown = lab.replay(&words).await.ok().out;
    for piece in [
        "PARTITION  FROM  TO  RECORDS  BYTES  FIRST",
        "2023-11-14T22:13:20.400Z",
        "write to     topic copy",
        "partitions   those of the source",
        "pace         original timing, 2 times as fast",
        "filter       none",
        "take         200.0ms",
        "add headers  provenance",
    ] {
        assert!(shown.contains(piece), "{piece}:\n{shown}");
    }
    let json = lab.replay(&[&words[..], &["--format", "json"]].concat()).await.ok().out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["partitions"].as_array().unwrap().len(), 1, "the empty one is left out");
    assert_eq!(json["partitions"][0]["partition"], 1);
    assert_eq!(json["total"]["records"], 5);
    assert_eq!(json["total"]["bytes"], 10);
    assert_eq!(json["total"]["span_ms"], 400);
    assert_eq!(json["takes_ms"], 200);
    assert_eq!((&json["to"], &json["provenance"]), (&"copy".into(), &true.into()));
    let rate = ["t", "--rate", "2/s", "--filter-key", "[ab]", "--dry-run", "--format", "text"];
    let text = lab.replay(&rate).await.ok().out;
    assert!(text.starts_with("1\t0\t5\t2\t4\t"), "{text}");
    assert!(text.contains("take\t500.0ms") && text.contains("filter\tkey [ab]"), "{text}");
    assert_eq!(lab.read("copy", 1).await, []);
    assert!(!lab.file("t-to-copy.replay").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn paces_take_their_time() {
    let lab = Lab::start().await;
    lab.topic("t", 1).await;
    lab.fill("t", 0, &letters()).await;
    for (words, least) in [
        (["--speed", "1x"], 400),
        (["--speed", "2x"], 200),
        (["--rate", "20/s"], 200),
        (["--speed", "max"], 0),
    ] {
        let began = Instant::now();
        let out = lab.replay(&[&["t"], &words[..]].concat()).await.ok().out;
        assert!(began.elapsed() >= Duration::from_millis(least), "{words:?}");
        assert_eq!(out.lines().count(), 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_replayed_into_itself_ends() {
    let lab = Lab::start().await;
    lab.topic("t", 1).await;
    lab.fill("t", 0, &letters()).await;
    let ended = lab.replay(&["t", "--to", "t"]).await.ok();
    assert!(ended.err.contains("one topic"), "{ended:?}");
    assert_eq!(values(&lab.read("t", 0).await), "abcdeabcde");
    // The second time the first time's records have two sets of headers: the last is the newest.
    lab.replay(&["t", "--to", "t", "-o", "9", "--quiet"]).await.ok();
    let records = lab.read("t", 0).await;
    assert_eq!(values(&records), "abcdeabcdee");
    let offsets: Vec<_> = records[10]
        .headers
        .iter()
        .filter(|(name, _)| name == "duramen.replay.offset")
        .map(|(_, value)| String::from_utf8(value.clone().unwrap()).unwrap())
        .collect();
    assert_eq!(offsets, ["4", "9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_replay_is_no_failure() {
    let lab = Lab::start().await;
    lab.topic("empty", 2).await;
    lab.topic("copy", 2).await;
    assert_eq!(lab.replay(&["empty"]).await.ok().out, "");
    lab.replay(&["empty", "--to", "copy"]).await.ok();
    lab.replay(&["empty", "--to-file", "f"]).await.ok();
    let json = lab.replay(&["empty", "--dry-run", "--format", "json"]).await.ok().out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["total"]["records"], 0);
    assert_eq!(json["total"]["first_timestamp"], Value::Null);
}
