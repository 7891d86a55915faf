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
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                if services.metrics.connections.get()
                    >= i64::from(services.config.network.connections_max)
                {
                    warn!(%remote, "connection refused: max.connections reached");
                    services.metrics.connections_refused.inc();
                    continue;
                }
                services.metrics.connections.inc();
                services.metrics.connections_accepted.inc();
                let peer = PeerSocket { stream, remote, listener: Arc::clone(&name) };
                connections.spawn(peer.serve(Arc::clone(&services), stop.clone()));
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection; if descriptors ran out, raise `ulimit -n`");
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
                let peer = Arc::new(Peer { local, listener, stop: stop.clone() });
                let serve = dispatch::server(Arc::clone(&services), peer);
                connection::run(stream, &services.limits, &services.budget, &stop, serve).await
            }
            Err(error) => Ended::Io(error),
        };
        services.metrics.connections.dec();
        log_end(&services, remote, &ended);
    }
}

fn log_end(services: &Services, remote: SocketAddr, ended: &Ended) {
    match ended {
        Ended::ByPeer | Ended::Stopped | Ended::Idle => {
            debug!(%remote, reason = %ended, "connection closed")
        }
        Ended::CutOff | Ended::Io(_) => info!(%remote, reason = %ended, "connection lost"),
        Ended::Stalled | Ended::NotTaken | Ended::Framing(_) | Ended::Refused(_) => {
            services.metrics.connections_refused.inc();
            warn!(%remote, reason = %ended, "connection refused");
        }
    }
}
