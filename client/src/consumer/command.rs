//! What the user's handle of a consumer asks of the fetcher, and what it is told.
//!
//! Every time that reading of a partition begins, or begins elsewhere, it gets a new number. What comes
//! bears it, so that what was on the way when the user went elsewhere is known for what it is.

use tokio::sync::mpsc;

use super::Event;
use super::options::Start;
use crate::consumer::TopicPartition;
use crate::error::ClientError;

/// The number of a reading.
pub(super) type Reading = u64;

/// Where the events of a partition go that is read apart.
pub(super) type Outlet = mpsc::UnboundedSender<(Reading, Event)>;

/// A partition to read.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) at: TopicPartition,
    pub(super) start: Start,
    pub(super) end: Option<i64>,
    pub(super) paused: bool,
    pub(super) outlet: Option<Outlet>,
}

/// What to do.
#[derive(Debug)]
pub(super) enum Command {
    Read(Reading, Order),
    Stop(Reading),
    Pause(Reading, bool),
}

/// What happened.
#[derive(Debug)]
pub(super) enum Told {
    Event(Reading, Event),
    /// It has reached its end.
    Done(Reading),
    /// Its topic is not there any more, or another has its name.
    Gone(Reading),
    /// The consumer has ended.
    Failed(ClientError),
}
