//! What the process holds, sampled from `/proc`, and the rule that says whether it grows.
//!
//! The rule: of each life that is long enough, the median of the last third may exceed the median of
//! the second third by a tenth and a small allowance, no more; and of the whole run likewise, with the
//! last medians of the lives.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::node::Node;

/// What is sampled, with its unit and the growth that means nothing.
const MEASURES: [(&str, u64); 5] =
    [("anonymous KiB", 4096), ("descriptors", 16), ("threads", 4), ("maps", 32), ("tasks", 16)];

const PAUSE: Duration = Duration::from_secs(2);
/// A life with fewer samples says nothing of growth within it.
const ENOUGH: usize = 60;

type Sample = [u64; MEASURES.len()];

/// Samples one life of a node.
pub struct Watch {
    pid: u32,
    http: String,
}

impl Watch {
    pub fn new(node: &Node) -> Self {
        Self { pid: node.pid(), http: node.http().expect("Duramen has HTTP") }
    }

    /// Samples for so long, or until `go_on` says no.
    pub fn run(&self, length: Duration, go_on: impl Fn() -> bool) -> Vec<Sample> {
        let (began, mut samples) = (Instant::now(), Vec::new());
        while began.elapsed() < length && go_on() {
            std::thread::sleep(PAUSE.min(length.saturating_sub(began.elapsed())));
            samples.extend(self.sample());
        }
        samples
    }

    fn sample(&self) -> Option<Sample> {
        let process = format!("/proc/{}", self.pid);
        let status = fs::read_to_string(format!("{process}/status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        let descriptors = fs::read_dir(format!("{process}/fd")).ok()?.count() as u64;
        let maps = fs::read_to_string(format!("{process}/maps")).ok()?.lines().count() as u64;
        let tasks = tasks(&self.http)?;
        Some([field("RssAnon:")?, descriptors, field("Threads:")?, maps, tasks])
    }
}

/// The number of tasks alive.
fn tasks(http: &str) -> Option<u64> {
    let text = crate::support::http_get(http, "/metrics").ok()?;
    let line = text.lines().find(|line| line.starts_with("duramen_runtime_tasks "))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|count| count as u64)
}

/// One life of the node, from ready to its end, and how long the next start took.
pub struct Life {
    /// When it ended, since the beginning of the run.
    pub began: Duration,
    pub length: Duration,
    pub ended: &'static str,
    pub samples: Vec<Sample>,
    pub ready: Duration,
}

impl Life {
    /// Medians of the second and the last third of one measure.
    fn thirds(&self, measure: usize) -> Option<(u64, u64)> {
        let values: Vec<u64> = self.samples.iter().map(|sample| sample[measure]).collect();
        let third = values.len() / 3;
        (third > 0).then(|| (median(&values[third..2 * third]), median(&values[2 * third..])))
    }

    /// The life as a line of the table.
    pub fn line(&self, number: usize) -> String {
        let seconds = self.length.as_secs();
        let at = self.began.as_secs();
        let mut line =
            format!("life {number:3}  ended at {at:5} s  {seconds:4} s  {:<8}", self.ended);
        for (measure, (name, _)) in MEASURES.iter().enumerate() {
            if let Some((second, last)) = self.thirds(measure) {
                line += &format!("  {name} {second} → {last}");
            }
        }
        line + &format!("  ready again in {} ms", self.ready.as_millis())
    }
}

/// What grew, in words.
pub fn verdict(lives: &[Life], whole: Duration) -> Vec<String> {
    let mut grew = Vec::new();
    for (measure, (name, allowance)) in MEASURES.iter().enumerate() {
        let flat = |second: u64, last: u64| last <= second + second / 10 + allowance;
        for (number, life) in lives.iter().enumerate() {
            if let Some((second, last)) = life.thirds(measure)
                && life.samples.len() >= ENOUGH
                && !flat(second, last)
            {
                grew.push(format!("{name} grew in life {number}: {second} → {last}"));
            }
        }
        let of_third = |third: u32| {
            let within = |life: &&Life| {
                life.began > whole * third / 3 && life.began <= whole * (third + 1) / 3 + PAUSE
            };
            let lasts = lives.iter().filter(within).filter_map(|life| life.thirds(measure));
            let lasts: Vec<u64> = lasts.map(|(_, last)| last).collect();
            (lasts.len() >= 3).then(|| median(&lasts))
        };
        if let (Some(second), Some(last)) = (of_third(1), of_third(2))
            && !flat(second, last)
        {
            grew.push(format!("{name} grew over the run: {second} → {last}"));
        }
    }
    grew
}

/// The ranges, for the last line.
pub fn praise(lives: &[Life]) -> String {
    let ranges = MEASURES.iter().enumerate().map(|(measure, (name, _))| {
        let all: Vec<u64> =
            lives.iter().flat_map(|life| &life.samples).map(|sample| sample[measure]).collect();
        let (least, most) = (all.iter().min().unwrap_or(&0), all.iter().max().unwrap_or(&0));
        format!("{name} {least}–{most}")
    });
    format!("flat: {}", ranges.collect::<Vec<_>>().join(", "))
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}
