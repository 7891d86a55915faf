//! The listener without a socket: clients of this process, over memory. What a client writes is read by
//! the same connection code as a socket's bytes, with the same bounds.

use std::io;

use tokio::io::DuplexStream;
use tokio::sync::mpsc;

/// Name of the listener.
pub(crate) const LISTENER: &str = "IN_PROCESS";
/// What clients are told to connect to: no name that a network knows.
pub(crate) const HOST: &str = "in-process";
/// A port, because the protocol has one.
pub(crate) const PORT: u16 = 9092;

/// Bytes that each side may be ahead of the other: as many as a connection reads at a time, twice.
const PIPE_BYTES: usize = 2 * super::inbox::BUSY_BYTES;
/// Connections that may wait to be accepted.
const BACKLOG: usize = 64;

/// Connects to the broker. It holds nothing of the broker, and so may outlive it.
#[derive(Debug, Clone)]
pub(crate) struct Caller(mpsc::Sender<DuplexStream>);

/// The broker's side: connections to accept.
pub(crate) type Calls = mpsc::Receiver<DuplexStream>;

/// The two sides of the listener.
pub(crate) fn pair() -> (Caller, Calls) {
    let (sender, calls) = mpsc::channel(BACKLOG);
    (Caller(sender), calls)
}

impl Caller {
    /// A new connection; waits while many others wait to be accepted.
    pub(crate) async fn connect(&self) -> io::Result<DuplexStream> {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let stopped = |_| {
            io::Error::new(
                io::ErrorKind::NotConnected,
                "the broker in this process has stopped; start one, and connect to that",
            )
        };
        self.0.send(far).await.map_err(stopped)?;
        Ok(near)
    }
}
