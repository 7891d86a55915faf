//! PURE. What the leader of a partition decides: how far its records are committed.

use super::Offset;

/// The leader's view of how far each in-sync replica has come.
///
/// With `durability=disk` a replica has come as far as its disk has; with `page-cache`, as far as its
/// log reaches. The high watermark is the smallest of these over the in-sync set, and never goes back
/// while this broker leads (Kafka's `Partition.maybeIncrementLeaderHW`).
#[derive(Debug, Clone)]
pub(crate) struct Leader {
    epoch: i32,
    epoch_start: Offset,
    high_watermark: Offset,
}

impl Leader {
    /// Takes over leadership at `epoch`, with what is known to be committed, in a log ending at `log_end`.
    pub(crate) fn new(epoch: i32, high_watermark: Offset, log_end: Offset) -> Self {
        Self { epoch, epoch_start: log_end, high_watermark: high_watermark.min(log_end) }
    }

    /// The leadership term, stamped into each batch.
    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// Everything below this offset is committed and may be read.
    pub(crate) fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Whether everything that was in the log when this term began is committed: until then "latest"
    /// is not known (KIP-207).
    pub(crate) fn knows_latest(&self) -> bool {
        self.high_watermark >= self.epoch_start
    }

    /// The leader's own log has come as far as `local`; true when the high watermark rose.
    pub(crate) fn on_local_progress(&mut self, local: Offset) -> bool {
        let rises = local > self.high_watermark;
        if rises {
            self.high_watermark = local;
        }
        rises
    }

    /// Records below `log_start` are gone (retention, `DeleteRecords`): the watermark is never below.
    pub(crate) fn on_log_start(&mut self, log_start: Offset) {
        self.high_watermark = self.high_watermark.max(log_start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_watermark_only_rises() {
        let mut leader = Leader::new(3, 10, 20);
        assert!(!leader.knows_latest());
        assert!(leader.on_local_progress(15));
        assert!(!leader.on_local_progress(12));
        assert_eq!(leader.high_watermark(), 15);
        assert!(leader.on_local_progress(20));
        assert!(leader.knows_latest());
    }

    #[test]
    fn a_checkpoint_beyond_the_log_is_cut_to_it_and_the_log_start_lifts_it() {
        let mut leader = Leader::new(0, 99, 20);
        assert_eq!(leader.high_watermark(), 20);
        leader.on_log_start(25);
        assert_eq!(leader.high_watermark(), 25);
    }
}
