//! What HTTP tells: health, the broker's clock, and its metrics.

use std::time::Duration;

use super::judge::{Finding, clock};
use crate::cli::scrape::{Samples, get};
use crate::cli::time::{http_date_ms, now_ms};

const CHECK: &str = "http";

/// What was seen over HTTP.
#[derive(Debug, Default)]
pub(super) struct Side {
    address: String,
    pub(super) findings: Vec<Finding>,
    pub(super) samples: Option<Samples>,
    /// The broker's clock against ours.
    pub(super) clock: Option<Finding>,
}

/// Asks for health and metrics.
pub(super) async fn look(address: &str, patience: Duration) -> Side {
    let mut side = Side { address: address.to_owned(), ..Side::default() };
    if address == "off" {
        return side;
    }
    match Samples::of(address, patience).await {
        Ok(samples) => side.samples = Some(samples),
        Err(reason) => {
            side.findings.push(Finding::warn(
                CHECK,
                format!("no metrics and health at {address}: {reason}"),
                "give the broker's address with --http, or --http off when it serves none",
            ));
            return side;
        }
    }
    let asked = now_ms() / 1000;
    if let Ok(answer) = get(address, "/health/ready", patience).await {
        let theirs = answer.date.as_deref().and_then(http_date_ms);
        side.clock = theirs.map(|theirs| clock::broker(theirs / 1000, asked..=now_ms() / 1000));
        side.findings.push(match answer.status {
            200 => Finding::ok("health", "the broker is live and ready"),
            _ => Finding::fail(
                "health",
                format!("the broker is not ready: {}", answer.body.trim()),
                "see its log; a directory that is offline needs a restart after the disk is checked",
            ),
        });
    }
    side
}

impl Side {
    /// Forgets what another cluster's broker told.
    pub(super) fn of_cluster(self, cluster: Option<&str>) -> Self {
        let theirs = self.samples.as_ref().map(|samples| samples.cluster_id().to_owned());
        match (cluster, theirs) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                let finding = Finding::warn(
                    CHECK,
                    format!("{} belongs to cluster {theirs}, not to the one asked", self.address),
                    "give the address of this broker's HTTP with --http",
                );
                Self { findings: vec![finding], ..Self::default() }
            }
            _ => self,
        }
    }
}
