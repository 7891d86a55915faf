//! What the HTTP listener shows of the server.

use std::sync::Arc;

use super::context::Services;
use crate::http::Probe;

impl Services {
    /// The view that the HTTP listener gets.
    pub(crate) fn probe(self: &Arc<Self>) -> Probe {
        let (metrics, health) = (Arc::clone(self), Arc::clone(self));
        Probe {
            metrics: Box::new(move || metrics.metrics.encode()),
            ready: Box::new(move || health.health()),
        }
    }

    /// `Ok` when clients can be served, else why not, in one line.
    fn health(&self) -> Result<(), String> {
        match self.replicas.directories().into_iter().find(|dir| dir.offline) {
            Some(dir) => Err(format!("log directory {} is offline", dir.path.display())),
            None => Ok(()),
        }
    }
}
