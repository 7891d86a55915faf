//! What is counted of one API: requests, how long their answers took, errors in the answers.

use std::sync::Arc;
use std::time::Duration;

use duramen_protocol::api::{ApiKey, ApiSpec};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::Message;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use tracing::warn;

use crate::measure;
use crate::server::context::RequestContext;

/// An answer that took longer is worth a line in the log. A fetch takes as long as its client asked
/// for, and a member waits for the others of its group, so they are never slow.
const SLOW: Duration = Duration::from_secs(1);

/// The counters of one API.
#[derive(Debug)]
pub(crate) struct ApiMetrics {
    key: ApiKey,
    pub(super) name: &'static str,
    pub(super) requests: Counter,
    pub(super) latency: Histogram,
}

impl ApiMetrics {
    pub(super) fn new(spec: &ApiSpec) -> Self {
        Self {
            key: spec.key,
            name: spec.name,
            requests: Counter::default(),
            latency: measure::times(),
        }
    }

    pub(super) fn key(&self) -> ApiKey {
        self.key
    }
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
        api.latency.observe(took.as_secs_f64());
        let errors = &services.metrics.errors;
        // Each partition has its own.
        response.error_codes(&mut |code| {
            if code != ErrorCode::None.code() {
                let error = ErrorCode::from_code(code).name();
                errors.get_or_create(&[("api", api.name), ("error", error)]).inc();
            }
        });
        let waits_for_others =
            matches!(api.key, ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup);
        if took < SLOW || waits_for_others {
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
