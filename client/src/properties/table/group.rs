//! Properties of members of groups.

use duramen_protocol::text::Text;

use super::{Misread, Row, Take};
use crate::consumer::group::{Assignor, GroupProtocol};
use crate::properties::kind::Kind::Group;
use crate::properties::value;

pub(super) const ROWS: &[Row] = &[
    Row::new(
        "group.id",
        Group,
        Take::Other("the name of a group", |draft, value| {
            draft.group.group = Text::from(value);
            if value.is_empty() { Err(Misread::Unknown) } else { Ok(()) }
        }),
        "The group: `GroupOptions::new`.",
    ),
    Row::new(
        "group.instance.id",
        Group,
        Take::Other("a name", |draft, value| {
            draft.group.instance = Some(Text::from(value)).filter(|name| !name.is_empty());
            Ok(())
        }),
        "A name that stays over restarts: `instance`.",
    ),
    Row::new(
        "group.protocol",
        Group,
        Take::Other("classic or consumer", |draft, value| {
            draft.group.protocol = match value.to_ascii_lowercase().as_str() {
                "classic" => GroupProtocol::Classic,
                "consumer" => GroupProtocol::Consumer,
                _ => return Err(Misread::Unknown),
            };
            Ok(())
        }),
        "Who shares the partitions out; unless set, what the broker offers, not classic: `protocol`.",
    ),
    Row::new(
        "group.remote.assignor",
        Group,
        Take::Other("the name of an assignor of the broker's: uniform or range", |draft, value| {
            draft.group.server_assignor = Some(Text::from(value)).filter(|name| !name.is_empty());
            Ok(())
        }),
        "How the broker shares out: `server_assignor`.",
    ),
    Row::new(
        "partition.assignment.strategy",
        Group,
        Take::Other(
            "range, roundrobin, sticky and cooperative-sticky, or the names of Kafka's classes, separated by \
             commas",
            |draft, value| {
                let named = value::list(value).into_iter().map(assignor);
                let assignors: Option<Vec<_>> = named.collect();
                let assignors = assignors.filter(|assignors| !assignors.is_empty());
                draft.group.assignors = assignors.ok_or(Misread::Unknown)?;
                Ok(())
            },
        ),
        "How members share out, by preference: `assignors`.",
    ),
    Row::new(
        "session.timeout.ms",
        Group,
        Take::Ms(1, |draft, time| draft.group.session_timeout = time),
        "Silence after which a member is taken for dead: `session_timeout`.",
    ),
    Row::new(
        "heartbeat.interval.ms",
        Group,
        Take::Ms(1, |draft, time| draft.group.heartbeat = time),
        "Time between two signs of life: `heartbeat`.",
    ),
    Row::new(
        "max.poll.interval.ms",
        Group,
        Take::Ms(1, |draft, time| draft.group.max_poll_interval = time),
        "How long work on what was read may take: `max_poll_interval`.",
    ),
    Row::new(
        "enable.auto.commit",
        Group,
        Take::Flag(|draft, on| draft.auto_commit = on),
        "Whether what was taken is committed by itself: `auto_commit`.",
    ),
    Row::new(
        "auto.commit.interval.ms",
        Group,
        Take::Ms(1, |draft, time| draft.auto_commit_interval = Some(time)),
        "How often: `auto_commit`.",
    ),
];

/// Kafka's class, or the name that the assignor has in the protocol.
fn assignor(name: &str) -> Option<Assignor> {
    match name.strip_prefix("org.apache.kafka.clients.consumer.").unwrap_or(name) {
        "RangeAssignor" => Some(Assignor::Range),
        "RoundRobinAssignor" => Some(Assignor::RoundRobin),
        "StickyAssignor" => Some(Assignor::Sticky),
        "CooperativeStickyAssignor" => Some(Assignor::CooperativeSticky),
        name => Assignor::named(name),
    }
}
