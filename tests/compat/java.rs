//! Apache Kafka's own tools 4.3.1, one JVM for all: the Java client end to end, every admin tool of
//! this slice, and the tool that reads segment files, which judges our format.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::runner::{Case, Context, Need};
use crate::support::eventually;
use crate::support::node::Node;
use crate::tools::Output;

pub const CASES: &[Case] = &[
    Case { name: "java::console_tools_every_codec", need: Need::Java, run: console },
    Case { name: "java::verifiable_producer", need: Need::Java, run: verifiable },
    Case { name: "java::producer_performance", need: Need::Java, run: performance },
    Case { name: "java::topic_command", need: Need::Java, run: topics },
    Case { name: "java::config_command", need: Need::Java, run: configs },
    Case { name: "java::config_command_of_groups", need: Need::Java, run: group_configs },
    Case { name: "java::get_offset_shell", need: Need::Java, run: offsets },
    Case { name: "java::delete_records_command", need: Need::Java, run: delete_records },
    Case { name: "java::log_dirs_command", need: Need::Java, run: log_dirs },
    Case { name: "java::smaller_tools", need: Need::Java, run: smaller_tools },
    Case { name: "java::dump_log_segments_reads_our_files", need: Need::Java, run: dump },
    Case { name: "java::compacted_topics", need: Need::Java, run: compacted },
];

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";
const PRODUCE: &str = "org.apache.kafka.tools.ConsoleProducer";
pub const CONSUME: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const PERFORMANCE: &str = "org.apache.kafka.tools.ProducerPerformance";
const VERIFIABLE: &str = "org.apache.kafka.tools.VerifiableProducer";
/// For whatever must happen in the end, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(180);
pub const DUMP: &str = "org.apache.kafka.tools.DumpLogSegments";

/// Runs a tool with `--bootstrap-server` and these arguments, written as one line.
pub fn tool(context: &Context, class: &str, arguments: &str) -> Output {
    let bootstrap = context.bootstrap();
    let mut all = vec!["--bootstrap-server", &bootstrap];
    all.extend(arguments.split_whitespace());
    context.tools.java(class, &all, None)
}

pub fn create(context: &Context, topic: &str, more: &str) {
    tool(context, TOPICS, &format!("--create --topic {topic} {more}")).ok();
}

pub fn produce(context: &Context, topic: &str, more: &str, input: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    fs::write(&file, input).unwrap();
    let bootstrap = context.bootstrap();
    let mut all = vec!["--bootstrap-server", &bootstrap, "--topic", topic];
    // by itself it gives up after three times a second and a half
    all.extend(["--request-timeout-ms", "60000"]);
    all.extend(more.split_whitespace());
    context.tools.java(PRODUCE, &all, Some(&file)).ok();
}

fn consume(context: &Context, topic: &str, more: &str) -> String {
    let arguments = format!("--topic {topic} --partition 0 {more}");
    tool(context, CONSUME, &arguments).ok().text()
}

pub fn lines(count: usize) -> String {
    (0..count).map(|n| format!("line {n}, of {count} in all\n")).collect()
}

fn console(context: &Context) {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("java-console-{codec}");
        create(context, &topic, "--partitions 1");
        let more = format!("--compression-codec {codec} --request-required-acks all");
        produce(context, &topic, &more, lines(500).as_bytes());
        assert_eq!(consume(context, &topic, "--from-beginning --max-messages 500"), lines(500));
        let third = consume(context, &topic, "--offset 2 --max-messages 1");
        assert_eq!(third, "line 2, of 500 in all\n", "{codec}");
    }
    create(context, "java-console-keys", "--partitions 1");
    let keyed = "--reader-property parse.key=true --reader-property key.separator=: \
                 --reader-property parse.headers=true --reader-property headers.delimiter=|";
    produce(context, "java-console-keys", keyed, b"h1:x,h2:y|key:value\n");
    let shown = "--from-beginning --max-messages 1 --formatter-property print.key=true \
                 --formatter-property print.headers=true --formatter-property print.offset=true";
    let got = consume(context, "java-console-keys", shown);
    assert_eq!(got, "Offset:0\th1:x,h2:y\tkey\tvalue\n");
}

fn verifiable(context: &Context) {
    create(context, "java-verifiable", "--partitions 3");
    let bootstrap = context.bootstrap();
    let mut arguments = vec!["--bootstrap-server", &bootstrap, "--topic", "java-verifiable"];
    arguments.extend(["--max-messages", "1000", "--acks", "-1"]);
    let got = context.tools.java_alone(VERIFIABLE, &arguments).ok().text();
    let done = got.lines().find(|line| line.contains("tool_data")).unwrap_or_default();
    assert!(done.contains("\"sent\":1000") && done.contains("\"acked\":1000"), "{got}");
    assert_eq!(got.matches("producer_send_success").count(), 1000);
    let ends = tool(context, OFFSETS, "--topic java-verifiable").ok().text();
    let total: usize =
        ends.lines().filter_map(|line| line.rsplit_once(':')?.1.parse::<usize>().ok()).sum();
    assert_eq!(total, 1000, "{ends}");
}

fn performance(context: &Context) {
    create(context, "java-performance", "--partitions 2");
    for more in ["acks=all", "acks=1 enable.idempotence=false", "acks=all compression.type=lz4"] {
        let arguments = format!(
            "--topic java-performance --num-records 20000 --record-size 200 --throughput -1 \
             --command-property {}",
            more.replace(' ', " --command-property ")
        );
        let got = tool(context, PERFORMANCE, &arguments).ok().text();
        assert!(got.contains("20000 records sent"), "{more}: {got}");
    }
    let ends = tool(context, OFFSETS, "--topic java-performance").ok().text();
    let total: usize =
        ends.lines().filter_map(|line| line.rsplit_once(':')?.1.parse::<usize>().ok()).sum();
    assert_eq!(total, 60000, "{ends}");
}

fn topics(context: &Context) {
    create(context, "java-topics", "--partitions 2 --config retention.ms=3600000");
    let again = tool(context, TOPICS, "--create --topic java-topics --partitions 2");
    assert_ne!(again.code, 0);
    assert!(format!("{}{}", again.text(), again.err).contains("already exists"), "{again:?}");
    let list = tool(context, TOPICS, "--list").ok().text();
    assert!(list.lines().any(|line| line == "java-topics"), "{list}");
    tool(context, TOPICS, "--alter --topic java-topics --partitions 5").ok();
    let shown = tool(context, TOPICS, "--describe --topic java-topics").ok().text();
    assert!(shown.contains("PartitionCount: 5"), "{shown}");
    assert!(shown.contains("retention.ms=3600000"), "{shown}");
    assert_eq!(shown.matches("Leader: ").count(), 5, "{shown}");
    let fewer = tool(context, TOPICS, "--alter --topic java-topics --partitions 3");
    assert_ne!(fewer.code, 0, "fewer partitions were taken");
    tool(context, TOPICS, "--delete --topic java-topics").ok();
    let list = tool(context, TOPICS, "--list").ok().text();
    assert!(!list.lines().any(|line| line == "java-topics"), "{list}");
}

fn configs(context: &Context) {
    create(context, "java-configs", "--partitions 1");
    let topic = "--entity-type topics --entity-name java-configs";
    let change = "--add-config retention.ms=7200000,cleanup.policy=[compact,delete]";
    tool(context, CONFIGS, &format!("{topic} --alter {change}")).ok();
    let shown = tool(context, CONFIGS, &format!("{topic} --describe")).ok().text();
    assert!(shown.contains("retention.ms=7200000"), "{shown}");
    assert!(shown.contains("cleanup.policy=compact,delete"), "{shown}");
    assert!(shown.contains("synonyms="), "{shown}");
    tool(context, CONFIGS, &format!("{topic} --alter --delete-config retention.ms")).ok();
    let shown = tool(context, CONFIGS, &format!("{topic} --describe")).ok().text();
    assert!(!shown.contains("retention.ms="), "{shown}");
    let all = tool(context, CONFIGS, &format!("{topic} --describe --all")).ok().text();
    assert!(all.contains("retention.ms=604800000"), "{all}");
    assert!(all.contains("DEFAULT_CONFIG"), "{all}");
    let wrong = tool(context, CONFIGS, &format!("{topic} --alter --add-config retention.ms=soon"));
    assert_ne!(wrong.code, 0, "a wrong value was taken: {}", wrong.text());
    let shown = tool(context, CONFIGS, "--entity-type brokers --entity-name 1 --describe --all");
    let shown = shown.ok().text();
    assert!(shown.contains("log.segment.bytes=1048576"), "{shown}");
}

/// The times of one group, before it is there and while a Java consumer is in it.
fn group_configs(context: &Context) {
    let group = "--entity-type groups --entity-name java-group-configs";
    let change = "consumer.session.timeout.ms=50000,consumer.heartbeat.interval.ms=6000";
    tool(context, CONFIGS, &format!("{group} --alter --add-config {change}")).ok();
    let shown = tool(context, CONFIGS, &format!("{group} --describe")).ok().text();
    assert!(shown.contains("consumer.session.timeout.ms=50000"), "{shown}");
    assert!(shown.contains("DYNAMIC_GROUP_CONFIG:consumer.heartbeat.interval.ms=6000"), "{shown}");
    let shown = tool(context, CONFIGS, "--entity-type groups --describe").ok().text();
    assert!(shown.contains("java-group-configs"), "{shown}");
    create(context, "java-group-configs", "--partitions 1");
    produce(context, "java-group-configs", "", lines(3).as_bytes());
    let more = "--topic java-group-configs --group java-group-configs --from-beginning \
                --max-messages 3 --command-property group.protocol=consumer";
    assert_eq!(tool(context, CONSUME, more).ok().text(), lines(3));
    let delete = "--alter --delete-config consumer.heartbeat.interval.ms";
    tool(context, CONFIGS, &format!("{group} {delete}")).ok();
    let all = tool(context, CONFIGS, &format!("{group} --describe --all")).ok().text();
    assert!(all.contains("consumer.session.timeout.ms=50000"), "{all}");
    assert!(all.contains("consumer.heartbeat.interval.ms=5000"), "{all}");
    for wrong in ["consumer.session.timeout.ms=1", "consumer.heartbeat.interval.ms=60000"] {
        let refused = tool(context, CONFIGS, &format!("{group} --alter --add-config {wrong}"));
        assert_ne!(refused.code, 0, "{wrong} was taken: {}", refused.text());
        assert!(refused.err.contains("group.consumer."), "{wrong}: {}", refused.err);
    }
}

fn offsets(context: &Context) {
    create(context, "java-offsets", "--partitions 1");
    produce(context, "java-offsets", "", lines(20).as_bytes());
    let at = |time: &str| {
        tool(context, OFFSETS, &format!("--topic java-offsets --time {time}")).ok().text()
    };
    assert_eq!(at("latest").trim(), "java-offsets:0:20");
    assert_eq!(at("earliest").trim(), "java-offsets:0:0");
    assert_eq!(at("-1").trim(), "java-offsets:0:20");
    assert_eq!(at("1000").trim(), "java-offsets:0:0");
    let newest = at("max-timestamp");
    let newest: i64 = newest.trim().rsplit_once(':').unwrap().1.parse().unwrap();
    assert!((0..20).contains(&newest), "{newest}");
}

fn delete_records(context: &Context) {
    create(context, "java-delete-records", "--partitions 1");
    produce(context, "java-delete-records", "", lines(30).as_bytes());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offsets.json");
    let wanted =
        r#"{"partitions":[{"topic":"java-delete-records","partition":0,"offset":12}],"version":1}"#;
    fs::write(&file, wanted).unwrap();
    let arguments = format!("--offset-json-file {}", file.display());
    let got = tool(context, "org.apache.kafka.tools.DeleteRecordsCommand", &arguments).ok().text();
    assert!(got.contains("low_watermark: 12"), "{got}");
    let first = tool(context, OFFSETS, "--topic java-delete-records --time earliest").ok().text();
    assert_eq!(first.trim(), "java-delete-records:0:12");
    let got = consume(context, "java-delete-records", "--from-beginning --max-messages 1");
    assert_eq!(got, "line 12, of 30 in all\n");
}

fn log_dirs(context: &Context) {
    create(context, "java-log-dirs", "--partitions 2");
    produce(context, "java-log-dirs", "", lines(50).as_bytes());
    let arguments = "--describe --topic-list java-log-dirs";
    let got = tool(context, "org.apache.kafka.tools.LogDirsCommand", arguments).ok().text();
    let json = got.lines().find(|line| line.starts_with('{')).expect("a line of JSON");
    let shown: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let dir = &shown["brokers"][0]["logDirs"][0];
    assert_eq!(dir["error"], serde_json::Value::Null);
    let partitions = dir["partitions"].as_array().expect("partitions");
    assert_eq!(partitions.len(), 2, "{shown}");
    let bytes: u64 = partitions.iter().filter_map(|one| one["size"].as_u64()).sum();
    assert!(bytes > 1000, "{shown}");
}

fn smaller_tools(context: &Context) {
    create(context, "java-producers", "--partitions 1");
    produce(context, "java-producers", "", lines(5).as_bytes());
    let transactions = "org.apache.kafka.tools.TransactionsCommand";
    let arguments = "describe-producers --topic java-producers --partition 0";
    let got = tool(context, transactions, arguments).ok().text();
    let producer = got.lines().nth(1).expect("one producer");
    let fields: Vec<&str> = producer.split_whitespace().collect();
    // ProducerId ProducerEpoch LatestCoordinatorEpoch LastSequence LastTimestamp …
    assert_eq!((fields[1], fields[3]), ("0", "4"), "{got}");
    let got = tool(context, "org.apache.kafka.tools.BrokerApiVersionsCommand", "").ok().text();
    assert!(got.contains("Produce(0): 0 to 13 [usable: 13]"), "{got}");
    let got = tool(context, "org.apache.kafka.tools.ClientMetricsCommand", "--list").ok().text();
    assert_eq!(got.trim(), "");
}

/// Starts a node of its own, so that the files are at rest when the tool reads them.
fn dump(context: &Context) {
    let settings = ["log.segment.bytes=1048576", "log.index.interval.bytes=1024"];
    let mut own = Context { node: Node::start(&settings), tools: crate::tools::Tools::find() };
    let arguments = "--topic dumped --num-records 30000 --record-size 150 --throughput -1 \
                     --command-property batch.size=2000 --command-property linger.ms=2";
    tool(&own, PERFORMANCE, arguments).ok();
    produce(&own, "dumped-zstd", "--compression-codec zstd", lines(500).as_bytes());
    own.node.stop();
    for (topic, records) in [("dumped-0", 30000), ("dumped-zstd-0", 500)] {
        let folder = own.node.data().join(topic);
        let logs = files(&folder, "log");
        assert!(topic == "dumped-zstd-0" || logs.len() > 3, "{logs:?}");
        dump_logs(context, &logs, records);
        dump_indexes(context, &files(&folder, "index"));
        dump_indexes(context, &files(&folder, "timeindex"));
        let snapshots = files(&folder, "snapshot");
        assert!(!snapshots.is_empty(), "a clean stop leaves a producer snapshot");
        let got = dump_files(context, &snapshots, "");
        assert!(got.contains("producerId: ") && got.contains("lastSequence: "), "{got}");
    }
}

/// A compacted topic is read right by the console consumer, and its files by the dump tool.
fn compacted(context: &Context) {
    let settings = ["log.cleaner.backoff.ms=50", "log.index.interval.bytes=1024"];
    let mut own = Context { node: Node::start(&settings), tools: crate::tools::Tools::find() };
    let more = "--partitions 1 --config cleanup.policy=compact --config segment.bytes=1048576 \
                --config min.cleanable.dirty.ratio=0.01";
    create(&own, "compacted", more);
    let line = |n: usize| format!("key{}:value {n} of this key, with some words behind\n", n % 500);
    let keyed = "--reader-property parse.key=true --reader-property key.separator=: \
                 --compression-codec none --command-property batch.size=4000";
    let count = 150_000;
    let input: String = (0..count).map(line).collect();
    produce(&own, "compacted", keyed, input.as_bytes());
    let folder = own.node.data().join("compacted-0");
    let bytes = || -> u64 {
        let size = |log: &PathBuf| fs::metadata(log).map_or(0, |it| it.len());
        files(&folder, "log").iter().map(size).sum()
    };
    eventually("the topic is compacted", PATIENCE, || (bytes() < 1_200_000).then_some(()));
    let end = format!("key{}:value {} of", (count - 1) % 500, count - 1);
    let shown = "--from-beginning --timeout-ms 3000 --formatter-property print.key=true \
                 --formatter-property key.separator=:";
    // It ends when nothing comes for a while, also when it was the machine that held it up.
    let got = eventually("it reads to the end", PATIENCE, || {
        let got = consume(&own, "compacted", shown);
        got.lines().last().is_some_and(|last| last.starts_with(&end)).then_some(got)
    });
    let mut latest = std::collections::BTreeMap::new();
    for (key, value) in got.lines().filter_map(|line| line.split_once(':')) {
        latest.insert(key.to_owned(), value.to_owned());
    }
    let wanted: std::collections::BTreeMap<_, _> = (0..count)
        .filter_map(|n| {
            line(n).trim_end().split_once(':').map(|(k, v)| (k.to_owned(), v.to_owned()))
        })
        .collect();
    assert!(latest == wanted, "{} keys", latest.len());
    own.node.stop();
    let logs = files(&folder, "log");
    let got = dump_files(context, &logs, "--deep-iteration --print-data-log");
    assert!(got.contains("isvalid: true") && !got.contains("isvalid: false"), "{got}");
    for complaint in ["Found invalid messages", "trailing bytes"] {
        assert!(!got.contains(complaint), "{complaint}: {got}");
    }
    dump_indexes(context, &files(&folder, "index"));
    dump_indexes(context, &files(&folder, "timeindex"));
}

/// Every record of these segments is read, in order, and none is reported broken.
fn dump_logs(context: &Context, logs: &[PathBuf], records: usize) {
    let got = dump_files(context, logs, "--deep-iteration --print-data-log");
    let offsets: Vec<usize> = got
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("| offset: "))
        .filter_map(|line| line.split(' ').next()?.parse().ok())
        .collect();
    assert!(offsets == (0..records).collect::<Vec<_>>(), "{} offsets were read", offsets.len());
    assert_eq!(got.matches("isvalid: false").count(), 0);
    assert!(got.contains("isvalid: true"));
    for complaint in ["Found invalid messages", "Non-consecutive offsets", "trailing bytes"] {
        assert!(!got.contains(complaint), "{complaint}: {got}");
    }
}

fn dump_indexes(context: &Context, indexes: &[PathBuf]) {
    let got = dump_files(context, indexes, "--index-sanity-check");
    // an index of a segment with one batch is empty, and the tool says so
    let good = got.matches("passed sanity check").count() + got.matches("is empty").count();
    assert_eq!(good, indexes.len(), "{got}");
    // the check of each entry against the log
    let got = dump_files(context, indexes, "--verify-index-only");
    for complaint in
        ["Mismatches in", "Out of order", "Found timestamp mismatch", "Index timestamp"]
    {
        assert!(!got.contains(complaint), "{complaint}: {got}");
    }
}

fn dump_files(context: &Context, files: &[PathBuf], more: &str) -> String {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let names = names.join(",");
    let mut all = vec!["--files", &names];
    all.extend(more.split_whitespace());
    context.tools.java(DUMP, &all, None).ok().text()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == extension))
        .collect();
    found.sort();
    found
}
