//! Damages inputs as a fuzzer without eyes does, the same way every time.

/// Numbers that lengths and counts are made to be.
const HOSTILE: [i64; 12] = [
    0,
    1,
    -1,
    -2,
    127,
    128,
    i16::MAX as i64,
    i16::MIN as i64,
    i32::MAX as i64,
    i32::MIN as i64,
    i64::MAX,
    i64::MIN,
];

/// An endless supply of damaged inputs.
pub struct Damage<'a> {
    whole: &'a [Vec<u8>],
    len_max: usize,
    state: u64,
}

impl<'a> Damage<'a> {
    /// Damages `whole`, to inputs of up to `len_max` bytes.
    pub fn new(whole: &'a [Vec<u8>], len_max: usize) -> Self {
        Self::seeded(whole, len_max, 0x853c_49e6_748f_ea9b)
    }

    /// The same with a seed of its own.
    pub fn seeded(whole: &'a [Vec<u8>], len_max: usize, seed: u64) -> Self {
        Self { whole, len_max, state: seed }
    }

    /// The next input: a whole one with one to four damages.
    pub fn next(&mut self) -> Vec<u8> {
        let mut input = self.pick().to_vec();
        for _ in 0..=self.below(4) {
            self.damage(&mut input);
        }
        input.truncate(self.len_max);
        input
    }

    fn damage(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        match self.below(8) {
            0 => input.truncate(at),
            1 => input.insert(at, self.random() as u8),
            2 if at < input.len() => drop(input.remove(at)),
            3 => self.overwrite(input, at),
            4 => self.splice(input, at),
            5 => self.repeat(input, at),
            6 if at < input.len() => input[at] = self.random() as u8,
            _ if at < input.len() => input[at] ^= 1 << self.below(8),
            _ => {}
        }
    }

    /// A number that is hostile as a length, in one of the widths that numbers have.
    fn overwrite(&mut self, input: &mut [u8], at: usize) {
        let number = HOSTILE[self.below(HOSTILE.len())];
        let width = [1, 2, 3, 4, 8][self.below(5)];
        let mut bytes = number.to_be_bytes()[8 - width..].to_vec();
        if self.below(2) == 0 {
            bytes.reverse();
        }
        for (place, byte) in input.iter_mut().skip(at).zip(bytes) {
            *place = byte;
        }
    }

    /// The end of another input in place of this one's.
    fn splice(&mut self, input: &mut Vec<u8>, at: usize) {
        let other = self.pick();
        let from = self.below(other.len() + 1);
        input.truncate(at);
        input.extend(&other[from..]);
    }

    /// A part of the input twice.
    fn repeat(&mut self, input: &mut Vec<u8>, at: usize) {
        let len = self.below(input.len() - at + 1);
        let part = input[at..at + len].to_vec();
        input.splice(at..at, part);
    }

    fn pick(&mut self) -> &'a [u8] {
        let whole = self.whole;
        &whole[self.below(whole.len())]
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.random() % bound.max(1) as u64) as usize
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
