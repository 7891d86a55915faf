//! What is counted of one API: requests, how long their answers took, errors in the answers.

use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::api::{ApiKey, ApiSpec};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::Message;
use tracing::warn;

use crate::measure::{Counter, Histogram};
use crate::server::context::RequestContext;

/// An answer that took longer is worth a line in the log. A fetch takes as long as its client asked
/// for, so it is never slow.
const SLOW: Duration = Duration::from_secs(1);

/// The counters of one API.
#[derive(Debug)]
pub(crate) struct ApiMetrics {
    key: ApiKey,
    pub(super) name: &'static str,
    pub(super) requests: Counter,
    pub(super) latency: Histogram,
    /// By error code, in the order of [`ErrorCode::ALL`].
    errors: Box<[Counter]>,
}

impl ApiMetrics {
    pub(super) fn new(spec: &ApiSpec) -> Self {
        Self {
            key: spec.key,
            name: spec.name,
            requests: Counter::default(),
            latency: Histogram::of_times(),
            errors: ErrorCode::ALL.iter().map(|_| Counter::default()).collect(),
        }
    }

    pub(super) fn key(&self) -> ApiKey {
        self.key
    }

    /// Counts every error in an answer: each partition has its own.
    fn count_errors(&self, response: &impl Message) {
        response.error_codes(&mut |code| {
            if code != ErrorCode::None.code()
                && let Some(counter) = place(code).and_then(|at| self.errors.get(at))
            {
                counter.inc();
            }
        });
    }

    /// The errors met so far.
    pub(super) fn errors(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counted = ErrorCode::ALL.iter().zip(&self.errors);
        counted.map(|(code, count)| (code.name(), count.get())).filter(|(_, count)| *count > 0)
    }
}

/// Where a code stands in [`ErrorCode::ALL`]: Kafka numbers them from -1 without gaps.
fn place(code: i16) -> Option<usize> {
    usize::try_from(i32::from(code) + 1).ok()
}

/// A request without an answer yet; counted until dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    context: RequestContext,
    api: Option<Arc<ApiMetrics>>,
    began: Duration,
}

impl InFlight {
    /// A request of this API has come.
    pub(crate) fn begin(context: &RequestContext, key: ApiKey) -> Self {
        let metrics = &context.services.metrics;
        metrics.in_flight.inc();
        let api = metrics.api(key).cloned();
        if let Some(api) = &api {
            api.requests.inc();
        }
        Self { context: context.clone(), api, began: context.services.env.clock.now() }
    }

    /// The answer is there.
    pub(crate) fn answered(self, response: &impl Message) {
        let Some(api) = &self.api else { return };
        let services = &self.context.services;
        let now = services.env.clock.now();
        let took = now.saturating_sub(self.began);
        api.latency.observe_time(took);
        api.count_errors(response);
        if took < SLOW || api.key == ApiKey::Fetch {
            return;
        }
        services.metrics.slow_requests.inc();
        if let Some(held_back) = services.metrics.gates.slow.admit(now) {
            let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            warn!(api = api.name, ms, remote = %self.context.peer.remote, held_back, "slow request");
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.context.services.metrics.in_flight.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_code_has_its_place() {
        for (at, code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(place(code.code()), Some(at), "{}", code.name());
        }
    }
}
