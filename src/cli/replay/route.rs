//! Which partition of the target a record goes to, pure. It depends on the record's key and place
//! alone: a replay that goes on after a crash must choose as the one before it did.

use duramen_client::producer::partitioner::partition_of_key;

/// Records without a key stay together for so many offsets, which makes good batches.
const RUN: i64 = 512;

/// See the top of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    /// The source's partition is the target's.
    pub(super) keep: bool,
    /// Partitions of the target when the replay began.
    pub(super) partitions: i32,
}

impl Route {
    /// The partition for a record of `source` at `offset`.
    pub(super) fn target(&self, source: i32, offset: i64, key: Option<&[u8]>) -> i32 {
        if self.keep {
            return source;
        }
        match key {
            Some(key) => partition_of_key(key, usize::try_from(self.partitions).unwrap_or(1)),
            None => {
                let turn = (offset / RUN).wrapping_add(i64::from(source));
                i32::try_from(turn.rem_euclid(i64::from(self.partitions.max(1)))).unwrap_or(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_choose_as_every_kafka_client_does_and_the_rest_is_spread() {
        let keep = Route { keep: true, partitions: 9 };
        assert_eq!(keep.target(7, 5, Some(b"k")), 7);
        let route = Route { keep: false, partitions: 3 };
        assert_eq!(route.target(7, 5, Some(b"k")), partition_of_key(b"k", 3));
        let mut counts = [0; 3];
        for offset in 0..3 * RUN {
            let target = route.target(1, offset, None);
            assert_eq!(target, route.target(1, offset, None));
            counts[usize::try_from(target).unwrap()] += 1;
        }
        assert_eq!(counts, [RUN; 3]);
    }
}
