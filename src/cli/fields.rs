//! One record as the output sees it: borrowed fields, nothing copied.

/// A header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderFields<'a> {
    /// The name, UTF-8 by Kafka's rule but not checked by brokers.
    pub key: &'a [u8],
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
}

/// A record with the place it was read from.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordFields<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition's number.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// Milliseconds since 1970, or -1 for none.
    pub timestamp: i64,
    /// The batch's attributes (compression, timestamp type, transactional, control).
    pub attributes: i16,
    /// Leader epoch in which the batch was written, or -1.
    pub leader_epoch: i32,
    /// Producer id of the batch, or -1.
    pub producer_id: i64,
    /// Producer epoch of the batch, or -1.
    pub producer_epoch: i16,
    /// The partition's log start offset, as of the fetch.
    pub log_start: i64,
    /// The partition's last stable offset, as of the fetch.
    pub last_stable: i64,
    /// The partition's high watermark, as of the fetch.
    pub high_watermark: i64,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null, a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers in their order; left empty when the output shows none.
    pub headers: &'a [HeaderFields<'a>],
}

impl RecordFields<'_> {
    /// `CreateTime` or `LogAppendTime`.
    #[must_use]
    pub fn timestamp_is_append_time(&self) -> bool {
        self.attributes & 0x08 != 0
    }
}
