//! How a consumer behaves, and what it reads.

use std::time::Duration;

use duramen_protocol::ids::{EARLIEST, LATEST};
use duramen_protocol::text::Text;

use crate::clock::ago;
use crate::error::{ClientError, between, not_zero};
use crate::setters::setters;

/// Which records of transactions are seen (`isolation.level`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Everything below the high watermark.
    #[default]
    ReadUncommitted,
    /// What is below the last stable offset, without aborted transactions.
    ReadCommitted,
}

impl Isolation {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => duramen_protocol::ids::READ_UNCOMMITTED,
            Self::ReadCommitted => duramen_protocol::ids::READ_COMMITTED,
        }
    }
}

/// Where to go on when an offset was deleted or never written (`auto.offset.reset`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reset {
    /// Nowhere: the consumer ends with the error.
    #[default]
    Fail,
    /// At the log start offset.
    Earliest,
    /// At the end of the log.
    Latest,
    /// At the first record that is not older than this, counted from when it comes to that; the end when
    /// there is none (`by_duration`, KIP-1106).
    Ago(Duration),
}

/// Where a partition is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// An offset.
    Offset(i64),
    /// The log start offset.
    Earliest,
    /// The end of the log.
    Latest,
    /// The first record at or after this time in milliseconds since 1970; the end when there is none.
    Time(i64),
    /// The first record that is not older than this, counted from when it comes to that; the end when
    /// there is none (`by_duration`, KIP-1106).
    Ago(Duration),
}

impl Start {
    /// The timestamp or special number to ask a broker for, or else the offset itself.
    pub(in crate::consumer) fn asked(self) -> Result<i64, i64> {
        match self {
            Self::Earliest => Ok(EARLIEST),
            Self::Latest => Ok(LATEST),
            Self::Time(at) => Ok(at.max(0)),
            Self::Ago(age) => Ok(ago(age)),
            Self::Offset(offset) => Err(offset),
        }
    }
}

/// One partition to read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assignment {
    /// The topic's name.
    pub topic: Text,
    /// The partition's number.
    pub partition: i32,
    /// Where to begin.
    pub start: Start,
    /// The first offset not to read any more; `None` goes on for ever.
    pub end: Option<i64>,
}

impl Assignment {
    /// A partition to read from `start` on, for ever.
    #[must_use]
    pub fn new(topic: impl Into<Text>, partition: i32, start: Start) -> Self {
        Self { topic: topic.into(), partition, start, end: None }
    }
}

setters! { Assignment { end: impl Into<Option<i64>> } }

/// How a consumer behaves; the defaults are Kafka's unless said otherwise.
///
/// ```
/// use duramen_client::consumer::{ConsumerOptions, Isolation, Reset};
///
/// let options = ConsumerOptions::default()
///     .isolation(Isolation::ReadCommitted)
///     .reset(Reset::Earliest)
///     .prefetch_bytes(1024 * 1024);
/// assert!(options.check().is_ok());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConsumerOptions {
    /// Which records of transactions are seen.
    pub isolation: Isolation,
    /// How long a broker may wait for records to come (`fetch.max.wait.ms`).
    pub max_wait: Duration,
    /// Bytes that a broker should wait for (`fetch.min.bytes`).
    pub min_bytes: usize,
    /// Bytes of one answer (`fetch.max.bytes`); 4 MiB here. A larger first batch comes all the same.
    pub fetch_bytes: usize,
    /// Bytes of one partition in an answer (`max.partition.fetch.bytes`).
    pub partition_bytes: usize,
    /// Bytes fetched ahead of what the caller has taken.
    pub prefetch_bytes: usize,
    /// Bytes that one batch may have when it is unpacked.
    pub unpacked_bytes: usize,
    /// Whether the checksum of each batch is checked (`check.crcs`).
    pub check_crc: bool,
    /// Where to go on when an offset was deleted or never written.
    pub reset: Reset,
    /// Where this client is (`client.rack`): a replica in the same rack is read from, where the brokers
    /// allow it (KIP-392).
    pub rack: Option<Text>,
    /// Whether to go on behind records that are damaged, and say so ([`super::MovedWhy::Damaged`]).
    /// Otherwise the consumer ends with the offset at which it could go on.
    pub skip_damage: bool,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            isolation: Isolation::ReadUncommitted,
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            fetch_bytes: 4 * 1024 * 1024,
            partition_bytes: 1024 * 1024,
            prefetch_bytes: 16 * 1024 * 1024,
            unpacked_bytes: 256 * 1024 * 1024,
            check_crc: true,
            reset: Reset::Fail,
            rack: None,
            skip_damage: false,
        }
    }
}

setters! { ConsumerOptions {
    isolation: Isolation,
    max_wait: Duration,
    min_bytes: usize,
    fetch_bytes: usize,
    partition_bytes: usize,
    prefetch_bytes: usize,
    unpacked_bytes: usize,
    check_crc: bool,
    reset: Reset,
    skip_damage: bool,
} }

impl ConsumerOptions {
    /// Sets [`rack`](#structfield.rack).
    #[must_use]
    pub fn rack(mut self, rack: impl Into<Text>) -> Self {
        self.rack = Some(rack.into());
        self
    }

    /// Whether these can hold; whoever reads with them looks, too.
    ///
    /// # Errors
    /// [`ClientError::Options`] with the first that does not.
    pub fn check(&self) -> Result<(), ClientError> {
        // The request says them in 32 bits.
        let wait = usize::try_from(self.max_wait.as_millis()).unwrap_or(usize::MAX);
        between("max_wait (fetch.max.wait.ms)", wait, 0, INT_MAX)?;
        between("min_bytes (fetch.min.bytes)", self.min_bytes, 0, INT_MAX)?;
        between("fetch_bytes (fetch.max.bytes)", self.fetch_bytes, 1, INT_MAX)?;
        between("partition_bytes (max.partition.fetch.bytes)", self.partition_bytes, 1, INT_MAX)?;
        not_zero("prefetch_bytes", self.prefetch_bytes)?;
        not_zero("unpacked_bytes", self.unpacked_bytes)
    }
}

const INT_MAX: usize = i32::MAX as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_offsets_or_what_a_broker_is_asked() {
        assert_eq!(Start::Offset(7).asked(), Err(7));
        assert_eq!([Start::Earliest, Start::Latest].map(Start::asked), [Ok(EARLIEST), Ok(LATEST)]);
        assert_eq!([Start::Time(9), Start::Time(-9)].map(Start::asked), [Ok(9), Ok(0)]);
        let (hour, now) = (Duration::from_secs(3600), ago(Duration::ZERO));
        let asked = Start::Ago(hour).asked().unwrap();
        assert!((now - 3_600_000..=ago(hour)).contains(&asked), "{asked}, now {now}");
        assert_eq!(Start::Ago(Duration::MAX).asked(), Ok(0), "before there were records");
    }
}
