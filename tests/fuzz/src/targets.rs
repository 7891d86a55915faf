//! What is fuzzed: functions over any bytes at all, which must not panic, hang, or hold more
//! memory than [`MEMORY_MAX`]. What was understood must also survive a round trip.
//!
//! The fuzzer's binaries include the file that their target is in, and `tests/fuzz_corpus.rs` all
//! of them: a plain `cargo test` runs the same code as the fuzzer.

pub mod coordinator;
pub mod group;
pub mod metadata;
pub mod records;
pub mod storage;
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

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "frame", run: wire::frame },
    Target { name: "request", run: wire::request },
    Target { name: "response", run: wire::response },
    Target { name: "group", run: group::group },
    Target { name: "batch", run: records::batch },
    Target { name: "gzip", run: records::gzip },
    Target { name: "snappy", run: records::snappy },
    Target { name: "lz4", run: records::lz4 },
    Target { name: "zstd", run: records::zstd },
    Target { name: "recovery", run: storage::recovery },
    Target { name: "index", run: storage::index },
    Target { name: "checkpoint", run: storage::checkpoint },
    Target { name: "metadata", run: metadata::metadata },
    Target { name: "coordinator", run: coordinator::coordinator },
];
