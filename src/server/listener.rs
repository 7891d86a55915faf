//! Accepts connections and gives each its task; at stop, waits until every one has answered what it
//! had in flight.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::connection::{self, Ended};
use super::context::{Peer, Services};
use super::dispatch;
use super::metered::Metered;

/// Time without new connections after the system refuses one (out of descriptors, out of memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts on `listener` until `stop`, then waits for the connections to end.
pub(crate) async fn serve(
    listener: TcpListener,
    name: Arc<str>,
    services: Arc<Services>,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let gates = &services.metrics.gates;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                let most = services.config.network.connections_max;
                if services.metrics.connections.get() >= i64::from(most) {
                    services.metrics.connection_turned_away();
                    if let Some(held_back) = gates.crowded.admit(services.env.clock.now()) {
                        warn!(%remote, held_back, "connection refused: max.connections reached");
                    }
                    continue;
                }
                services.metrics.connections.inc();
                services.metrics.connections_accepted.inc();
                let peer = PeerSocket { stream, remote, listener: Arc::clone(&name) };
                connections.spawn(peer.serve(Arc::clone(&services), stop.clone()));
            }
            Err(error) => {
                services.metrics.accept_failed();
                if let Some(held_back) = gates.crowded.admit(services.env.clock.now()) {
                    warn!(%error, held_back, "cannot accept a connection; if descriptors ran out, raise `ulimit -n`");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// A socket that was just accepted.
struct PeerSocket {
    stream: TcpStream,
    remote: SocketAddr,
    listener: Arc<str>,
}

impl PeerSocket {
    /// The task of one connection.
    async fn serve(self, services: Arc<Services>, stop: CancellationToken) {
        let Self { stream, remote, listener } = self;
        let ended = match stream.set_nodelay(true).and_then(|()| stream.local_addr()) {
            Ok(local) => {
                let peer = Arc::new(Peer { local, remote, listener, stop: stop.clone() });
                let serve = dispatch::server(Arc::clone(&services), peer);
                let stream = Metered { stream, services: Arc::clone(&services) };
                connection::run(stream, &services.limits, &services.budget, &stop, serve).await
            }
            Err(error) => Ended::Io(error),
        };
        services.metrics.connection_ended(&ended);
        log_end(&services, remote, &ended);
    }
}

/// One line for a connection that did not end as it should, as often as its gate lets through: a
/// client that does it a million times must not fill the log.
fn log_end(services: &Services, remote: SocketAddr, ended: &Ended) {
    let (gates, now) = (&services.metrics.gates, services.env.clock.now());
    match ended {
        Ended::ByPeer | Ended::Stopped | Ended::Idle => {
            debug!(%remote, reason = %ended, "connection closed");
        }
        Ended::CutOff | Ended::Io(_) => {
            if let Some(held_back) = gates.lost.admit(now) {
                info!(%remote, reason = %ended, held_back, "connection lost");
            }
        }
        Ended::Stalled | Ended::NotTaken | Ended::Framing(_) | Ended::Refused(_) => {
            if let Some(held_back) = gates.refused.admit(now) {
                warn!(%remote, reason = %ended, held_back, "connection refused");
            }
        }
    }
}
