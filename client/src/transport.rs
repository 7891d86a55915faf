//! How byte streams to brokers are made, and what is said first on a fresh one: TCP and nothing, or a way
//! of the caller's own, as for TLS, SASL, or a stream in memory.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::connection::Connection;
use crate::error::ClientError;

/// Anything that bytes go through both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for S {}

/// Where a stream is to lead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// Host and port, as given at the start or as the broker advertises itself on the listener that was
    /// asked. The host is the name that a certificate must be for (SNI).
    pub address: Address,
    /// The broker there; `None` while only the address is known.
    pub broker: Option<i32>,
}

impl Target {
    /// An address of which no broker is known.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self { address, broker: None }
    }

    /// An open TCP stream to it, without Nagle's delay.
    ///
    /// # Errors
    /// When the name can't be resolved, or nobody answers there.
    pub async fn tcp(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.address.host.as_str(), self.address.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A connecting that is under way.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send>>;

/// An authentication that is under way.
pub type Authenticating<'a> = Pin<Box<dyn Future<Output = Result<(), ClientError>> + Send + 'a>>;

/// Says who this client is on a fresh connection, before anything else goes over it.
pub trait Authenticate: Send + Sync {
    /// Exchanges what is needed: with [`Connection::call`], or [`Connection::exchange`] for requests that
    /// this crate has no messages for. What the broker speaks was asked already.
    ///
    /// An error ends the connection; one that is not [retriable](ClientError::is_retriable) is told to
    /// whoever wanted it, as it is.
    fn authenticate<'a>(&'a self, target: &'a Target, fresh: &'a Connection) -> Authenticating<'a>;
}

/// Makes byte streams to brokers, and says what is to be said first on each.
///
/// A stream wrapped in TLS, with `tokio_rustls` or the like:
///
/// ```
/// # async fn wrapped<S>(name: String, stream: S) -> std::io::Result<S> { let _ = name; Ok(stream) }
/// use duramen_client::ClusterOptions;
/// use duramen_client::transport::Connector;
///
/// let tls = Connector::by(|target| async move {
///     let tcp = target.tcp().await?;
///     wrapped(target.address.host.clone(), tcp).await
/// });
/// let options = ClusterOptions::default().connector(tls);
/// # let _ = options;
/// ```
#[derive(Clone, Default)]
pub struct Connector {
    way: Way,
    authenticate: Option<Arc<dyn Authenticate>>,
}

#[derive(Clone, Default)]
enum Way {
    #[default]
    Tcp,
    By(Arc<dyn Fn(Target) -> Connecting + Send + Sync>),
}

impl Connector {
    /// Plain TCP, without Nagle's delay.
    #[must_use]
    pub fn tcp() -> Self {
        Self::default()
    }

    /// A way of one's own: a socket that is wrapped, or a stream in memory.
    pub fn by<S, Made>(connect: impl Fn(Target) -> Made + Send + Sync + 'static) -> Self
    where
        S: ByteStream + 'static,
        Made: Future<Output = io::Result<S>> + Send + 'static,
    {
        let way = move |target: Target| -> Connecting {
            let made = connect(target);
            Box::pin(async move { Ok(Box::new(made.await?) as Box<dyn ByteStream>) })
        };
        Self { way: Way::By(Arc::new(way)), authenticate: None }
    }

    /// The same, and each fresh connection begins with this.
    #[must_use]
    pub fn authenticate(mut self, how: impl Authenticate + 'static) -> Self {
        self.authenticate = Some(Arc::new(how));
        self
    }

    /// Makes a stream, on which nothing was said yet: for connectors that wrap another one.
    ///
    /// # Errors
    /// When there is no way there.
    pub async fn connect(&self, target: Target) -> io::Result<Box<dyn ByteStream>> {
        match &self.way {
            Way::Tcp => Ok(Box::new(target.tcp().await?)),
            Way::By(connect) => connect(target).await,
        }
    }

    /// Whether streams are TCP without more, which need no box around them.
    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self.way, Way::Tcp)
    }

    pub(crate) fn authenticator(&self) -> Option<&dyn Authenticate> {
        self.authenticate.as_deref()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.is_tcp() { "Tcp" } else { "By" };
        let authenticates = self.authenticate.is_some();
        f.debug_struct("Connector")
            .field("way", &way)
            .field("authenticates", &authenticates)
            .finish()
    }
}

/// Where a broker is to be reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// A host, as a name or an IP address without brackets, and a port.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

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
