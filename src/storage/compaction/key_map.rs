//! Where each key was written last: a table of fixed size, keys by a 16-byte hash (KIP-58's map).
//!
//! PURE. The hash is SipHash-2-4 with 128 bits under a secret that each pass draws anew, so that
//! nobody can send two keys that are taken for one.

use std::fmt;

/// Bytes of an entry: 16 of hash, 8 of offset.
pub(super) const ENTRY_BYTES: usize = 24;

/// Key → the last offset it was written at.
pub(super) struct KeyMap {
    secret: (u64, u64),
    /// Hash and offset + 1: zeros are a free place, so that the memory comes when it is used.
    slots: Vec<[u64; 3]>,
    len: usize,
    max: usize,
}

impl fmt::Debug for KeyMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyMap")
            .field("len", &self.len)
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

impl KeyMap {
    /// Room for `keys` keys in a table of `slots` places, of which one is always free.
    pub(super) fn new(secret: u128, keys: usize, slots: usize) -> Self {
        let slots = slots.max(keys + 1).max(2);
        let secret = ((secret >> 64) as u64, secret as u64);
        Self { secret, slots: vec![[0; 3]; slots], len: 0, max: keys.min(slots - 1) }
    }

    /// How many keys there is room for besides those that are there.
    pub(super) fn room(&self) -> usize {
        self.max - self.len
    }

    /// Notes that `key` was written at `offset`, which rises from call to call. Says `false`, and
    /// notes nothing, when the key is new and there is no room.
    pub(super) fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let (high, low) = siphash128(self.secret, key);
        let at = self.place(high, low);
        let room = self.room();
        let Some(slot) = self.slots.get_mut(at) else { return false };
        if slot[2] == 0 {
            if room == 0 {
                return false;
            }
            self.len += 1;
        }
        *slot = [high, low, offset.cast_unsigned() + 1];
        true
    }

    /// The last offset at which `key` was written, as far as it was noted.
    pub(super) fn get(&self, key: &[u8]) -> Option<i64> {
        let (high, low) = siphash128(self.secret, key);
        let slot = self.slots.get(self.place(high, low))?;
        slot[2].checked_sub(1).map(u64::cast_signed)
    }

    /// The place of a hash, or the free one where it would go.
    fn place(&self, high: u64, low: u64) -> usize {
        // The high bits choose, without a division: hash * slots / 2^64.
        let mut at = ((u128::from(high) * self.slots.len() as u128) >> 64) as usize;
        loop {
            match self.slots.get(at) {
                Some([h, l, offset]) if *offset != 0 && (*h, *l) != (high, low) => at += 1,
                Some(_) => return at,
                None => at = 0,
            }
        }
    }
}

/// SipHash-2-4 with 128 bits of output, by its authors' reference.
fn siphash128((k0, k1): (u64, u64), bytes: &[u8]) -> (u64, u64) {
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let take = |v: &mut [u64; 4], word: u64| {
        v[3] ^= word;
        rounds(v, 2);
        v[0] ^= word;
    };
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        take(&mut v, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    take(&mut v, u64::from_le_bytes(last) | (bytes.len() as u64) << 56);
    v[2] ^= 0xee;
    rounds(&mut v, 4);
    let first = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    rounds(&mut v, 4);
    (first, v[0] ^ v[1] ^ v[2] ^ v[3])
}

fn rounds(v: &mut [u64; 4], count: u32) {
    let [mut v0, mut v1, mut v2, mut v3] = *v;
    for _ in 0..count {
        v0 = v0.wrapping_add(v1);
        v1 = v1.rotate_left(13) ^ v0;
        v0 = v0.rotate_left(32);
        v2 = v2.wrapping_add(v3);
        v3 = v3.rotate_left(16) ^ v2;
        v0 = v0.wrapping_add(v3);
        v3 = v3.rotate_left(21) ^ v0;
        v2 = v2.wrapping_add(v1);
        v1 = v1.rotate_left(17) ^ v2;
        v2 = v2.rotate_left(32);
    }
    *v = [v0, v1, v2, v3];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn the_hash_is_the_one_of_the_reference() {
        let key: Vec<u8> = (0..16).collect();
        let k0 = u64::from_le_bytes(key[..8].try_into().unwrap());
        let k1 = u64::from_le_bytes(key[8..].try_into().unwrap());
        let of = |len: u8| {
            let (first, second) = siphash128((k0, k1), &(0..len).collect::<Vec<_>>());
            [first.to_le_bytes(), second.to_le_bytes()].concat()
        };
        // the first vectors of the reference implementation's vectors_sip128
        assert_eq!(of(0), 0xa3817f04ba25a8e66df67214c7550293_u128.to_be_bytes());
        assert_eq!(of(1), 0xda87c1d86b99af44347659119b22fc45_u128.to_be_bytes());
        assert_eq!(of(2), 0x8177228da4a45dc7fca38bdef60affe4_u128.to_be_bytes());
    }

    #[test]
    fn a_full_map_still_knows_its_keys_and_takes_no_more() {
        for slots in [0, 101, 200, 5000] {
            let mut map = KeyMap::new(7, 100, slots);
            let mut model = HashMap::new();
            for n in 0..1000_i64 {
                let key = (n * n % 163).to_be_bytes();
                let taken = map.put(&key, n);
                assert_eq!(taken, model.len() < 100 || model.contains_key(&key));
                if taken {
                    model.insert(key, n);
                }
            }
            assert_eq!(map.room(), 100 - model.len());
            for n in 0..163_i64 {
                assert_eq!(map.get(&n.to_be_bytes()), model.get(&n.to_be_bytes()).copied());
            }
        }
    }
}
