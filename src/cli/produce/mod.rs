//! `duramen produce`: lines or JSON from files and pipes into a topic.

mod feed;
mod input;
mod line;
mod tracker;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use duramen_client::Text;
use duramen_client::cluster::Topics;
use duramen_client::producer::{Acks, Compression, Producer, ProducerOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::connect::{ClusterArgs, bytes, duration};
use super::exit::{Exit, Failure};
use super::output;
use super::progress::{Progress, summary};
use feed::Feed;
use input::Sources;
use line::{LineForm, unescape};

/// Send the lines of files or a pipe to a topic.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen produce orders orders.txt                  each line a record
  echo 'k1:hello' | duramen produce orders -K :      key and value
  duramen consume a --format json -e | duramen produce b --format json
  duramen produce orders --format json <<< '{\"key\":\"k1\",\"value\":null}'

A line of --format json is an object {\"key\",\"value\",\"headers\",\"partition\",\"timestamp\"}, of which
only value must be there. Keys, values and header values are strings, null, or {\"base64\":\"…\"} and
{\"hex\":\"…\"} for bytes that are not UTF-8; any other JSON stands for its own text. Headers are
{\"NAME\":\"VALUE\"}, or a list of {\"key\",\"value\"} where names repeat or are not UTF-8.

When records are not delivered, the first ones are named by file and line, and the exit code is 5.")]
pub struct ProduceArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The topic
    topic: String,
    /// The files; - or none is stdin
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What a line is
    #[arg(long, default_value = "lines")]
    format: InputFormat,
    /// What stands between key and value of a line; \t and \xNN may be used
    #[arg(short = 'K', long, value_name = "TEXT", value_parser = unescaped)]
    key_separator: Option<Bytes>,
    /// A key or value that is just this text is null; with an empty text, empty ones are
    #[arg(long, value_name = "TEXT", value_parser = unescaped)]
    null: Option<Bytes>,
    /// A key for every record that has none of its own
    #[arg(short, long, value_name = "KEY")]
    key: Option<String>,
    /// A header for every record; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The partition for every record, instead of the one its key or line chooses
    #[arg(short, long)]
    partition: Option<i32>,
    /// Choose partitions by key even where a JSON line names one
    #[arg(long, conflicts_with = "partition")]
    ignore_partitions: bool,
    /// How batches are compressed
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = codec)]
    compression: Compression,
    /// Who must have a record before it counts as delivered: all, 1 (the leader) or 0 (nobody)
    #[arg(short, long, default_value = "all", value_parser = acks)]
    acks: Acks,
    /// Bytes of a batch before compression
    #[arg(long, value_name = "SIZE", default_value = "128k", value_parser = bytes)]
    batch_size: usize,
    /// How long a batch waits for more records
    #[arg(long, value_name = "DURATION", default_value = "5ms", value_parser = duration)]
    linger: Duration,
    /// How long delivery is tried
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    delivery_timeout: Duration,
    /// Do not let the broker make the topic when it is missing
    #[arg(long)]
    no_create: bool,
    /// Print partition and offset of each record
    #[arg(long)]
    print_offsets: bool,
    /// No figures at the end
    #[arg(short, long)]
    quiet: bool,
}

/// Bytes of an argument; a `Vec` would mean that the argument may be repeated.
#[derive(Debug, Clone)]
struct Bytes(Vec<u8>);

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    /// The value, or key and value with --key-separator
    Lines,
    /// A JSON object
    Json,
}

/// Sends everything, and tells how it went.
pub(super) async fn run(args: ProduceArgs) -> Result<(), Failure> {
    let form = form_of(&args)?;
    let sources = Sources::open(&args.files)?;
    let cluster = args.cluster.cluster()?;
    let names = [Text::from(&args.topic)];
    let topics = if args.no_create { Topics::Named(&names) } else { Topics::NamedOrMade(&names) };
    cluster.refresh(topics).await?;
    let options = ProducerOptions::default()
        .acks(args.acks)
        .idempotent(args.acks == Acks::All)
        .compression(args.compression)
        .linger(args.linger)
        .batch_bytes(args.batch_size.max(1))
        .request_bytes(args.batch_size.max(256 * 1024))
        .request_timeout(args.cluster.timeout())
        .delivery_timeout(args.delivery_timeout)
        .allow_topic_creation(!args.no_create);
    let max_line = options.buffer_bytes;
    let producer = Producer::start(&cluster, options)?;
    if sources.is_typed() && !args.quiet {
        output::note("each line you type is a record; ctrl-d ends");
    }
    let progress = Progress::bytes(sources.total_bytes(), !args.quiet && !sources.is_typed());
    let started = Instant::now();
    let (names, pieces) = sources.read();
    let mut feed = Feed::new(&args, form, producer, max_line, names)?;
    let mut interrupts = signal(SignalKind::interrupt()).map_err(|e| Failure::io("signals", &e))?;
    let fed = tokio::select! {
        fed = feed.run(pieces, &progress) => fed,
        _ = interrupts.recv() => {
            output::note("interrupted; waiting for what is on its way, once more to leave at once");
            Ok(())
        }
    };
    let finished = tokio::select! {
        finished = feed.finish() => finished,
        _ = interrupts.recv() => Err(Failure::new(Exit::Delivery, "left with records on their way")),
    };
    progress.finish();
    if !args.quiet {
        output::note(&summary(
            feed.tracker.delivered,
            feed.tracker.delivered_bytes,
            started.elapsed(),
        ));
    }
    fed.and(finished)
}

fn form_of(args: &ProduceArgs) -> Result<LineForm, Failure> {
    let plain = LineForm::Plain {
        separator: args.key_separator.as_ref().map(|bytes| bytes.0.clone()),
        null: args.null.as_ref().map(|bytes| bytes.0.clone()),
    };
    match args.format {
        InputFormat::Lines => Ok(plain),
        InputFormat::Json if args.key_separator.is_some() || args.null.is_some() => {
            Err(Failure::usage("--key-separator and --null go with --format lines only"))
        }
        InputFormat::Json => Ok(LineForm::Json),
    }
}

fn unescaped(text: &str) -> Result<Bytes, String> {
    unescape(text).map(Bytes)
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads the name of a codec.
pub(super) fn codec(text: &str) -> Result<Compression, String> {
    Compression::from_name(text).ok_or_else(|| "none, gzip, snappy, lz4 or zstd".to_owned())
}

pub(super) fn acks(text: &str) -> Result<Acks, String> {
    match text {
        "all" | "-1" => Ok(Acks::All),
        "1" | "leader" => Ok(Acks::Leader),
        "0" | "none" => Ok(Acks::None),
        _ => Err("all, 1 or 0".to_owned()),
    }
}
