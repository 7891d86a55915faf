//! Accepts connections and gives each its task; at stop, waits until every one has answered what it
//! had in flight. Dropped before that, it takes the connections along.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::connection::{self, Ended};
use super::context::{End, Peer, Services};
use super::dispatch;
use super::in_process::Calls;
use super::metered::Metered;

/// Time without new connections after the system refuses one (out of descriptors, out of memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from.
#[derive(Debug)]
pub(crate) enum Door {
    /// A port.
    Socket(TcpListener),
    /// This process.
    InProcess(Calls),
}

impl Door {
    /// The next connection, and where its client is.
    async fn accept(&mut self) -> io::Result<(Stream, End)> {
        match self {
            Self::Socket(listener) => {
                let (stream, remote) = listener.accept().await?;
                Ok((Stream::Socket(stream), End::Socket(remote)))
            }
            Self::InProcess(calls) => match calls.recv().await {
                Some(stream) => Ok((Stream::InProcess(stream), End::InProcess)),
                // Nobody is left who could connect.
                None => std::future::pending().await,
            },
        }
    }
}

/// A connection that was just accepted.
#[derive(Debug)]
enum Stream {
    Socket(TcpStream),
    InProcess(DuplexStream),
}

/// Accepts at `door` until `stop`, then waits for the connections to end.
pub(crate) async fn serve(
    mut door: Door,
    name: Arc<str>,
    services: Arc<Services>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    let gates = &services.metrics.gates;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = door.accept() => accepted,
            // What ended is let go of.
            Some(_) = connections.join_next() => continue,
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
                let caller = Caller { stream, remote, listener: Arc::clone(&name) };
                connections.spawn(caller.serve(Arc::clone(&services), stop.clone()));
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
    drop(door);
    while connections.join_next().await.is_some() {}
}

/// Who was just let in.
struct Caller {
    stream: Stream,
    remote: End,
    listener: Arc<str>,
}

impl Caller {
    /// The task of one connection.
    async fn serve(self, services: Arc<Services>, stop: CancellationToken) {
        let Self { stream, remote, listener } = self;
        let (stop, software) = (stop.clone(), OnceLock::new());
        let peer = |local| Peer { local, remote, listener, stop, software };
        let ended = match stream {
            Stream::Socket(stream) => {
                match stream.set_nodelay(true).and_then(|()| stream.local_addr()) {
                    Ok(local) => run(stream, peer(End::Socket(local)), &services).await,
                    Err(error) => Ended::Io(error),
                }
            }
            Stream::InProcess(stream) => run(stream, peer(End::InProcess), &services).await,
        };
        services.metrics.connection_ended(&ended);
        log_end(&services, remote, &ended);
    }
}

/// Serves one connection until it ends.
async fn run<S>(stream: S, peer: Peer, services: &Arc<Services>) -> Ended
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let stop = peer.stop.clone();
    let serve = dispatch::server(Arc::clone(services), Arc::new(peer));
    let stream = Metered { stream, services: Arc::clone(services) };
    connection::run(stream, &services.limits, &services.budget, &stop, serve).await
}

/// One line for a connection that did not end as it should, as often as its gate lets through: a
/// client that does it a million times must not fill the log.
fn log_end(services: &Services, remote: End, ended: &Ended) {
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
