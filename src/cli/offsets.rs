//! The offset grammar of `consume --offset` and `replay --offset`, pure: text → [`OffsetRange`] → offsets of one partition.
//!
//! ```text
//! start  end  +n  -n  n  n:  :n  a:b  :end     offsets
//! @t  @t:  @:t  @t1:t2                         times
//! ```

use crate::cli::time::{TimeSpec, parse_time};

/// One edge of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The log start offset.
    Start,
    /// The end of the log at this moment.
    End,
    /// An exact offset.
    Offset(i64),
    /// So many offsets after the other edge's zero: after the log start, or after the range's own start.
    Plus(i64),
    /// So many offsets before the end of the log.
    Minus(i64),
    /// The first record whose timestamp is at or after this instant (milliseconds since 1970).
    Time(i64),
}

/// The grammar as `--help` explains it.
pub const HELP: &str = "\
Offsets (--offset):
  start · end            from the log start · only new records
  +n · -n                n after the start · n before the end
  n · n: · :n · a:b      from n · the same · up to n · from a up to b (not with it)
  :end · -n:end          up to what is the end now
  @t · @t: · @:t         from a time · the same · up to a time
  @t1:t2                 from one time up to another
  A time is 2026-11-22, 2026-11-22T10:30:00Z, unix seconds (10 digits) or milliseconds (13), a
  duration before now as -15m, -1h30m or -7d, and for t2 also end or a duration after t1 as 1h.";

/// What to read: from one edge, up to (not with) another, or on without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetRange {
    /// Where reading begins.
    pub from: Edge,
    /// Where it stops, exclusive; `None` follows the log.
    pub to: Option<Edge>,
}

/// Why an offset could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OffsetError {
    /// The text fits no form of the grammar.
    #[error(
        "\"{0}\" is no offset; write start, end, +n, -n, n, n:m, :n, @time or @time:time (see --help)"
    )]
    Unknown(String),
    /// `@end` alone, or a start in the future.
    #[error("\"{0}\" lies in the future; write @-1h for an hour ago, or end for new records only")]
    Future(String),
    /// The range ends before it begins.
    #[error("\"{0}\" ends before it begins")]
    Backwards(String),
}

impl OffsetRange {
    /// Reads the grammar; `now_ms` anchors durations.
    ///
    /// # Errors
    /// When the text is none of its forms, or can never match anything.
    pub fn parse(text: &str, now_ms: i64) -> Result<Self, OffsetError> {
        let range = match text.strip_prefix('@') {
            Some(times) => parse_times(text, times, now_ms)?,
            None => parse_offsets(text).ok_or_else(|| OffsetError::Unknown(text.to_owned()))?,
        };
        let backwards = match (range.from, range.to) {
            (Edge::Offset(from), Some(Edge::Offset(to)))
            | (Edge::Time(from), Some(Edge::Time(to)))
            | (Edge::Minus(to), Some(Edge::Minus(from))) => from > to,
            _ => false,
        };
        if backwards { Err(OffsetError::Backwards(text.to_owned())) } else { Ok(range) }
    }

    /// The instants whose offsets must be asked for before [`OffsetRange::resolve`].
    #[must_use]
    pub fn times(&self) -> (Option<i64>, Option<i64>) {
        let time = |edge| match edge {
            Edge::Time(at) => Some(at),
            _ => None,
        };
        (time(self.from), self.to.and_then(time))
    }

    /// The offsets of one partition.
    #[must_use]
    pub fn resolve(&self, log: &PartitionEdges) -> ResolvedRange {
        let place = |edge: Edge, zero: i64, at_time: Option<i64>| match edge {
            Edge::Start => log.start,
            Edge::End => log.end,
            Edge::Offset(offset) => offset,
            Edge::Plus(distance) => zero.saturating_add(distance),
            Edge::Minus(distance) => log.end.saturating_sub(distance),
            // No record at or after the instant: the range begins (or ends) at the end.
            Edge::Time(_) => at_time.unwrap_or(log.end),
        };
        let from = place(self.from, log.start, log.from_time).max(log.start);
        let to = self.to.map(|edge| place(edge, from, log.to_time));
        ResolvedRange { from, to }
    }
}

/// What the broker says of one partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartitionEdges {
    /// The log start offset.
    pub start: i64,
    /// The end that a reader may reach: the high watermark, or the last stable offset.
    pub end: i64,
    /// Offset of the first record at or after the range's first instant.
    pub from_time: Option<i64>,
    /// Offset of the first record at or after the range's second instant.
    pub to_time: Option<i64>,
}

/// Offsets of one partition; `from` is never below the log start, but may lie beyond the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolvedRange {
    /// First offset to print.
    pub from: i64,
    /// First offset not to print.
    pub to: Option<i64>,
}

fn parse_offsets(text: &str) -> Option<OffsetRange> {
    match text.split_once(':') {
        None => Some(OffsetRange { from: parse_edge(text)?, to: None }),
        Some(("", "")) => None,
        Some((from, "")) => Some(OffsetRange { from: parse_edge(from)?, to: None }),
        Some(("", to)) => Some(OffsetRange { from: Edge::Start, to: Some(parse_edge(to)?) }),
        Some((from, to)) => {
            Some(OffsetRange { from: parse_edge(from)?, to: Some(parse_edge(to)?) })
        }
    }
}

fn parse_edge(text: &str) -> Option<Edge> {
    match text {
        "start" | "oldest" | "beginning" | "earliest" => return Some(Edge::Start),
        "end" | "newest" | "latest" => return Some(Edge::End),
        _ => {}
    }
    let digits = text.trim_start_matches(['+', '-']);
    if text.len() - digits.len() > 1 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i64 = digits.parse().ok()?;
    Some(match text.as_bytes().first()? {
        b'+' => Edge::Plus(number),
        b'-' => Edge::Minus(number),
        _ => Edge::Offset(number),
    })
}

/// `text` is the whole argument (for messages), `times` what follows the `@`.
fn parse_times(text: &str, times: &str, now_ms: i64) -> Result<OffsetRange, OffsetError> {
    let unknown = || OffsetError::Unknown(text.to_owned());
    let (from, to) = split_times(times).ok_or_else(unknown)?;
    let from_edge = match from {
        None => Edge::Start,
        Some(TimeSpec::At(at)) => Edge::Time(at),
        Some(TimeSpec::Relative(distance)) if distance <= 0 => {
            Edge::Time(now_ms.saturating_add(distance))
        }
        Some(TimeSpec::Relative(_) | TimeSpec::End) => {
            return Err(OffsetError::Future(text.to_owned()));
        }
    };
    let to_edge = to.map(|to| match (to, from) {
        (TimeSpec::End, _) => Edge::End,
        (TimeSpec::At(at), _) => Edge::Time(at),
        // A duration counts from the first time when that is an instant, otherwise from now.
        (TimeSpec::Relative(distance), Some(TimeSpec::At(at))) => {
            Edge::Time(at.saturating_add(distance))
        }
        (TimeSpec::Relative(distance), _) => Edge::Time(now_ms.saturating_add(distance)),
    });
    Ok(OffsetRange { from: from_edge, to: to_edge })
}

/// RFC 3339 has colons of its own, so every colon is tried as the divider, the whole text first.
fn split_times(times: &str) -> Option<(Option<TimeSpec>, Option<TimeSpec>)> {
    if let Ok(only) = parse_time(times) {
        return Some((Some(only), None));
    }
    times.match_indices(':').find_map(|(at, _)| {
        let (left, right) = (times.get(..at)?, times.get(at + 1..)?);
        if left.is_empty() && right.is_empty() {
            return None;
        }
        let side = |text: &str| match text {
            "" => Some(None),
            text => parse_time(text).ok().map(Some),
        };
        Some((side(left)?, side(right)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const DAY: i64 = 1_644_796_800_000; // 2022-02-14T00:00:00Z

    fn range(from: Edge, to: Option<Edge>) -> OffsetRange {
        OffsetRange { from, to }
    }

    #[test]
    fn the_whole_grammar() {
        use Edge::{End, Minus, Offset, Plus, Start, Time};
        let hour = 3_600_000;
        let table: &[(&str, OffsetRange)] = &[
            ("start", range(Start, None)),
            ("oldest", range(Start, None)),
            ("end", range(End, None)),
            ("newest", range(End, None)),
            (":end", range(Start, Some(End))),
            ("start:end", range(Start, Some(End))),
            ("+5", range(Plus(5), None)),
            ("-5", range(Minus(5), None)),
            ("-5:end", range(Minus(5), Some(End))),
            ("-5:-2", range(Minus(5), Some(Minus(2)))),
            ("7", range(Offset(7), None)),
            ("7:", range(Offset(7), None)),
            (":7", range(Start, Some(Offset(7)))),
            ("3:7", range(Offset(3), Some(Offset(7)))),
            ("3:+10", range(Offset(3), Some(Plus(10)))),
            ("@1644796800000", range(Time(DAY), None)),
            ("@1644796800", range(Time(DAY), None)),
            ("@2022-02-14", range(Time(DAY), None)),
            ("@2022-02-14:", range(Time(DAY), None)),
            ("@:2022-02-14", range(Start, Some(Time(DAY)))),
            ("@2022-02-14T00:00:00Z", range(Time(DAY), None)),
            ("@2022-02-14T00:00:00Z:", range(Time(DAY), None)),
            ("@:2022-02-14T00:00:00Z", range(Start, Some(Time(DAY)))),
            (
                "@2022-02-14T00:00:00Z:2022-02-14T01:00:00.5Z",
                range(Time(DAY), Some(Time(DAY + hour + 500))),
            ),
            ("@2022-02-14:1h", range(Time(DAY), Some(Time(DAY + hour)))),
            ("@2022-02-14:end", range(Time(DAY), Some(End))),
            ("@-1h", range(Time(NOW - hour), None)),
            ("@-1h:end", range(Time(NOW - hour), Some(End))),
            ("@-48h:-24h", range(Time(NOW - 48 * hour), Some(Time(NOW - 24 * hour)))),
            ("@-1h:1h", range(Time(NOW - hour), Some(Time(NOW + hour)))),
            ("@:-1h", range(Start, Some(Time(NOW - hour)))),
        ];
        for (text, want) in table {
            assert_eq!(OffsetRange::parse(text, NOW).as_ref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_hint() {
        for text in
            ["", ":", "@", "@:", "x", "+-5", "--5", "1:2:3", "5x", "@nope", "@1:2", "+", "-"]
        {
            let error = OffsetRange::parse(text, NOW);
            assert!(matches!(error, Err(OffsetError::Unknown(_))), "{text}: {error:?}");
        }
        for text in ["@1h", "@end"] {
            assert!(matches!(OffsetRange::parse(text, NOW), Err(OffsetError::Future(_))), "{text}");
        }
        for text in ["7:3", "@-1h:-2h", "-2:-5"] {
            let error = OffsetRange::parse(text, NOW);
            assert!(matches!(error, Err(OffsetError::Backwards(_))), "{text}: {error:?}");
        }
    }

    #[test]
    fn a_range_becomes_offsets_of_a_partition() {
        let log = PartitionEdges { start: 10, end: 100, from_time: Some(40), to_time: Some(60) };
        let table: &[(&str, i64, Option<i64>)] = &[
            ("start", 10, None),
            ("end", 100, None),
            (":end", 10, Some(100)),
            ("+5", 15, None),
            ("-5", 95, None),
            ("-500", 10, None),
            ("3", 10, None),
            ("500", 500, None),
            ("20:+5", 20, Some(25)),
            ("+5:+5", 15, Some(20)),
            ("@-1h:-30m", 40, Some(60)),
        ];
        for (text, from, to) in table {
            let got = OffsetRange::parse(text, NOW).unwrap().resolve(&log);
            assert_eq!(got, ResolvedRange { from: *from, to: *to }, "{text}");
        }
        let quiet = PartitionEdges { from_time: None, to_time: None, ..log };
        let got = OffsetRange::parse("@-1h:-30m", NOW).unwrap().resolve(&quiet);
        assert_eq!(got, ResolvedRange { from: 100, to: Some(100) }, "no record that late");
    }
}
