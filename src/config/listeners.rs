//! `listeners`, `advertised.listeners` and the names around them.

use std::fmt;

use super::error::ConfigError;
use super::reader::Reader;
use super::value::Value;

/// How the bytes of a listener are protected, as in `listener.security.protocol.map`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Not at all.
    Plaintext,
    /// By TLS.
    Ssl,
    /// Not at all, but clients prove who they are.
    SaslPlaintext,
    /// By TLS, and clients prove who they are.
    SaslSsl,
}

impl Protocol {
    const ALL: [Self; 4] = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];

    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address, without brackets; empty is every address of this machine.
    pub host: String,
    /// Port; 0 is any that is free.
    pub port: u16,
}

impl HostPort {
    /// Whether only programs of this machine can connect.
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        address.map_or_else(|_| self.host == "localhost", |address| address.is_loopback())
    }

    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?,
            None => host,
        };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-%._:".contains(&byte);
        host.bytes().all(fits).then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(out, "[{host}]:{port}")
        } else {
            write!(out, "{host}:{port}")
        }
    }
}

/// One listener, or what is advertised for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name, in upper case.
    pub name: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// Where it is.
    pub address: HostPort,
}

/// All that this node listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// For clients; none when `listeners` is `off`: they are in this process.
    pub clients: Vec<Listener>,
    /// What clients of each listener are told; a listener that is missing here tells each client
    /// the address that it has connected to.
    pub advertised: Vec<Listener>,
    /// For controllers: known, and not opened by a node that is its own controller.
    pub controllers: Vec<Listener>,
    /// Name of the client listener on which brokers talk to each other.
    pub inter_broker: String,
    /// Metrics, health and console.
    pub http: Option<HostPort>,
}

impl Listeners {
    /// What clients of the listener `name` are to be told, unless it is where they connected.
    pub fn advertised_for(&self, name: &str) -> Option<&HostPort> {
        self.advertised.iter().find(|listener| listener.name == name).map(|found| &found.address)
    }

    pub(super) fn read(of: &Reader<'_>) -> Result<Self, ConfigError> {
        let protocols = Protocols::read(of)?;
        let mut words = of.list("listeners")?;
        let off = matches!(words.as_slice(), [only] if only.eq_ignore_ascii_case("off"));
        if off {
            words.clear();
        }
        let (controllers, clients): (Vec<_>, Vec<_>) = protocols
            .listeners("listeners", &words)?
            .into_iter()
            .partition(|listener| protocols.controllers.contains(&listener.name));
        check_distinct(&clients)?;
        let advertised = match of.optional("advertised.listeners")? {
            Some(Value::List(words)) => protocols.advertised(&words, &clients)?,
            _ => Vec::new(),
        };
        let inter_broker = match of.optional("inter.broker.listener.name")? {
            Some(Value::Text(name)) => name.to_ascii_uppercase(),
            _ => clients.first().map(|listener| listener.name.clone()).unwrap_or_default(),
        };
        if clients.is_empty() && !off {
            return wrong("listeners: there must be at least one listener for clients");
        }
        let nobody = off && inter_broker.is_empty();
        if !nobody && !clients.iter().any(|listener| listener.name == inter_broker) {
            return wrong(format!(
                "inter.broker.listener.name: `{inter_broker}` is not one of the listeners"
            ));
        }
        let http = http(&of.text("http.listener")?)?;
        Ok(Self { clients, advertised, controllers, inter_broker, http })
    }
}

/// The names that listeners may have.
struct Protocols {
    by_name: Vec<(String, Protocol)>,
    controllers: Vec<String>,
}

impl Protocols {
    fn read(of: &Reader<'_>) -> Result<Self, ConfigError> {
        let map = of.text("listener.security.protocol.map")?;
        let by_name = map
            .split(',')
            .filter(|word| !word.trim().is_empty())
            .map(|word| {
                let found = word.split_once(':').and_then(|(name, protocol)| {
                    let protocol = Protocol::from_name(protocol.trim())?;
                    Some((name.trim().to_ascii_uppercase(), protocol))
                });
                found.ok_or_else(|| {
                    ConfigError::Conflict(format!(
                        "listener.security.protocol.map: `{word}` is not of the form NAME:PROTOCOL"
                    ))
                })
            })
            .collect::<Result<_, _>>()?;
        let controllers = match of.optional("controller.listener.names")? {
            Some(Value::List(names)) => {
                names.iter().map(|name| name.to_ascii_uppercase()).collect()
            }
            _ => Vec::new(),
        };
        Ok(Self { by_name, controllers })
    }

    fn of(&self, name: &str) -> Option<Protocol> {
        let mapped = self.by_name.iter().find(|(known, _)| known == name);
        // A controller's listener is plain unless the map says otherwise, as in Kafka.
        let plain = || self.controllers.iter().any(|known| known == name);
        mapped.map(|(_, protocol)| *protocol).or_else(|| plain().then_some(Protocol::Plaintext))
    }

    fn listeners(&self, setting: &str, words: &[String]) -> Result<Vec<Listener>, ConfigError> {
        words.iter().map(|word| self.listener(setting, word)).collect()
    }

    fn listener(&self, setting: &str, word: &str) -> Result<Listener, ConfigError> {
        let parsed = word
            .split_once("://")
            .and_then(|(name, address)| Some((name, HostPort::parse(address)?)))
            .filter(|(name, _)| !name.is_empty());
        let Some((name, address)) = parsed else {
            return wrong(format!("{setting}: `{word}` is not of the form NAME://HOST:PORT"));
        };
        let name = name.to_ascii_uppercase();
        let Some(protocol) = self.of(&name) else {
            return wrong(format!(
                "{setting}: no protocol is known for listener {name}; add {name}:PLAINTEXT to \
                 listener.security.protocol.map"
            ));
        };
        if protocol != Protocol::Plaintext {
            return wrong(format!(
                "{setting}: listener {name} wants {}, which is not supported yet; use PLAINTEXT",
                protocol.name()
            ));
        }
        Ok(Listener { name, protocol, address })
    }

    fn advertised(
        &self,
        words: &[String],
        clients: &[Listener],
    ) -> Result<Vec<Listener>, ConfigError> {
        let mut advertised = self.listeners("advertised.listeners", words)?;
        advertised.retain(|listener| !self.controllers.contains(&listener.name));
        for listener in &advertised {
            let host = listener.address.host.as_str();
            if matches!(host, "" | "0.0.0.0" | "::") {
                return wrong(format!(
                    "advertised.listeners: {}://{} is no address that a client could connect to; \
                     name this machine, or leave the setting out",
                    listener.name, listener.address
                ));
            }
            if !clients.iter().any(|client| client.name == listener.name) {
                return wrong(format!(
                    "advertised.listeners: `{}` is not one of the listeners",
                    listener.name
                ));
            }
        }
        Ok(advertised)
    }
}

fn check_distinct(listeners: &[Listener]) -> Result<(), ConfigError> {
    for (index, listener) in listeners.iter().enumerate() {
        for other in listeners.iter().skip(index + 1) {
            if listener.name == other.name {
                return wrong("listeners: each listener must have a different name");
            }
            let same_host = listener.address.host == other.address.host
                || listener.address.host.is_empty()
                || other.address.host.is_empty();
            if listener.address.port != 0
                && listener.address.port == other.address.port
                && same_host
            {
                return wrong("listeners: each listener must have a different port");
            }
        }
    }
    Ok(())
}

fn http(text: &str) -> Result<Option<HostPort>, ConfigError> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    match HostPort::parse(text) {
        Some(address) => Ok(Some(address)),
        None => wrong(format!("http.listener: `{text}` is neither HOST:PORT nor `off`")),
    }
}

fn wrong<T>(message: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Conflict(message.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;

    fn read(lines: &[&str]) -> Result<Listeners, ConfigError> {
        let mut raw = RawConfig::new();
        for line in lines {
            raw.add_assignment(line)?;
        }
        Listeners::read(&Reader::broker(&raw.settings()))
    }

    fn message(lines: &[&str]) -> String {
        read(lines).unwrap_err().to_string()
    }

    fn plain(name: &str, host: &str, port: u16) -> Listener {
        let address = HostPort { host: host.to_owned(), port };
        Listener { name: name.to_owned(), protocol: Protocol::Plaintext, address }
    }

    #[test]
    fn by_default_only_this_machine_can_connect() {
        let listeners = read(&[]).unwrap();
        assert_eq!(listeners.clients, [plain("PLAINTEXT", "127.0.0.1", 9092)]);
        assert_eq!(listeners.advertised_for("PLAINTEXT"), None);
        assert_eq!(listeners.inter_broker, "PLAINTEXT");
        let http = listeners.http.unwrap();
        assert_eq!(http.to_string(), "127.0.0.1:9644");
        assert!(http.is_loopback() && listeners.clients[0].address.is_loopback());
    }

    #[test]
    fn off_is_no_listener_at_all() {
        let listeners = read(&["listeners=Off"]).unwrap();
        assert_eq!((listeners.clients, listeners.inter_broker.as_str()), (Vec::new(), ""));
        assert!(
            message(&["listeners=off", "advertised.listeners=PLAINTEXT://h:1"])
                .contains("`PLAINTEXT` is not")
        );
        assert!(message(&["listeners=off,PLAINTEXT://:1"]).contains("`off` is not of the form"));
    }

    #[test]
    fn names_hosts_and_ports() {
        let listeners = read(&[
            "listeners=plaintext://:9092, OUT://[::1]:9093,Third://broker-1.example:0",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OUT:PLAINTEXT,third:plaintext",
            "advertised.listeners=OUT://out.example:19093",
            "inter.broker.listener.name=OUT",
            "http.listener=OFF",
        ])
        .unwrap();
        let expected = [
            plain("PLAINTEXT", "", 9092),
            plain("OUT", "::1", 9093),
            plain("THIRD", "broker-1.example", 0),
        ];
        assert_eq!(listeners.clients, expected);
        assert_eq!(listeners.clients[1].address.to_string(), "[::1]:9093");
        assert_eq!(listeners.advertised_for("OUT").unwrap().to_string(), "out.example:19093");
        assert_eq!(listeners.advertised_for("THIRD"), None);
        assert_eq!((listeners.inter_broker.as_str(), listeners.http), ("OUT", None));
    }

    #[test]
    fn controllers_have_listeners_of_their_own() {
        let listeners = read(&[
            "listeners=PLAINTEXT://:9092,CONTROLLER://:9093",
            "controller.listener.names=CONTROLLER",
            "advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
        ])
        .unwrap();
        assert_eq!(listeners.clients, [plain("PLAINTEXT", "", 9092)]);
        assert_eq!(listeners.controllers, [plain("CONTROLLER", "", 9093)]);
        assert_eq!(listeners.advertised, [plain("PLAINTEXT", "localhost", 9092)]);
    }

    #[test]
    fn mistakes_are_told_with_the_way_out() {
        let form = "is not of the form NAME://HOST:PORT";
        for bad in [
            "9092",
            "localhost:9092",
            "PLAINTEXT://localhost",
            "://:1",
            "PLAINTEXT://:99999",
            "PLAINTEXT://a b:1",
            "PLAINTEXT://[::1:9092",
        ] {
            assert!(message(&[&format!("listeners={bad}")]).ends_with(form), "{bad}");
        }
        assert!(
            message(&["listeners=OUT://:1"]).contains("add OUT:PLAINTEXT to listener.security")
        );
        assert!(message(&["listeners=SSL://:1"]).contains("SSL, which is not supported yet"));
        assert!(message(&["listeners="]).contains("must not be empty"));
        assert!(
            message(&["advertised.listeners=PLAINTEXT://0.0.0.0:1"]).contains("name this machine")
        );
        assert!(message(&["advertised.listeners=PLAINTEXT://:1"]).contains("name this machine"));
        assert!(message(&["listener.security.protocol.map=PLAINTEXT"]).contains("NAME:PROTOCOL"));
        assert!(
            message(&["inter.broker.listener.name=X"]).contains("`X` is not one of the listeners")
        );
        assert!(message(&["http.listener=9644"]).contains("neither HOST:PORT nor `off`"));
        assert!(
            message(&["controller.listener.names=PLAINTEXT"]).contains("at least one listener")
        );
        let two = "listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT";
        assert!(message(&["listeners=A://:1,B://:1", two]).contains("different port"));
        assert!(message(&["listeners=A://:1,A://:2", two]).contains("different name"));
        assert!(read(&["listeners=A://:0,B://:0", two]).is_ok(), "any two free ports");
        assert!(
            message(&["listeners=A://:1", "advertised.listeners=B://h:1", two])
                .contains("`B` is not")
        );
    }
}
