//! What was typed before the start: properties file, `DURAMEN_…` environment, `--set`. Each name
//! and value is checked where it comes in, so that an error can say where it was typed.

use std::collections::BTreeMap;

use duramen_client::properties::text;
use duramen_protocol::text::Text;

use super::error::ConfigError;
use super::setting::Level;
use super::settings::Settings;
use super::table;
use super::value::parse;

/// What names of environment variables for settings begin with.
pub const ENV_PREFIX: &str = "DURAMEN_";

/// Variables with the prefix that mean something to the command line and are no settings.
const ENV_RESERVED: &[&str] = &[
    "BROKERS",
    "COLOR",
    "CONFIG",
    "DATA",
    "FORMAT",
    "HTTP",
    "LISTEN",
    "LOG",
    "LOG_FORMAT",
    "LOG_LEVEL",
];

/// One setting as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Typed {
    value: String,
    place: String,
}

/// Everything that was typed; what comes in later outweighs what came in before. Take them in the
/// order file, environment, `--set`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawConfig {
    typed: BTreeMap<String, Typed>,
    warnings: Vec<String>,
}

impl RawConfig {
    /// Nothing typed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the settings in the `text` of the properties file at `path`.
    ///
    /// # Errors
    /// [`ConfigError::At`] with file and line: a malformed line, an unknown name, a wrong value.
    pub fn add_file(&mut self, path: &str, text: &str) -> Result<(), ConfigError> {
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for property in text::parse(text).map_err(|error| ConfigError::Escape(error).at(path))? {
            let line = property.line;
            if let Some(before) = lines.insert(property.name.clone(), line) {
                self.warnings.push(format!(
                    "{path}: line {line}: `{}` was set on line {before} already, this line holds",
                    property.name
                ));
            }
            self.set(&property.name, &property.value, &format!("{path}: line {line}"))?;
        }
        Ok(())
    }

    /// Takes the settings among environment variables: `DURAMEN_LOG_RETENTION_MS` is
    /// `log.retention.ms`. Others are left alone.
    ///
    /// # Errors
    /// [`ConfigError::At`] with the variable: an unknown name, a wrong value.
    pub fn add_env(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (variable, value) in variables {
            let Some(rest) = variable.strip_prefix(ENV_PREFIX) else { continue };
            if !ENV_RESERVED.contains(&rest) && !is_service_link(rest) {
                let name = rest.to_ascii_lowercase().replace('_', ".");
                self.set(&name, &value, &format!("environment variable {variable}"))?;
            }
        }
        Ok(())
    }

    /// Takes a `NAME=VALUE` from the command line.
    ///
    /// # Errors
    /// [`ConfigError::NotNameValue`], or [`ConfigError::At`] with the text: an unknown name, a
    /// wrong value.
    pub fn add_assignment(&mut self, text: &str) -> Result<(), ConfigError> {
        let (name, value) =
            text.split_once('=').ok_or_else(|| ConfigError::NotNameValue(text.to_owned()))?;
        self.set(name.trim(), value, &format!("--set {}", name.trim()))
    }

    /// Takes one setting that was typed at `place`, words for a person (`--data`).
    ///
    /// # Errors
    /// [`ConfigError::At`] with the place: an unknown name, a wrong value.
    pub fn set(&mut self, name: &str, value: &str, place: &str) -> Result<(), ConfigError> {
        if let Some(setting) = table::find(Level::Broker, name) {
            parse(setting, value).map_err(|error| error.at(place))?;
            let typed = Typed { value: value.to_owned(), place: place.to_owned() };
            self.typed.insert(name.to_owned(), typed);
        } else if table::is_kafka_without_effect(name) {
            self.warnings.push(format!("{place}: `{name}` is Kafka's and has no effect here"));
        } else {
            let nearest = table::nearest(Level::Broker, name).map(str::to_owned);
            return Err(ConfigError::Unknown { name: name.to_owned(), nearest }.at(place));
        }
        Ok(())
    }

    /// Lines to log once there is a log: settings without effect, settings typed twice.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Where the setting `name` was typed, in words for a person.
    pub fn place(&self, name: &str) -> Option<&str> {
        self.typed.get(name).map(|typed| typed.place.as_str())
    }

    /// The layers of settings, with nothing given at run time yet.
    pub fn settings(&self) -> Settings {
        let text = |(name, typed): (&String, &Typed)| {
            (Text::from(name.as_str()), Text::from(typed.value.as_str()))
        };
        Settings::new(self.typed.iter().map(text).collect())
    }
}

/// Whether Kubernetes made this variable, for a service called `duramen` or `duramen-…`.
fn is_service_link(rest: &str) -> bool {
    let words: Vec<&str> = rest.split('_').collect();
    words.iter().enumerate().any(|(index, word)| {
        let next = words.get(index + 1).copied();
        match *word {
            "SERVICE" => matches!(next, Some("HOST" | "PORT")),
            "PORT" => next.is_none_or(|next| next.bytes().all(|byte| byte.is_ascii_digit())),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_file(text: &str) -> Result<RawConfig, ConfigError> {
        let mut raw = RawConfig::new();
        raw.add_file("server.properties", text).map(|()| raw)
    }

    fn message<T: std::fmt::Debug>(result: Result<T, ConfigError>) -> String {
        result.unwrap_err().to_string()
    }

    fn value(raw: &RawConfig, name: &str) -> String {
        let setting = table::find(Level::Broker, name).unwrap();
        raw.settings().broker_value(setting).unwrap().unwrap().canonical()
    }

    #[test]
    fn later_outweighs_earlier() {
        let mut raw = from_file("num.partitions=2\nlog.retention.ms=5\nnode.id=9\n").unwrap();
        let variables = [("DURAMEN_NUM_PARTITIONS", "3"), ("DURAMEN_LOG_RETENTION_MS", "6")];
        raw.add_env(variables.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        raw.add_assignment("num.partitions=4").unwrap();
        assert_eq!(value(&raw, "num.partitions"), "4");
        assert_eq!(value(&raw, "log.retention.ms"), "6");
        assert_eq!(value(&raw, "node.id"), "9");
        assert_eq!(raw.place("node.id"), Some("server.properties: line 3"));
    }

    #[test]
    fn an_unknown_name_suggests_the_nearest_and_tells_its_place() {
        assert_eq!(
            message(from_file("\nlog.retension.ms=1\n")),
            "server.properties: line 2: unknown setting `log.retension.ms`; \
             did you mean `log.retention.ms`?"
        );
        let mut raw = RawConfig::new();
        assert_eq!(
            message(raw.add_assignment("zookeeper.connect=localhost:2181")),
            "--set zookeeper.connect: unknown setting `zookeeper.connect`"
        );
        assert_eq!(
            message(raw.add_env([("DURAMEN_NUM_PARTITION".to_owned(), "3".to_owned())])),
            "environment variable DURAMEN_NUM_PARTITION: unknown setting `num.partition`; \
             did you mean `num.partitions`?"
        );
    }

    #[test]
    fn a_topics_name_suggests_the_brokers() {
        assert!(message(from_file("retention.ms=1")).ends_with("did you mean `log.retention.ms`?"));
        assert!(
            message(from_file("max.message.bytes=1"))
                .ends_with("did you mean `message.max.bytes`?")
        );
    }

    #[test]
    fn a_wrong_value_is_told_with_its_place() {
        assert_eq!(
            message(from_file("num.partitions=many")),
            "server.properties: line 1: Invalid value many for configuration num.partitions: \
             Not a number of type INT"
        );
        let mut raw = RawConfig::new();
        assert_eq!(
            message(raw.add_assignment("num.partitions")),
            "`num.partitions` is not of the form NAME=VALUE"
        );
    }

    #[test]
    fn settings_without_effect_and_repeated_ones_are_warned_of() {
        let raw = from_file("num.io.threads=8\nnode.id=1\nnode.id=2").unwrap();
        assert_eq!(
            raw.warnings(),
            [
                "server.properties: line 1: `num.io.threads` is Kafka's and has no effect here",
                "server.properties: line 3: `node.id` was set on line 2 already, this line holds",
            ]
        );
        assert_eq!(value(&raw, "node.id"), "2");
    }

    #[test]
    fn variables_that_are_no_settings_are_left_alone() {
        let mut raw = RawConfig::new();
        let names = [
            "PATH",
            "DURAMEN_BROKERS",
            "DURAMEN_SERVICE_HOST",
            "DURAMEN_SERVICE_PORT_KAFKA",
            "DURAMEN_PORT",
            "DURAMEN_PORT_9092_TCP_ADDR",
            "DURAMEN_HEADLESS_PORT_9092_TCP",
        ];
        raw.add_env(names.map(|name| (name.to_owned(), "x".to_owned()))).unwrap();
        assert_eq!(raw, RawConfig::new());
    }
}
