//! Figures as a table for people and as JSON for programs: seconds, megabytes of 10^6, milliseconds.

use std::time::Duration;

use serde_json::{Value, json};

use super::tally::Latencies;
use crate::cli::output::Table;

/// Percentiles that are shown, each with its name.
const PERCENTILES: [(&str, f64); 6] = [
    ("p50", 50.0),
    ("p90", 90.0),
    ("p99", 99.0),
    ("p99_9", 99.9),
    ("p99_99", 99.99),
    ("max", 100.0),
];

/// Records and bytes over a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) took: Duration,
}

impl Rate {
    fn seconds(self) -> f64 {
        self.took.as_secs_f64().max(1e-9)
    }

    /// Members of the JSON object.
    pub(super) fn json(self) -> Value {
        let seconds = self.seconds();
        json!({
            "records": self.records,
            "bytes": self.bytes,
            "seconds": round(seconds, 4),
            "records_per_s": round(self.records as f64 / seconds, 1),
            "mb_per_s": round(self.bytes as f64 / seconds / 1e6, 3),
        })
    }

    /// One row.
    pub(super) fn table(self) -> Table {
        let seconds = self.seconds();
        let mut table = Table::new(&["records", "bytes", "seconds", "records/s", "MB/s"]);
        table.row(vec![
            self.records.to_string(),
            self.bytes.to_string(),
            format!("{seconds:.2}"),
            format!("{:.0}", self.records as f64 / seconds),
            format!("{:.1}", self.bytes as f64 / seconds / 1e6),
        ]);
        table
    }
}

impl Latencies {
    /// Milliseconds by percentile.
    pub(super) fn json(&self) -> Value {
        let mut all = serde_json::Map::new();
        all.insert("count".to_owned(), json!(self.0.len()));
        all.insert("mean".to_owned(), json!(round(self.0.mean() / 1e6, 4)));
        for (name, percent) in PERCENTILES {
            all.insert(name.to_owned(), json!(round(self.ms(percent), 4)));
        }
        Value::Object(all)
    }

    fn ms(&self, percent: f64) -> f64 {
        self.0.value_at_percentile(percent) as f64 / 1e6
    }

    fn cells(&self, what: &str) -> Vec<String> {
        let shown = PERCENTILES.iter().map(|(_, percent)| format!("{:.3}", self.ms(*percent)));
        std::iter::once(what.to_owned()).chain(shown).collect()
    }
}

/// A row for each kind of latency.
pub(super) fn latency_table(all: &[(&str, &Latencies)]) -> Table {
    let mut table = Table::new(&["ms", "p50", "p90", "p99", "p99.9", "p99.99", "max"]);
    all.iter().for_each(|(what, latencies)| table.row(latencies.cells(what)));
    table
}

/// One object of the members of several.
pub(super) fn merged(parts: impl IntoIterator<Item = Value>) -> Value {
    let mut all = serde_json::Map::new();
    for part in parts {
        if let Value::Object(members) = part {
            all.extend(members);
        }
    }
    Value::Object(all)
}

fn round(number: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (number * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_out_in_their_units() {
        let rate = Rate { records: 3000, bytes: 3_000_000, took: Duration::from_millis(1500) };
        let json = merged([json!({"bench": "x"}), rate.json()]);
        assert_eq!(json["records_per_s"], 2000.0);
        assert_eq!(json["mb_per_s"], 2.0);
        assert_eq!(json["bench"], "x");
        let mut latencies = Latencies::new().unwrap();
        latencies.add(Duration::from_millis(1), 99);
        latencies.add(Duration::from_millis(500), 1);
        let json = latencies.json();
        assert_eq!(json["count"], 100);
        assert!((json["p50"].as_f64().unwrap() - 1.0).abs() < 0.01);
        assert!((json["p99"].as_f64().unwrap() - 1.0).abs() < 0.01);
        assert!((json["p99_9"].as_f64().unwrap() - 500.0).abs() < 1.0);
    }
}
