//! kcat 1.7.1, that is librdkafka 2.0.2: the old feature detection, every codec, every way to say
//! where to start.

use std::thread;

use crate::runner::{Case, Context, Need};
use crate::tools::Output;

pub const CASES: &[Case] = &[
    Case { name: "kcat::every_codec_comes_back", need: Need::Kcat, run: codecs },
    Case {
        name: "kcat::keys_headers_and_nulls_come_back",
        need: Need::Kcat,
        run: keys_and_headers,
    },
    Case { name: "kcat::starts_where_it_is_told", need: Need::Kcat, run: offsets },
    Case { name: "kcat::starts_and_ends_at_times", need: Need::Kcat, run: times },
    Case { name: "kcat::lists_brokers_and_topics", need: Need::Kcat, run: list },
    Case { name: "kcat::sizes_up_to_the_limit_and_not_over", need: Need::Kcat, run: sizes },
    Case { name: "kcat::every_acks_and_idempotence", need: Need::Kcat, run: acks },
    Case { name: "kcat::a_waiting_consumer_is_woken", need: Need::Kcat, run: follow },
];

fn produce(context: &Context, topic: &str, more: &[&str], input: &[u8]) -> Output {
    let bootstrap = context.bootstrap();
    let head = ["-b", &bootstrap, "-P", "-t", topic];
    context.tools.kcat(&[&head, more].concat(), input)
}

fn consume(context: &Context, topic: &str, more: &[&str]) -> Output {
    let bootstrap = context.bootstrap();
    let head = ["-b", &bootstrap, "-C", "-q", "-t", topic];
    context.tools.kcat(&[&head, more].concat(), b"")
}

fn lines(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| format!("line {n} of {count}, once more: {n}\n").into_bytes()).collect()
}

fn codecs(context: &Context) {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("kcat-{codec}");
        let sent = lines(2000);
        produce(context, &topic, &["-z", codec], &sent).ok();
        let got = consume(context, &topic, &["-o", "beginning", "-e"]).ok();
        assert!(got.out == sent, "{codec}: {} bytes sent, {} got", sent.len(), got.out.len());
    }
}

fn keys_and_headers(context: &Context) {
    let topic = "kcat-keys";
    let headers = ["-K", ":", "-H", "colour=red", "-H", "empty="];
    produce(context, topic, &headers, b"k1:v1\nk2:v2\n").ok();
    produce(context, topic, &["-K", ":", "-Z"], b"k3:\n").ok();
    let format = "%p %o %k=%s (%K,%S) %h\n";
    let got = consume(context, topic, &["-o", "beginning", "-e", "-f", format]).ok();
    assert_eq!(
        got.text(),
        "0 0 k1=v1 (2,2) colour=red,empty=\n0 1 k2=v2 (2,2) colour=red,empty=\n0 2 k3= (2,-1) \n"
    );
}

fn offsets(context: &Context) {
    let topic = "kcat-offsets";
    let sent = String::from_utf8(lines(100)).unwrap();
    produce(context, topic, &[], sent.as_bytes()).ok();
    let part = |from: usize, to: usize| -> String {
        sent.lines().skip(from).take(to - from).map(|line| format!("{line}\n")).collect()
    };
    assert_eq!(consume(context, topic, &["-o", "-5", "-e"]).ok().text(), part(95, 100));
    assert_eq!(consume(context, topic, &["-o", "10", "-c", "3"]).ok().text(), part(10, 13));
    assert_eq!(consume(context, topic, &["-o", "end", "-e"]).ok().text(), "");
}

fn times(context: &Context) {
    let topic = "kcat-times";
    produce(context, topic, &[], &lines(50)).ok();
    let stamp = consume(context, topic, &["-o", "49", "-c", "1", "-f", "%T"]).ok().text();
    let after: i64 = stamp.parse::<i64>().unwrap() + 1;
    produce(context, topic, &[], b"late 1\nlate 2\n").ok();
    let from = format!("s@{after}");
    let got = consume(context, topic, &["-o", &from, "-e"]).ok();
    assert_eq!(got.text(), "late 1\nlate 2\n");
    let until = format!("e@{after}");
    let got = consume(context, topic, &["-o", "s@1", "-o", &until]).ok();
    assert_eq!(got.out, lines(50));
    let bootstrap = context.bootstrap();
    let ask = format!("{topic}:0:{after}");
    let got = context.tools.kcat(&["-b", &bootstrap, "-Q", "-t", &ask], b"").ok();
    assert_eq!(got.text().trim(), format!("{topic} [0] offset 50"));
}

fn list(context: &Context) {
    produce(context, "kcat-list", &[], b"x\n").ok();
    let bootstrap = context.bootstrap();
    let got = context.tools.kcat(&["-b", &bootstrap, "-L", "-J"], b"").ok();
    let metadata: serde_json::Value = serde_json::from_slice(&got.out).expect("JSON");
    assert_eq!(metadata["brokers"].as_array().map(Vec::len), Some(1), "{metadata}");
    let topics = metadata["topics"].as_array().expect("topics");
    let ours = topics.iter().find(|topic| topic["topic"] == "kcat-list").expect("our topic");
    assert_eq!(ours["partitions"].as_array().map(Vec::len), Some(1));
    assert_eq!(ours["partitions"][0]["leader"], metadata["brokers"][0]["id"]);
    let got = context.tools.kcat(&["-b", &bootstrap, "-L", "-t", "kcat-list"], b"").ok();
    assert!(got.text().contains("topic \"kcat-list\" with 1 partitions"), "{}", got.text());
}

fn sizes(context: &Context) {
    let topic = "kcat-sizes";
    let large = [vec![b'x'; 900_000], b"\n".to_vec()].concat();
    produce(context, topic, &[], &large).ok();
    let got = consume(context, topic, &["-o", "beginning", "-e"]).ok();
    assert!(got.out == large, "{} bytes came back", got.out.len());
    let over = [vec![b'y'; 1_500_000], b"\n".to_vec()].concat();
    let refused = produce(context, topic, &["-X", "message.max.bytes=3000000"], &over);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("Message size too large"), "{}", refused.err);
}

fn acks(context: &Context) {
    for (name, setting) in [
        ("0", "acks=0"),
        ("1", "acks=1"),
        ("all", "acks=all"),
        ("idempotent", "enable.idempotence=true"),
    ] {
        let topic = format!("kcat-acks-{name}");
        let sent = lines(3000);
        produce(context, &topic, &["-X", "acks=all"], b"").ok();
        produce(context, &topic, &["-X", setting], &sent).ok();
        let count = sent.iter().filter(|byte| **byte == b'\n').count().to_string();
        let got = consume(context, &topic, &["-o", "beginning", "-c", &count]).ok();
        assert!(got.out == sent, "{setting}: {} bytes sent, {} got", sent.len(), got.out.len());
    }
}

fn follow(context: &Context) {
    let topic = "kcat-follow";
    produce(context, topic, &[], b"first\n").ok();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| consume(context, topic, &["-o", "0", "-c", "3"]).ok());
        produce(context, topic, &[], b"second\n").ok();
        produce(context, topic, &[], b"third\n").ok();
        assert_eq!(waiting.join().unwrap().text(), "first\nsecond\nthird\n");
    });
}
