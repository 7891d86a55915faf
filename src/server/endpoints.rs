//! Where clients are told to find the brokers.
//!
//! A client got here somehow, so the address it connected to works for it: that is what it is told,
//! unless `advertised.listeners` says otherwise. Other brokers are told by what they registered for
//! the listener that the client used.

use duramen_protocol::text::Text;

use super::context::{End, RequestContext};
use super::in_process;
use crate::metadata::BrokerImage;

/// A broker as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerAddress {
    /// Node id.
    pub(crate) id: i32,
    /// Host name or address.
    pub(crate) host: Text,
    /// Port.
    pub(crate) port: i32,
    /// Rack, if it has one.
    pub(crate) rack: Option<Text>,
}

/// The brokers that can be reached through the listener of this connection.
pub(crate) fn active_brokers(context: &RequestContext) -> Vec<BrokerAddress> {
    let image = context.services.image();
    image
        .brokers()
        .iter()
        .filter(|broker| broker.is_active())
        .filter_map(|broker| address(context, broker))
        .collect()
}

/// Host and port that a client connected to. A listener on `::` sees IPv4 clients at mapped
/// addresses, which mean nothing to them.
fn own_address(local: End) -> (Text, u16) {
    match local {
        End::Socket(local) => (local.ip().to_canonical().to_string().into(), local.port()),
        End::InProcess => (in_process::HOST.into(), in_process::PORT),
    }
}

/// How a client of this connection reaches `broker`; `None` when it does not listen there.
pub(crate) fn address(context: &RequestContext, broker: &BrokerImage) -> Option<BrokerAddress> {
    let (host, port) = if broker.id == context.services.node_id() {
        match context.services.config.listeners.advertised_for(&context.peer.listener) {
            Some(advertised) => (Text::from(advertised.host.as_str()), advertised.port),
            None => own_address(context.peer.local),
        }
    } else {
        let endpoint = broker.endpoint(&context.peer.listener)?;
        (endpoint.host.clone(), endpoint.port)
    };
    Some(BrokerAddress { id: broker.id, host, port: i32::from(port), rack: broker.rack.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_an_address_of_its_own_family() {
        for (local, host) in [
            ("127.0.0.1:9092", "127.0.0.1"),
            ("[::ffff:192.168.0.7]:9092", "192.168.0.7"),
            ("[::1]:9092", "::1"),
        ] {
            let local: std::net::SocketAddr = local.parse().unwrap();
            assert_eq!(own_address(End::Socket(local)), (host.into(), local.port()));
        }
    }
}
