//! How a program asks for a broker inside itself: typed settings, or any by its Kafka name.

use std::path::PathBuf;
use std::time::Duration;

use super::Broker;
use super::start::{self, StartError};
use crate::config::{ConfigError, Durability, RawConfig};
use crate::env::Env;

/// What a temporary broker has instead of the defaults: its records need not outlive it, and whoever
/// waits for it is a test.
const TEMPORARY: &[(&str, &str)] = &[
    ("log.durability", "page-cache"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("offsets.topic.num.partitions", "4"),
];

/// Protocols that are listener names at the same time.
const STANDARD: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

/// Settings that say where the data is.
const PLACES: [&str; 3] = ["log.dirs", "log.dir", "metadata.log.dir"];

/// Makes a [`Broker`]; begun by [`Broker::builder`].
///
/// What is not set has Kafka's default, and what Kafka does not know that of `duramen serve`, with these
/// exceptions: no port is opened unless [`listen`](Self::listen) or [`http`](Self::http) asks for it,
/// and without a [`directory`](Self::directory) the broker is temporary.
///
/// A temporary broker lives in a new directory among the temporary files (`TMPDIR`), which is removed
/// with it. Nothing there is ever synced; it acknowledges from memory (`log.durability=page-cache`),
/// lets the first member of a group begin at once (`group.initial.rebalance.delay.ms=0`) and has 4
/// partitions of `__consumer_offsets`. Each of these can be set.
#[derive(Debug, Clone, Default)]
#[must_use = "nothing runs before `start`"]
pub struct BrokerBuilder {
    directory: Option<PathBuf>,
    listeners: Vec<String>,
    http: Option<String>,
    /// Name, value, and the method that was called.
    typed: Vec<(String, String, &'static str)>,
}

impl BrokerBuilder {
    /// Keeps the data in this directory, which is made when it is not there: the broker is as durable as
    /// any, and the next one on the same directory goes on where it ended. One broker at a time.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Opens a port for clients of any kind: `HOST:PORT`, port 0 for any that is free
    /// ([`Broker::addresses`] says which), `NAME://HOST:PORT` to name it. Called again, it opens another.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listeners.push(address.into());
        self
    }

    /// Serves metrics and health over HTTP at `HOST:PORT`.
    pub fn http(mut self, address: impl Into<String>) -> Self {
        self.http = Some(address.into());
        self
    }

    /// What an `acks=all` answer promises where a topic does not say (`log.durability`).
    pub fn durability(self, durability: Durability) -> Self {
        self.typed("log.durability", durability.word(), "durability")
    }

    /// Partitions of a topic that is made without a number (`num.partitions`); 1 by default.
    pub fn default_partitions(self, partitions: u32) -> Self {
        self.typed("num.partitions", partitions, "default_partitions")
    }

    /// Whether a topic is made when it is first asked for (`auto.create.topics.enable`); so by default.
    pub fn auto_create_topics(self, enable: bool) -> Self {
        self.typed("auto.create.topics.enable", enable, "auto_create_topics")
    }

    /// How long records are kept where a topic does not say (`log.retention.ms`); `None` is for ever. A
    /// week by default.
    pub fn retention(self, time: impl Into<Option<Duration>>) -> Self {
        let ms = time.into().map_or(-1, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX));
        self.typed("log.retention.ms", ms, "retention")
    }

    /// How many bytes of a partition are kept where a topic does not say (`log.retention.bytes`); `None`,
    /// the default, is no limit.
    pub fn retention_bytes(self, bytes: impl Into<Option<u64>>) -> Self {
        let bytes = bytes.into().map_or(-1, |it| i64::try_from(it).unwrap_or(i64::MAX));
        self.typed("log.retention.bytes", bytes, "retention_bytes")
    }

    /// The largest record batch that is taken where a topic does not say, in bytes
    /// (`message.max.bytes`).
    pub fn message_max_bytes(self, bytes: u32) -> Self {
        self.typed("message.max.bytes", bytes, "message_max_bytes")
    }

    /// How long the first generation of an empty group waits for more members
    /// (`group.initial.rebalance.delay.ms`).
    pub fn initial_rebalance_delay(self, delay: Duration) -> Self {
        let name = "group.initial.rebalance.delay.ms";
        self.typed(name, delay.as_millis(), "initial_rebalance_delay")
    }

    /// The broker's number (`node.id`); 1 by default. A directory keeps to one.
    pub fn node_id(self, id: u32) -> Self {
        self.typed("node.id", id, "node_id")
    }

    /// Any setting by its Kafka name, as in `server.properties`. A name that is unknown or a value that
    /// it does not take is refused by [`start`](Self::start). What is set later holds.
    pub fn set(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.typed(name, value.into(), "set")
    }

    fn typed(
        mut self,
        name: impl Into<String>,
        value: impl ToString,
        method: &'static str,
    ) -> Self {
        self.typed.push((name.into(), value.to_string(), method));
        self
    }

    /// Starts the broker on the current runtime, which needs its clock (and its I/O driver, when a port
    /// is opened), and returns once it serves. When this future is dropped before its end, all that was
    /// begun is undone.
    ///
    /// # Errors
    /// [`StartError`], each in one line that says what to do.
    pub async fn start(self) -> Result<Broker, StartError> {
        let (env, temporary) = match self.is_temporary() {
            true => Env::temporary().map(|(env, path)| (env, Some(path)))?,
            false => (Env::real(), None),
        };
        let raw = self.settings(temporary)?;
        raw.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        start::start(env, raw.settings()).await
    }

    fn is_temporary(&self) -> bool {
        let names_one = |typed: &(String, _, _)| PLACES.contains(&typed.0.as_str());
        self.directory.is_none() && !self.typed.iter().any(names_one)
    }

    /// All settings, those that come with a temporary directory among them.
    fn settings(self, temporary: Option<PathBuf>) -> Result<RawConfig, ConfigError> {
        let mut raw = RawConfig::new();
        if temporary.is_some() {
            TEMPORARY.iter().try_for_each(|(name, value)| raw.set(name, value, "temporary"))?;
        }
        if let Some(path) = temporary.or(self.directory) {
            raw.set("log.dirs", &as_setting(&path)?, "directory")?;
        }
        raw.set("http.listener", self.http.as_deref().unwrap_or("off"), "http")?;
        listen(&mut raw, &self.listeners)?;
        for (name, value, method) in &self.typed {
            raw.set(name, value, method)?;
        }
        Ok(raw)
    }
}

/// A directory as `log.dirs`, a list, can say it.
fn as_setting(path: &std::path::Path) -> Result<String, ConfigError> {
    let text = path.to_str().filter(|text| !text.contains(',') && text.trim() == *text);
    text.filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| {
        ConfigError::Conflict(format!(
            "directory: `{}` is no name for a log directory; use one of UTF-8, not empty, without \
             commas and without blanks at its ends",
            path.display()
        ))
    })
}

/// Sets the listeners; those without a name get one.
fn listen(raw: &mut RawConfig, addresses: &[String]) -> Result<(), ConfigError> {
    if addresses.is_empty() {
        return raw.set("listeners", "off", "listen");
    }
    let mut protocols = STANDARD.map(|name| format!("{name}:{name}")).to_vec();
    let mut named = Vec::new();
    for (index, address) in addresses.iter().enumerate() {
        let listener = match (address.contains("://"), index) {
            (true, _) => address.clone(),
            (false, 0) => format!("PLAINTEXT://{address}"),
            (false, _) => format!("PLAINTEXT{}://{address}", index + 1),
        };
        let name = listener.split_once("://").map_or("", |(name, _)| name);
        // Of a name that stands twice, the first holds.
        protocols.push(format!("{name}:PLAINTEXT"));
        named.push(listener);
    }
    raw.set("listeners", &named.join(","), "listen")?;
    raw.set("listener.security.protocol.map", &protocols.join(","), "listen")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BrokerConfig;

    fn config(builder: BrokerBuilder) -> BrokerConfig {
        let temporary = builder.is_temporary().then(|| PathBuf::from("/some/where"));
        BrokerConfig::resolve(&builder.settings(temporary).unwrap().settings()).unwrap()
    }

    fn refusal(builder: BrokerBuilder) -> String {
        let raw = builder.settings(None).map(|raw| raw.settings());
        raw.and_then(|settings| BrokerConfig::resolve(&settings)).unwrap_err().to_string()
    }

    #[test]
    fn a_temporary_broker_waits_for_nothing_unless_told_to() {
        let plain = config(BrokerBuilder::default());
        assert_eq!(plain.topic_defaults.durability, Durability::PageCache);
        assert!(plain.groups.initial_rebalance_delay.is_zero());
        assert!(plain.listeners.clients.is_empty() && plain.listeners.http.is_none());
        assert_eq!(plain.log.dirs, [PathBuf::from("/some/where")]);
        let told = BrokerBuilder::default()
            .initial_rebalance_delay(Duration::from_millis(7))
            .durability(Durability::Disk);
        assert_eq!(config(told.clone()).topic_defaults.durability, Durability::Disk);
        assert_eq!(config(told).groups.initial_rebalance_delay, Duration::from_millis(7));
        let lasting = config(BrokerBuilder::default().directory("/data"));
        assert_eq!(lasting.topic_defaults.durability, Durability::Disk);
        assert_eq!(lasting.groups.initial_rebalance_delay, Duration::from_secs(3));
    }

    #[test]
    fn typed_settings_and_named_ones_are_the_same() {
        let typed = BrokerBuilder::default()
            .directory("/data")
            .default_partitions(3)
            .auto_create_topics(false)
            .retention(Duration::from_secs(2))
            .retention_bytes(5)
            .message_max_bytes(6)
            .node_id(7);
        let named = [
            ("log.dirs", "/data"),
            ("num.partitions", "3"),
            ("auto.create.topics.enable", "false"),
            ("log.retention.ms", "2000"),
            ("log.retention.bytes", "5"),
            ("message.max.bytes", "6"),
            ("node.id", "7"),
        ];
        let named =
            named.iter().fold(BrokerBuilder::default(), |it, (name, value)| it.set(*name, *value));
        assert_eq!(config(typed.clone()), config(named));
        let config = config(typed.retention(None).retention_bytes(None));
        assert_eq!(config.topic_defaults.retention_ms, None);
        assert_eq!(config.topic_defaults.retention_bytes, None);
    }

    #[test]
    fn listeners_get_names() {
        let addresses = ["127.0.0.1:0", "out://0.0.0.0:0", "[::1]:0"];
        let builder = addresses.iter().fold(BrokerBuilder::default(), |it, at| it.listen(*at));
        let clients = config(builder).listeners.clients;
        let shown = clients.iter().map(|it| format!("{}://{}", it.name, it.address));
        let wanted = ["PLAINTEXT://127.0.0.1:0", "OUT://0.0.0.0:0", "PLAINTEXT3://[::1]:0"];
        assert_eq!(shown.collect::<Vec<_>>(), wanted);
        assert!(refusal(BrokerBuilder::default().listen("ssl://:1")).contains("not supported yet"));
        assert!(refusal(BrokerBuilder::default().listen("x")).contains("NAME://HOST:PORT"));
    }

    #[test]
    fn what_is_wrong_is_told_as_for_server_properties() {
        let new = BrokerBuilder::default;
        assert_eq!(
            refusal(new().set("log.retension.ms", "1")),
            "set: unknown setting `log.retension.ms`; did you mean `log.retention.ms`?"
        );
        assert!(refusal(new().default_partitions(0)).starts_with("default_partitions: Invalid"));
        for path in ["", "a,b", " a"] {
            assert!(refusal(new().directory(path)).contains("is no name for a log directory"));
        }
    }
}
