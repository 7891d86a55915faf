//! Where the partitions of a group are to go, PURE: what was asked and how a partition stands → an
//! offset that exists.

use std::collections::BTreeMap;

use duramen_client::consumer::TopicPartition;

use crate::cli::offsets::{Edge, OffsetRange, PartitionEdges};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Where the group stands.
    Current,
    /// An offset, an edge or a time.
    Edge(Edge),
    /// So many records on, or back when it is negative.
    Shift(i64),
    /// Offsets of another group, or of a file.
    Given(BTreeMap<TopicPartition, i64>),
}

/// How a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) edges: PartitionEdges,
    pub(super) committed: Option<i64>,
}

/// What becomes of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Goal {
    pub(super) offset: i64,
    /// What was asked for lies outside the log, and is brought to its nearest edge.
    pub(super) clamped: Option<i64>,
}

impl Target {
    /// Reads `--to`.
    ///
    /// # Errors
    /// When the text is none of its forms.
    pub(super) fn parse(text: &str, now_ms: i64) -> Result<Self, String> {
        if text == "current" {
            return Ok(Self::Current);
        }
        let range = OffsetRange::parse(text, now_ms).map_err(|error| error.to_string())?;
        match range.to {
            None => Ok(Self::Edge(range.from)),
            Some(_) => Err(format!("\"{text}\" is a range; a group goes to one offset or time")),
        }
    }

    /// The instant whose offsets must be asked for.
    pub(super) fn time(&self) -> Option<i64> {
        match self {
            Self::Edge(Edge::Time(at)) => Some(*at),
            _ => None,
        }
    }

    /// Where a partition goes; `None` when what was asked says nothing of it.
    pub(super) fn of(&self, at: &TopicPartition, state: &State) -> Option<Goal> {
        let State { edges, committed } = state;
        let asked = match self {
            Self::Current => (*committed)?,
            Self::Edge(Edge::Offset(offset)) => *offset,
            Self::Edge(from) => OffsetRange { from: *from, to: None }.resolve(edges).from,
            Self::Shift(by) => (*committed)?.saturating_add(*by),
            Self::Given(offsets) => *offsets.get(at)?,
        };
        let offset = asked.clamp(edges.start, edges.end.max(edges.start));
        Some(Goal { offset, clamped: (offset != asked).then_some(asked) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn goal(target: &Target, committed: Option<i64>) -> Option<(i64, Option<i64>)> {
        let edges = PartitionEdges { start: 10, end: 100, from_time: Some(40), to_time: None };
        let at = TopicPartition::new("t", 0);
        let goal = target.of(&at, &State { edges, committed })?;
        Some((goal.offset, goal.clamped))
    }

    #[test]
    fn every_target_becomes_an_offset_of_the_log() {
        for (text, want) in [
            ("start", (10, None)),
            ("end", (100, None)),
            ("50", (50, None)),
            ("5", (10, Some(5))),
            ("500", (100, Some(500))),
            ("+5", (15, None)),
            ("-5", (95, None)),
            ("@-1h", (40, None)),
            ("current", (70, None)),
        ] {
            let target = Target::parse(text, NOW).unwrap();
            assert_eq!(goal(&target, Some(70)), Some(want), "{text}");
        }
        assert_eq!(goal(&Target::Shift(-65), Some(70)), Some((10, Some(5))));
        assert_eq!(goal(&Target::Shift(5), Some(70)), Some((75, None)));
        let given = Target::Given([(TopicPartition::new("t", 0), 33)].into());
        assert_eq!(goal(&given, None), Some((33, None)));
    }

    #[test]
    fn a_partition_without_an_offset_stays_without() {
        for target in [Target::Current, Target::Shift(1), Target::Given(BTreeMap::new())] {
            assert_eq!(goal(&target, None), None);
        }
        assert!(Target::parse("5:7", NOW).unwrap_err().contains("range"));
        assert!(Target::parse("nope", NOW).is_err());
        assert_eq!(Target::parse("@-1h", NOW).unwrap().time(), Some(NOW - 3_600_000));
    }
}
