//! Which partition a record goes to, pure and equal to Kafka's: murmur2 of the key; without a key,
//! one partition until a batch's worth has gone there, then another (KIP-480, KIP-794).

use std::fmt;
use std::sync::Arc;

use super::ProducerRecord;
use crate::random::Random;

/// A way of one's own to choose: the record and the number of partitions its topic has now, to a
/// partition, or `None` where any will do.
type Choose = dyn Fn(&ProducerRecord<'_>, usize) -> Option<i32> + Send + Sync;

/// How the partition of a record is chosen that does not name one.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Partitioner {
    /// As Kafka's Java producer does: by murmur2 of the key; records without one go to a partition
    /// until a batch's worth has gone there, then to another.
    #[default]
    Murmur2,
    /// As if no record had a key (`partitioner.ignore.keys`).
    IgnoreKeys,
    /// The caller's own; see [`Partitioner::by`].
    Custom(Arc<Choose>),
}

impl Partitioner {
    /// A way of one's own: from the record and the number of partitions to a partition, or `None`
    /// where any will do. It is called once a record, under the producer's lock: it should be short.
    /// A partition that the topic does not have fails the record.
    ///
    /// ```
    /// use duramen_client::producer::Partitioner;
    ///
    /// // Numbered customers: each to the partition of its number.
    /// let by_number = Partitioner::by(|record, partitions| {
    ///     let number: usize = std::str::from_utf8(record.key?).ok()?.parse().ok()?;
    ///     i32::try_from(number % partitions).ok()
    /// });
    /// # let _ = by_number;
    /// ```
    pub fn by(
        choose: impl Fn(&ProducerRecord<'_>, usize) -> Option<i32> + Send + Sync + 'static,
    ) -> Self {
        Self::Custom(Arc::new(choose))
    }

    /// The partition of a record among `partitions` of them, at least one; `None`: any will do.
    pub(super) fn choose(&self, record: &ProducerRecord<'_>, partitions: usize) -> Option<i32> {
        match self {
            Self::Murmur2 => record.key.map(|key| partition_of_key(key, partitions)),
            Self::IgnoreKeys => None,
            Self::Custom(choose) => choose(record, partitions),
        }
    }
}

impl fmt::Debug for Partitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Murmur2 => "Murmur2",
            Self::IgnoreKeys => "IgnoreKeys",
            Self::Custom(_) => "Custom",
        })
    }
}

/// Kafka's murmur2 (seed 0x9747b28c), bit for bit.
#[must_use]
pub fn murmur2(data: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c_u32 ^ len;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(MIX);
        k ^= k >> 24;
        hash = hash.wrapping_mul(MIX) ^ k.wrapping_mul(MIX);
    }
    if !tail.is_empty() {
        for (at, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

/// The partition of a key among `partitions`; 0 when there is none.
#[must_use]
pub fn partition_of_key(key: &[u8], partitions: usize) -> i32 {
    // Kafka clears the sign bit before the remainder.
    let positive = murmur2(key) & 0x7fff_ffff;
    let count = u32::try_from(partitions).unwrap_or(u32::MAX).max(1);
    i32::try_from(positive % count).unwrap_or(0)
}

/// The partition that records without a key go to for now.
#[derive(Debug, Clone, Default)]
pub(super) struct Sticky {
    current: Option<i32>,
    bytes: usize,
}

impl Sticky {
    /// The current partition, or another one when `batch_bytes` have gone there or it has no leader.
    pub(super) fn choose(
        &mut self,
        available: &[i32],
        batch_bytes: usize,
        random: &mut Random,
    ) -> Option<i32> {
        if let Some(current) = self.current {
            let reachable = available.binary_search(&current).is_ok();
            if reachable && (self.bytes < batch_bytes || available.len() == 1) {
                return self.current;
            }
        }
        let previous = self.current;
        let others = available.len()
            - usize::from(
                previous
                    .is_some_and(|p| available.len() > 1 && available.binary_search(&p).is_ok()),
            );
        let pick = random.below(others);
        self.current = available
            .iter()
            .copied()
            .filter(|p| others == available.len() || Some(*p) != previous)
            .nth(pick);
        self.bytes = 0;
        self.current
    }

    /// Counts what has gone to the current partition.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn murmur2_gives_kafkas_own_vectors() {
        // org.apache.kafka.common.utils.UtilsTest
        let vectors: &[(&str, i32)] = &[
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, want) in vectors {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), *want, "{key}");
        }
    }

    #[test]
    fn null_keys_stay_until_a_batch_has_gone_then_move_on() {
        let mut sticky = Sticky::default();
        let mut random = Random::seeded(3);
        let available = [0, 1, 2];
        let mut seen = Vec::new();
        for _ in 0..300 {
            let partition = sticky.choose(&available, 100, &mut random).unwrap();
            sticky.sent(10);
            if seen.last().is_none_or(|(last, _)| *last != partition) {
                seen.push((partition, 0));
            }
            seen.last_mut().unwrap().1 += 10;
        }
        assert_eq!(seen.len(), 30, "a new one after each 100 bytes, never the same twice running");
        assert!(seen.iter().all(|(_, bytes)| *bytes == 100));
    }

    #[test]
    fn a_partition_without_leader_is_left() {
        let mut sticky = Sticky::default();
        let mut random = Random::seeded(3);
        let first = sticky.choose(&[0, 1], 100, &mut random).unwrap();
        let other = 1 - first;
        assert_eq!(sticky.choose(&[other], 100, &mut random), Some(other));
        sticky.sent(1000);
        assert_eq!(sticky.choose(&[other], 100, &mut random), Some(other), "the only one stays");
        assert_eq!(sticky.choose(&[], 100, &mut random), None);
    }

    #[test]
    fn keys_choose_as_the_partitioner_says() {
        let keyed = ProducerRecord::new("t", b"v").with_key(b"21");
        let own = Partitioner::by(|record, partitions| {
            record.key.map(|key| i32::try_from(key.len() % partitions).unwrap_or(0))
        });
        let murmur = Some(partition_of_key(b"21", 3));
        for (partitioner, want) in
            [(Partitioner::Murmur2, murmur), (Partitioner::IgnoreKeys, None), (own, Some(2))]
        {
            assert_eq!(partitioner.choose(&keyed, 3), want, "{partitioner:?}");
            assert_eq!(partitioner.choose(&ProducerRecord::new("t", b"v"), 3), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_key_has_one_partition_within_the_topic(
            key in proptest::collection::vec(any::<u8>(), 0..40),
            partitions in 1..2000_usize,
        ) {
            let partition = partition_of_key(&key, partitions);
            prop_assert_eq!(partition, partition_of_key(&key, partitions));
            prop_assert!(usize::try_from(partition).unwrap() < partitions);
        }
    }
}
