//! What may go wrong under a broker, one file a hazard: each opens with its story, brings it about, and
//! holds the broker to what was acknowledged. A hazard that this machine can't bring about is skipped
//! aloud, as `skipped NAME: reason`.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "a test may panic and print, and has the real clock and disk"
)]

#[path = "../support/mod.rs"]
mod support;

mod bit_flips;
mod consumer_lab;
mod device;
mod disk_full;
mod failing_device;
mod group_half_joins;
mod group_herd;
mod group_hostile;
mod group_killed;
mod group_killed_consumer;
mod group_killed_mixed;
mod group_lab;
mod group_paused;
mod group_regexes;
mod hostile_peers;
mod io_errors;
mod log_tool;
mod soak;
mod stream;
mod told;
mod truth;

/// How many times as many places, sites and cases are tried as a test run has time for:
/// `HAZARD_EFFORT=16` for a look as deep as a night allows.
fn effort() -> u64 {
    std::env::var("HAZARD_EFFORT")
        .ok()
        .map_or(1, |text| text.parse().expect("HAZARD_EFFORT is a whole number"))
}
