//! What `duramen replay` refuses: with one line that says what to do, and an exit code by cause.

use duramen_client::Admin;

use crate::lab::{Lab, numbered};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named() {
    let lab = Lab::start().await;
    lab.topic("t", 3).await;
    lab.topic("narrow", 2).await;
    for (words, message) in [
        (&["nope"][..], "topic nope does not exist; see `duramen topic list`"),
        (&["t", "-p", "2,7"], "topic t has no partition 7; it has 3, numbered from 0"),
        (&["t", "--to", "nope"], "make it with `duramen topic create nope -p 3`"),
        (&["t", "--to", "nope", "--dry-run"], "make it with `duramen topic create nope -p 3`"),
        (
            &["t", "--to", "narrow", "--keep-partitions"],
            "topic narrow has only 2 partitions, so records of t-2 can't keep theirs; add some with \
             `duramen topic add-partitions narrow --to 3`, or leave --keep-partitions out",
        ),
        (&["t", "--to", "narrow", "--resume"], "t-to-narrow.replay: no such checkpoint"),
        (&["t", "--to-file", "no/such/folder"], "no/such/folder: no such folder"),
        (&["t", "--to", "narrow", "--checkpoint", "no/c"], "no/c: no such folder to write"),
    ] {
        lab.replay(words).await.failed(4, message);
    }
    // With the partitions that do fit it goes.
    lab.replay(&["t", "--to", "narrow", "--keep-partitions", "-p", "0-1"]).await.ok();
    let far = Lab::on("127.0.0.1:9");
    far.replay(&["t"]).await.failed(3, "is a broker running there?");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_told_before_anything_is_done() {
    let lab = Lab::start().await;
    lab.topic("t", 1).await;
    lab.topic("copy", 1).await;
    lab.fill("t", 0, &numbered(0, 3)).await;
    for (words, message) in [
        (&["-o", "x"][..], "\"x\" is no offset"),
        (&["-o", "7:3"], "ends before it begins"),
        (&["--filter-key", "("], "\"(\" is no regular expression: unclosed group"),
        (&["--filter-header", "=x"], "names no header"),
        (&["--filter-json", "$.a[=x"], "is no JSON path"),
        (&["--resume"], "what went to stdout can't be taken up again; use --to or --to-file"),
        (&["--checkpoint", "c"], "what went to stdout can't be taken up again"),
    ] {
        lab.replay(&[&["t"], words].concat()).await.failed(2, message);
    }
    for (words, message) in [
        (&["--speed", "fast"][..], "write 1x, 10x, 0.5x or max"),
        (&["--rate", "0/s"], "write records a second as 500/s, 30/m or 1000/h"),
        (&["--speed", "1x", "--rate", "5/s"], "cannot be used with"),
        (&["--to", "copy", "--to-file", "f"], "cannot be used with"),
        (&["--keep-partitions"], "--to <TOPIC>"),
        (&["--format", "json"], "--dry-run"),
        (&["--dry-run", "--resume"], "cannot be used with"),
        (&["-z", "rar"], "none, gzip, snappy, lz4 or zstd"),
        (&["-p", "x"], "is no list of partitions"),
    ] {
        let ended = lab.replay(&[&["t"], words].concat()).await;
        assert_eq!(ended.code, Some(2), "{words:?}: {ended:?}");
        assert!(ended.err.contains(message), "{words:?}: {ended:?}");
    }
    assert_eq!(lab.read("copy", 0).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_users_is_overwritten() {
    let lab = Lab::start().await;
    lab.topic("t", 1).await;
    lab.topic("copy", 1).await;
    std::fs::write(lab.file("notes"), "mine").unwrap();
    let to_file = lab.replay(&["t", "--to-file", "notes"]).await;
    to_file.failed(2, "notes is there already and not empty; name another file, or remove it");
    let checkpoint = lab.replay(&["t", "--to", "copy", "--checkpoint", "notes"]).await;
    checkpoint.failed(7, "notes is no checkpoint of a replay");
    assert_eq!(std::fs::read_to_string(lab.file("notes")).unwrap(), "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_target_refuses_is_named_and_the_rest_can_go_on() {
    let lab = Lab::start().await;
    lab.topic("t", 1).await;
    let mut records = numbered(0, 20);
    records[7].value = Some(vec![7; 5000]);
    lab.fill("t", 0, &records).await;
    let small = duramen_client::admin::NewTopic::new("small")
        .partitions(1)
        .configs(vec![("max.message.bytes".into(), "4000".into())]);
    Admin::new(&lab.cluster)
        .create_topics(&[small], false)
        .await
        .unwrap()
        .remove(0)
        .result
        .unwrap();
    let words = ["t", "--to", "small", "--rate", "200/s"];
    let refused = lab.replay(&words).await.failed(5, "t-0 offset ");
    assert!(refused.err.contains("max.message.bytes") || refused.err.contains("MESSAGE_TOO_LARGE"));
    // It is the user's choice what to do about it; here the topic takes larger ones.
    let set = ["topic", "alter", "small", "--set", "max.message.bytes=100000"];
    lab.run(&set).await.ok();
    lab.replay(&[&words[..], &["--resume"]].concat()).await.ok();
    let copied = lab.read("small", 0).await;
    assert_eq!(copied.iter().map(crate::lab::Rec::plain).collect::<Vec<_>>(), records);
}
