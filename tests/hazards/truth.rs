//! What must be in the partitions: record `n` of a partition is made from its number, an idempotent
//! producer's record `n` has offset `n`, and what was acknowledged stays until retention takes it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::support::chance::Chance;

/// How many acknowledged offsets of a producer without sequences are remembered.
const REMEMBERED: usize = 50_000;

/// A topic of the load.
pub struct TopicTruth {
    pub name: String,
    pub partitions: Vec<PartitionTruth>,
}

/// One partition: what was acknowledged, and what its records look like.
pub struct PartitionTruth {
    seed: u64,
    /// Every record below was acknowledged.
    pub acked: AtomicI64,
    /// Of a producer whose retries may write twice: offset → number of the record.
    known: Option<Mutex<BTreeMap<i64, i64>>>,
}

impl PartitionTruth {
    pub fn new(seed: u64, idempotent: bool) -> Self {
        let known = (!idempotent).then(Mutex::default);
        Self { seed, acked: AtomicI64::new(0), known }
    }

    /// Value of record `n`: each differs, in length too, and half of it can be compressed.
    pub fn value(&self, n: i64) -> Vec<u8> {
        let mut chance = Chance::of(self.seed ^ ((n as u64) << 20));
        let length = 20 + chance.below(1000);
        let mut value = format!("{n}:").into_bytes();
        value.extend((0..length).map(|at| match at % 2 {
            0 => b'-',
            _ => chance.below(256) as u8,
        }));
        value
    }

    /// Record `n` was acknowledged at this offset.
    pub fn acknowledge(&self, n: i64, offset: i64) -> Result<(), String> {
        match &self.known {
            None if offset != n && offset != -1 => {
                return Err(format!("record {n} was acknowledged at offset {offset}"));
            }
            Some(known) if offset >= 0 => {
                let mut known = known.lock().expect("nobody panics here");
                known.insert(offset, n);
                if known.len() > REMEMBERED {
                    known.pop_first();
                }
                self.acked.fetch_max(offset + 1, Ordering::SeqCst);
            }
            _ => {}
        }
        if self.known.is_none() {
            self.acked.fetch_max(n + 1, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Holds a record against what was sent.
    pub fn check(&self, offset: i64, value: &[u8]) -> Result<(), String> {
        let n = match &self.known {
            None => offset,
            Some(known) => {
                let colon = value.iter().position(|byte| *byte == b':').unwrap_or(0);
                let written = std::str::from_utf8(&value[..colon]).unwrap_or_default();
                let n =
                    written.parse().map_err(|_| format!("offset {offset} is nobody's record"))?;
                match known.lock().expect("nobody panics here").get(&offset) {
                    Some(acked) if *acked != n => {
                        return Err(format!(
                            "offset {offset} is record {n}, {acked} was acknowledged"
                        ));
                    }
                    _ => n,
                }
            }
        };
        if self.value(n) == value {
            Ok(())
        } else {
            Err(format!("the record at offset {offset} is not what was sent"))
        }
    }
}
