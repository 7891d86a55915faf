//! The OpenMetrics text format, as Prometheus reads it: one family after another, each with its type,
//! unit and help, then its samples.

use std::fmt::Write as _;

use super::histogram::Reading;

/// What kind of figure a family holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises; its samples end in `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
}

/// A family of metrics. A name ends in its unit, where it has one; `_total` is added for counters.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// The whole name, without `_total`.
    pub name: &'static str,
    /// What kind of figure it is.
    pub kind: Kind,
    /// What it means, in a few words.
    pub help: &'static str,
}

impl Family {
    /// A counter.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, help }
    }

    /// A gauge.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, help }
    }

    /// A histogram.
    #[must_use]
    pub const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, help }
    }
}

/// Names and values that tell the samples of a family apart.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// Units that OpenMetrics wants told when a name ends in one.
const UNITS: [&str; 2] = ["seconds", "bytes"];

/// The text as far as it is written.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a family: its samples must follow at once.
    pub fn family(&mut self, family: &Family) -> Samples<'_> {
        let Family { name, kind, help } = family;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a String can't fail, here and below.
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
        if let Some(unit) = UNITS.iter().find(|unit| name.ends_with(&format!("_{unit}"))) {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.text, "# HELP {name} {help}");
        Samples { text: &mut self.text, family: *family }
    }

    /// A family with one sample.
    pub fn one(&mut self, family: &Family, value: impl Into<f64>) {
        self.family(family).sample(&[], value);
    }

    /// A counter or gauge with one sample that is a whole number.
    pub fn count(&mut self, family: &Family, value: u64) {
        self.family(family).count(&[], value);
    }

    /// The whole text.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }
}

/// Writes the samples of one family.
#[derive(Debug)]
pub struct Samples<'a> {
    text: &'a mut String,
    family: Family,
}

impl Samples<'_> {
    /// A sample.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Into<f64>) -> &mut Self {
        self.begin(if self.family.kind == Kind::Counter { "_total" } else { "" }, labels, None);
        let _ = writeln!(self.text, " {}", value.into());
        self
    }

    /// A sample that is a whole number: never rounded.
    pub fn count(&mut self, labels: Labels<'_>, value: u64) -> &mut Self {
        self.begin(if self.family.kind == Kind::Counter { "_total" } else { "" }, labels, None);
        let _ = writeln!(self.text, " {value}");
        self
    }

    /// A histogram; `per` of what was observed are one of the family's unit.
    pub fn histogram(&mut self, labels: Labels<'_>, reading: &Reading, per: f64) -> &mut Self {
        let mut below = 0;
        for (bound, count) in &reading.buckets {
            below += count;
            let bound = bound.map_or("+Inf".to_owned(), |bound| (bound as f64 / per).to_string());
            self.begin("_bucket", labels, Some(&bound));
            let _ = writeln!(self.text, " {below}");
        }
        self.begin("_sum", labels, None);
        let _ = writeln!(self.text, " {}", reading.sum as f64 / per);
        self.begin("_count", labels, None);
        let _ = writeln!(self.text, " {below}");
        self
    }

    fn begin(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&str>) {
        self.text.push_str(self.family.name);
        self.text.push_str(suffix);
        let bound = bound.map(|bound| ("le", bound));
        let mut between = '{';
        for (name, value) in labels.iter().copied().chain(bound) {
            self.text.push(between);
            between = ',';
            let _ = write!(self.text, "{name}=\"");
            for letter in value.chars() {
                match letter {
                    '"' => self.text.push_str("\\\""),
                    '\\' => self.text.push_str("\\\\"),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        if between == ',' {
            self.text.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Histogram;
    use super::*;

    #[test]
    fn families_read_as_openmetrics_has_them() {
        let mut exposition = Exposition::default();
        let bytes = Family::counter("d_in_bytes", "bytes in");
        exposition.family(&bytes).count(&[("dir", "a\"\\\n")], u64::MAX);
        exposition.one(&Family::gauge("d_up", "up"), 0.5);
        let histogram = Histogram::new(&[1_000_000, 1_000_000_000]);
        [5, 2_000_000, 3_000_000_000].iter().for_each(|ns| histogram.observe(*ns));
        let waits = Family::histogram("d_wait_seconds", "waits");
        exposition.family(&waits).histogram(&[("api", "X")], &histogram.read(), 1e9);
        let want = "\
# TYPE d_in_bytes counter
# UNIT d_in_bytes bytes
# HELP d_in_bytes bytes in
d_in_bytes_total{dir=\"a\\\"\\\\\\n\"} 18446744073709551615
# TYPE d_up gauge
# HELP d_up up
d_up 0.5
# TYPE d_wait_seconds histogram
# UNIT d_wait_seconds seconds
# HELP d_wait_seconds waits
d_wait_seconds_bucket{api=\"X\",le=\"0.001\"} 1
d_wait_seconds_bucket{api=\"X\",le=\"1\"} 2
d_wait_seconds_bucket{api=\"X\",le=\"+Inf\"} 3
d_wait_seconds_sum{api=\"X\"} 3.002000005
d_wait_seconds_count{api=\"X\"} 3
# EOF
";
        assert_eq!(exposition.finish(), want);
    }
}
