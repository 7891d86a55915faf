//! Randomness: from the operating system, or from a seed that replays.

use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

/// A source of random numbers. Clones draw from the same source.
#[derive(Debug, Clone)]
pub struct Random(Source);

#[derive(Debug, Clone)]
enum Source {
    Os,
    Seeded(Arc<Mutex<u64>>),
}

impl Random {
    /// The operating system's generator, fit for secrets.
    pub fn from_os() -> Self {
        Self(Source::Os)
    }

    /// A sequence that depends on `seed` alone; for simulations, never for secrets.
    pub fn from_seed(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(seed))))
    }

    /// 64 random bits.
    pub fn u64(&self) -> u64 {
        match &self.0 {
            Source::Os => {
                // Six of the 128 bits of a v4 id are fixed; folded, all 64 are random.
                let (high, low) = Uuid::new_v4().as_u64_pair();
                high ^ low.rotate_left(32)
            }
            Source::Seeded(state) => {
                split_mix(&mut state.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    /// A number from 0 up to, not including, `bound`; 0 when `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        // The high half of the product: bias under 2^-32 for any bound that we use.
        let product = u128::from(self.u64()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A random (version 4) UUID.
    pub fn uuid(&self) -> Uuid {
        match &self.0 {
            Source::Os => Uuid::new_v4(),
            Source::Seeded(_) => {
                let (high, low) = (self.u64(), self.u64());
                uuid::Builder::from_u128((u128::from(high) << 64) | u128::from(low))
                    .with_version(uuid::Version::Random)
                    .with_variant(uuid::Variant::RFC4122)
                    .into_uuid()
            }
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays() {
        let draw = |seed| {
            let random = Random::from_seed(seed);
            (random.u64(), random.below(1000), random.uuid())
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn numbers_stay_below_the_bound() {
        let random = Random::from_os();
        assert!((0..1000).all(|_| random.below(7) < 7));
        assert_eq!(random.below(0), 0);
        assert_eq!(random.uuid().get_version_num(), 4);
        assert_eq!(Random::from_seed(1).uuid().get_version_num(), 4);
    }
}
