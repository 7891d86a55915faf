//! What is fuzzed: functions over any bytes at all, which must not panic, hang, or hold more
//! memory than [`MEMORY_MAX`]. What was understood must also survive a round trip.
//!
//! `tests/fuzz_corpus.rs` includes this file by its path and replays the corpus with it, so that
//! a plain `cargo test` runs the same code as the fuzzer.

pub mod metadata;
pub mod records;
pub mod wire;

/// A fuzz target.
pub struct Target {
    /// Name of the fuzzer's binary and of the folder in `corpus/`.
    pub name: &'static str,
    /// Runs it over one input.
    pub run: fn(&[u8]),
}

/// The longest input, in bytes.
pub const INPUT_MAX: usize = 64 * 1024;

/// The most that a target may hold at a time, in bytes.
pub const MEMORY_MAX: usize = 16 << 20;

/// What decompression may put out, in bytes.
pub const UNFOLDED_MAX: usize = 1 << 20;

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "frame", run: wire::frame },
    Target { name: "request", run: wire::request },
    Target { name: "response", run: wire::response },
    Target { name: "batch", run: records::batch },
    Target { name: "gzip", run: records::gzip },
    Target { name: "snappy", run: records::snappy },
    Target { name: "lz4", run: records::lz4 },
    Target { name: "zstd", run: records::zstd },
    Target { name: "metadata", run: metadata::metadata },
];
