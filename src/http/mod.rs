//! The HTTP listener: `/metrics` for Prometheus and `/health/{live,ready}` for whoever restarts or
//! routes to the broker. It answers from state that others keep; it changes nothing.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// What the HTTP listener shows, asked for at each request.
pub(crate) struct Probe {
    /// The metrics. Reading them may wait for a disk.
    pub(crate) metrics: Registry,
    /// `Ok` when clients can be served, else why not, in one line.
    pub(crate) ready: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}

/// What the routes share.
struct Shown {
    probe: Probe,
    scrapes: Semaphore,
}

/// Serves until `stop` completes.
pub(crate) async fn serve(
    listener: TcpListener,
    probe: Probe,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(ready))
        .with_state(Arc::new(Shown { probe, scrapes: Semaphore::new(1) }));
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn metrics(State(shown): State<Arc<Shown>>) -> Response {
    // One scrape at a time: it walks over all partitions, and many at once gain nothing.
    let Ok(_turn) = shown.scrapes.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let gathering = Arc::clone(&shown);
    let gather = move || {
        let mut text = String::new();
        text::encode(&mut text, &gathering.probe.metrics).map(|()| text)
    };
    match tokio::task::spawn_blocking(gather).await {
        Ok(Ok(text)) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}

async fn ready(State(shown): State<Arc<Shown>>) -> Response {
    match (shown.probe.ready)() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}
