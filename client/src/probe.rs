//! One address tried on its own: whether a broker answers there, where it sends its clients, and which
//! APIs both sides speak. For diagnosis; whoever wants to work takes a [`Cluster`](crate::Cluster),
//! which goes on to other addresses by itself.

use std::io;
use std::time::Duration;

use duramen_protocol::api::{TABLE, VersionRange};
use duramen_protocol::messages::MetadataRequest;
use duramen_protocol::text::Text;

use crate::cluster::{Broker, ClusterView};
use crate::connection::{BrokerVersions, CallError, Connection, ConnectionOptions};
use crate::transport::{Address, Target};

/// Why an address could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The name has no address.
    #[error("the name can't be resolved")]
    NoSuchHost,
    /// Nothing listens on the port.
    #[error("nothing listens there")]
    Closed,
    /// Packets vanish.
    #[error("no answer in time")]
    Silent,
    /// Something listens that does not speak Kafka's protocol; in a few words.
    #[error("what listens there does not speak Kafka ({0})")]
    NotKafka(String),
    /// Something else, in a few words.
    #[error("{0}")]
    Other(String),
}

/// What a broker told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Probed {
    /// The cluster's id; `None` when the broker does not say.
    pub cluster_id: Option<Text>,
    /// The brokers that clients are sent to.
    pub brokers: Vec<Broker>,
    /// The APIs of this client.
    pub apis: Vec<ProbedApi>,
}

/// An API of this client, and what the broker speaks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbedApi {
    /// Kafka's name.
    pub name: &'static str,
    /// The versions that this client speaks.
    pub ours: VersionRange,
    /// The versions that the broker speaks, if any.
    pub theirs: Option<VersionRange>,
}

impl ProbedApi {
    /// Whether there is a version that both speak.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.theirs.is_some_and(|it| it.min <= self.ours.max && self.ours.min <= it.max)
    }
}

/// Connects over TCP as `client_id`, and asks who is there. The connecting and the talk may take
/// `patience` each.
///
/// # Errors
/// Why the address can't be used.
pub async fn probe(
    address: &Address,
    client_id: &str,
    patience: Duration,
) -> Result<Probed, ProbeError> {
    let place = (address.host.as_str(), address.port);
    let found = tokio::net::lookup_host(place).await.map(|mut found| found.next());
    if !matches!(found, Ok(Some(_))) {
        return Err(ProbeError::NoSuchHost);
    }
    let target = Target::new(address.clone());
    let stream = match tokio::time::timeout(patience, target.tcp()).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            return Err(ProbeError::Closed);
        }
        Ok(Err(error)) => return Err(ProbeError::Other(error.to_string())),
        Err(_) => return Err(ProbeError::Silent),
    };
    let options =
        ConnectionOptions::default().client_id(Text::from(client_id)).request_timeout(patience);
    let connection =
        Connection::start(stream, options).map_err(|error| ProbeError::Other(error.to_string()))?;
    match tokio::time::timeout(patience, talk(connection)).await {
        Ok(Ok(probed)) => Ok(probed),
        Ok(Err(error)) => Err(ProbeError::NotKafka(error.to_string())),
        Err(_) => Err(ProbeError::Silent),
    }
}

async fn talk(connection: Connection) -> Result<Probed, CallError> {
    let apis = apis(connection.negotiate().await?);
    // No topics: only the brokers.
    let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
    let view = ClusterView::default().updated(&connection.call(&request).await?, true);
    Ok(Probed { cluster_id: view.cluster_id, brokers: view.brokers.into_values().collect(), apis })
}

fn apis(versions: &BrokerVersions) -> Vec<ProbedApi> {
    let api = |spec: &duramen_protocol::api::ApiSpec| ProbedApi {
        name: spec.name,
        ours: spec.versions(),
        theirs: versions.of(spec.key),
    };
    TABLE.iter().map(api).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    /// For who says something, however late.
    const PATIENCE: Duration = Duration::from_secs(60);
    /// For who never will.
    const SHORT: Duration = Duration::from_millis(200);

    async fn refused(host: &str, port: u16, patience: Duration) -> ProbeError {
        let address = Address { host: host.to_owned(), port };
        probe(&address, "test", patience).await.unwrap_err()
    }

    #[tokio::test]
    async fn each_way_not_to_be_a_broker_is_told() {
        assert_eq!(refused("no.such.host.invalid", 9092, PATIENCE).await, ProbeError::NoSuchHost);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // it takes connections into its backlog, and says nothing
        let silent = refused("127.0.0.1", port, SHORT).await;
        let of_time = ["no answer in time", "did not answer"];
        assert!(of_time.iter().any(|words| silent.to_string().contains(words)), "{silent}");
        let web = tokio::spawn(async move {
            let (_backlog, _) = listener.accept().await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        });
        let web_page = refused("127.0.0.1", port, PATIENCE).await;
        assert!(matches!(web_page, ProbeError::NotKafka(_)), "{web_page}");
        web.await.unwrap();
        assert_eq!(refused("127.0.0.1", port, PATIENCE).await, ProbeError::Closed);
    }
}
