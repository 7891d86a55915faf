//! How byte streams to brokers are made: TCP, or a way of the caller's own.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Anything that bytes go through both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for S {}

/// A connecting that is under way.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send>>;

/// Connects to a host and a port.
pub type Connect = dyn Fn(&str, u16) -> Connecting + Send + Sync;

/// Makes byte streams.
#[derive(Clone, Default)]
pub enum Connector {
    /// Plain TCP, without Nagle's delay.
    #[default]
    Tcp,
    /// Called with host and port: an in-memory stream in a test, or a wrapped socket.
    Custom(Arc<Connect>),
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "Tcp",
            Self::Custom(_) => "Custom",
        })
    }
}

/// Where a broker is to be reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// Reads `host:port`, `host` (port 9092), `[::1]:9092`, each also behind `PLAINTEXT://`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("PLAINTEXT://").unwrap_or(text);
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map_or(Some(9092), |port| port.parse().ok())?;
        let bare_ipv6 = !text.starts_with('[') && host.contains(':');
        if host.is_empty() || port == 0 || bare_ipv6 || host.contains(char::is_whitespace) {
            return None;
        }
        Some(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// An open TCP stream, ready for small requests.
pub(crate) async fn connect_tcp(address: &Address) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_their_forms() {
        for (text, want) in [
            ("localhost:9093", "localhost:9093"),
            ("localhost", "localhost:9092"),
            ("PLAINTEXT://10.0.0.1:9092", "10.0.0.1:9092"),
            ("[::1]:9094", "[::1]:9094"),
            ("[::1]", "[::1]:9092"),
            (" host:1 ", "host:1"),
        ] {
            assert_eq!(
                Address::parse(text).map(|a| a.to_string()).as_deref(),
                Some(want),
                "{text}"
            );
        }
        for text in ["", ":9092", "host:", "host:x", "host:99999", "host:0", "::1", "[::1", "a b:1"]
        {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
