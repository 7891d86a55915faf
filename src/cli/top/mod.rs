//! `duramen top`: what a broker does, live: topics, rates, sizes, clients, disk.
//!
//! | file | what lives there |
//! |---|---|
//! | `gather.rs` | one look at the broker |
//! | `rates.rs` | PURE: two looks → rates |
//! | `render.rs` | as lines or JSON |

mod gather;
mod rates;
mod render;

use std::time::Duration;

use clap::Args;
use duramen_client::Admin;
use tokio::io::AsyncReadExt;

use super::connect::{ClusterArgs, duration};
use super::exit::Failure;
use super::output::{self, Format, Output};
use super::pattern;
use super::scrape::DEFAULT_HTTP;
use super::screen::Screen;
use super::signals::Signals;
use super::time::now_ms;
use crate::env::Env;
use gather::{HTTP_PATIENCE, Place};
use rates::{Look, Sort};

/// Show what a broker does, live: topics, rates, sizes, clients, disk.
///
/// Topics, records and sizes come by Kafka's protocol from any broker; bytes in and out, clients
/// and marks by HTTP from a duramen. In a terminal the view is drawn again and again: q ends it, and
/// i o s r n sort by what comes in, goes out, size, records, name. In a pipe each view is appended.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen top
  duramen top 'orders-.*' --sort size --interval 5s
  duramen top --brokers kafka.internal:9092 --http kafka.internal:9644
  duramen top --once --format json | jq '.topics[] | select(.in_records_per_second > 1000)'")]
pub struct TopArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Only topics whose whole name matches
    #[arg(value_name = "REGEX", default_value = ".*", hide_default_value = true)]
    pattern: String,
    /// Where the broker's metrics are, or off
    #[arg(long, value_name = "HOST:PORT|off", env = "DURAMEN_HTTP", default_value = DEFAULT_HTTP)]
    http: String,
    /// Time between two looks
    #[arg(short, long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    interval: Duration,
    /// By what to sort the topics
    #[arg(short, long, value_enum, default_value_t)]
    sort: Sort,
    /// Look twice, an interval apart, show that once and stop
    #[arg(long)]
    once: bool,
    /// Also the broker's own topics
    #[arg(long)]
    internal: bool,
    /// How to show it; table in a terminal is live
    #[arg(long, env = "DURAMEN_FORMAT", default_value = "table")]
    format: Format,
}

/// Looks until it is told to stop.
pub(super) async fn run(args: TopArgs) -> Result<(), Failure> {
    let pattern = pattern::whole(&args.pattern)?;
    let place = Place {
        admin: Admin::new(&args.cluster.quiet_cluster()?),
        http: args.http.clone(),
        patience: args.cluster.timeout_or(HTTP_PATIENCE),
        pattern,
        internal: args.internal,
        env: Env::real(),
    };
    let mut top = Top {
        place,
        interval: args.interval.max(Duration::from_millis(100)),
        sort: args.sort,
        format: args.format,
        before: None,
    };
    // Before the screen is taken: an unreachable broker is told on the ordinary one.
    let first = top.place.look().await?;
    if args.once {
        top.before = Some(first);
        tokio::time::sleep(top.interval).await;
        let now = top.place.look().await?;
        return top.print(&now);
    }
    match args.format == Format::Table && output::stdout_is_terminal() {
        true => top.live(first).await,
        false => top.append(first).await,
    }
}

/// The view as it goes on.
struct Top {
    place: Place,
    interval: Duration,
    sort: Sort,
    format: Format,
    before: Option<Look>,
}

impl Top {
    fn view(&self, look: &Look) -> Vec<u8> {
        let rows = rates::rows(self.before.as_ref(), look, self.sort);
        let rates = rates::node_rates(self.before.as_ref(), look);
        render::view(self.format, look, &rates, &rows, now_ms())
    }

    fn print(&self, look: &Look) -> Result<(), Failure> {
        let mut out = Output::stdout()?;
        out.buffer().extend_from_slice(&self.view(look));
        out.flush()
    }

    /// One view after another, until a signal or until nobody reads.
    async fn append(mut self, first: Look) -> Result<(), Failure> {
        let mut stop = Signals::listen()?;
        let mut look = first;
        loop {
            self.print(&look)?;
            self.before = Some(look);
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                _ = stop.next() => return Ok(()),
            }
            look = self.place.look().await?;
        }
    }

    /// The view drawn again and again, until `q` or a signal.
    async fn live(mut self, first: Look) -> Result<(), Failure> {
        let mut stop = Signals::listen()?;
        let mut screen = Screen::enter()?;
        let (mut stdin, mut keys) = (tokio::io::stdin(), [0; 16]);
        let mut look = first;
        let mut due = tokio::time::Instant::now() + self.interval;
        loop {
            screen.draw(&self.view(&look))?;
            tokio::select! {
                _ = stop.next() => return Ok(()),
                read = stdin.read(&mut keys), if screen.has_keys() => {
                    let pressed = keys.get(..read.unwrap_or(0)).unwrap_or_default();
                    if pressed.is_empty() || pressed.iter().any(|key| !self.key(*key)) {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(due) => {
                    due = tokio::time::Instant::now() + self.interval;
                    let next = tokio::select! {
                        _ = stop.next() => return Ok(()),
                        next = self.place.look() => next,
                    };
                    match next {
                        Ok(next) => self.before = Some(std::mem::replace(&mut look, next)),
                        // The broker may come back: what was seen last stays, and why it is old.
                        Err(error) => look.note = Some(format!("no answer: {error}")),
                    }
                }
            }
        }
    }

    /// What a key does; false for the one that ends the view.
    fn key(&mut self, key: u8) -> bool {
        self.sort = match key {
            b'q' | b'Q' => return false,
            b'i' => Sort::In,
            b'o' => Sort::Out,
            b's' => Sort::Size,
            b'r' => Sort::Records,
            b'n' => Sort::Name,
            _ => self.sort,
        };
        true
    }
}
