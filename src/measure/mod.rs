//! What the floors share to be watched. Counters, gauges and histograms are those of `prometheus-client`:
//! an atomic addition, or for a histogram a short lock, which costs a request some 30 ns. Every floor may
//! count; `server/metrics` gathers and shows it.
//!
//! | file | what lives there |
//! |---|---|
//! | this one | the buckets of times |
//! | [`LogGate`] | how often something may be logged |

mod gate;

use prometheus_client::metrics::histogram::Histogram;

pub use gate::LogGate;

/// Upper bounds for times, in seconds: 50 µs to 5 s.
const TIMES: [f64; 14] =
    [50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 1.0, 5.0];

/// A histogram of times in seconds, with bounds that suit waits for disks and networks.
#[must_use]
pub fn times() -> Histogram {
    Histogram::new(TIMES)
}
