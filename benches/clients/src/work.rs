//! What is to be done by either client, and what was done.

use std::error::Error;

pub type Failure = Box<dyn Error + Send + Sync>;

/// What is to be done.
pub enum Work {
    Produce(Load),
    Consume,
}

/// What is produced; `batch` is in bytes, `None` the client's default.
pub struct Load {
    pub records: usize,
    pub size: usize,
    pub codec: String,
    pub batch: Option<usize>,
}

/// What was done.
#[derive(Default)]
pub struct Done {
    pub records: u64,
    pub bytes: u64,
}

/// Values to send: slices of one stretch of capital letters, as random as a codec could wish.
pub struct Values {
    letters: Vec<u8>,
    size: usize,
    at: usize,
}

/// Letters beyond one value, so that values differ.
const SPREAD: usize = 1 << 20;

impl Values {
    pub fn new(size: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let letter = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b'A' + u8::try_from(state % 26).unwrap_or(0)
        };
        Self { letters: (0..size + SPREAD).map(letter).collect(), size, at: 0 }
    }

    pub fn next(&mut self) -> &[u8] {
        self.at = (self.at + 7919) % SPREAD;
        &self.letters[self.at..self.at + self.size]
    }
}
