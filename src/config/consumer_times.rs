//! [`ConsumerTimes`]: how often members of KIP-848 groups are to be heard of, and how long they may be
//! silent. The broker says so for all groups, and each group for itself within the broker's bounds.

use std::time::Duration;

use super::error::ConfigError;
use super::reader::Reader;
use super::setting::Level;
use super::settings::{Settings, Texts};
use super::table;
use super::value::parse;

const SESSION: &str = "session.timeout.ms";
const HEARTBEAT: &str = "heartbeat.interval.ms";

/// The times of a KIP-848 group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerTimes {
    /// How long a member may be silent.
    pub session: Bounded,
    /// How often a member is to be heard of; less than the session.
    pub heartbeat: Bounded,
}

/// A time in ms, and from what to what a group may set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded {
    /// What it is.
    pub ms: i32,
    /// The least that it may be.
    pub min: i32,
    /// The most that it may be.
    pub max: i32,
}

impl ConsumerTimes {
    /// What a broker with `settings` has for groups that set nothing.
    ///
    /// # Errors
    /// [`ConfigError`]: a wrong value, or values that do not go together.
    pub fn resolve(settings: &Settings) -> Result<Self, ConfigError> {
        Self::read(&Reader::broker(settings))
    }

    pub(super) fn read(of: &Reader<'_>) -> Result<Self, ConfigError> {
        let times = Self { session: bounded(of, SESSION)?, heartbeat: bounded(of, HEARTBEAT)? };
        let (session, heartbeat) = (times.session.ms, times.heartbeat.ms);
        if heartbeat >= session {
            return Err(ConfigError::Conflict(format!(
                "group.consumer.{HEARTBEAT} ({heartbeat}) must be less than \
                 group.consumer.{SESSION} ({session})"
            )));
        }
        Ok(times)
    }

    /// The session timeout.
    pub fn session_timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.session.ms.unsigned_abs()))
    }

    /// The times of a group that wants to set `own`.
    ///
    /// # Errors
    /// [`ConfigError`] with Kafka's words: an unknown name, a wrong value, one out of bounds.
    pub fn checked(self, own: &Texts) -> Result<Self, ConfigError> {
        for (name, text) in own {
            match table::find(Level::Group, name) {
                Some(row) => drop(parse(row, text)?),
                None => return Err(unknown(name)),
            }
        }
        let session = self.session.set(SESSION, own)?;
        let heartbeat = self.heartbeat.set(HEARTBEAT, own)?;
        if heartbeat.ms >= session.ms {
            return Err(ConfigError::Conflict(format!(
                "consumer.{SESSION} ({}) must be greater than consumer.{HEARTBEAT} ({})",
                session.ms, heartbeat.ms
            )));
        }
        Ok(Self { session, heartbeat })
    }

    /// The times of a group that has set `own`. What was within the bounds when it was set is brought
    /// within those of today; where that makes no sense, nothing is set.
    #[must_use]
    pub fn of_group(self, own: &Texts) -> Self {
        let within = |broker: Bounded, name| match given(name, own) {
            Some(ms) => Bounded { ms: ms.max(broker.min).min(broker.max), ..broker },
            None => broker,
        };
        let session = within(self.session, SESSION);
        let heartbeat = within(self.heartbeat, HEARTBEAT);
        if heartbeat.ms < session.ms { Self { session, heartbeat } } else { self }
    }
}

impl Bounded {
    fn set(self, name: &str, own: &Texts) -> Result<Self, ConfigError> {
        let Some(ms) = given(name, own) else { return Ok(self) };
        let wrong = |side: &str, bound: &str, limit: i32| {
            Err(ConfigError::Conflict(format!(
                "consumer.{name} must be {side} than or equal to group.consumer.{bound}.{name} ({limit})"
            )))
        };
        match ms {
            ms if ms < self.min => wrong("greater", "min", self.min),
            ms if ms > self.max => wrong("less", "max", self.max),
            ms => Ok(Self { ms, ..self }),
        }
    }
}

fn bounded(of: &Reader<'_>, name: &str) -> Result<Bounded, ConfigError> {
    let [here, lowest, highest] =
        ["", "min.", "max."].map(|it| format!("group.consumer.{it}{name}"));
    let (ms, min, max) = (of.int(&here)?, of.int(&lowest)?, of.int(&highest)?);
    if ms < min || ms > max {
        return Err(ConfigError::Conflict(format!(
            "{here} ({ms}) must be from {lowest} ({min}) to {highest} ({max})"
        )));
    }
    Ok(Bounded { ms, min, max })
}

/// What a group sets, as far as it is a number.
fn given(name: &str, own: &Texts) -> Option<i32> {
    own.get(format!("consumer.{name}").as_str())?.trim().parse().ok()
}

fn unknown(name: &str) -> ConfigError {
    if table::is_kafka_group_without_effect(name) {
        return ConfigError::Conflict(format!(
            "{name} is a group config of Kafka's that has no effect here; leave it out"
        ));
    }
    let nearest = table::nearest(Level::Group, name).map(str::to_owned);
    ConfigError::UnknownOwn { of: "group", name: name.to_owned(), nearest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;
    use duramen_protocol::text::Text;

    fn broker(lines: &[&str]) -> ConsumerTimes {
        let mut raw = RawConfig::new();
        for line in lines {
            raw.add_assignment(line).unwrap();
        }
        ConsumerTimes::resolve(&raw.settings()).unwrap()
    }

    fn own(pairs: &[(&str, &str)]) -> Texts {
        pairs.iter().map(|(name, value)| (Text::from(*name), Text::from(*value))).collect()
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        broker(&[]).checked(&own(pairs)).unwrap_err().to_string()
    }

    #[test]
    fn a_group_sets_its_times_within_the_brokers_bounds() {
        let set = own(&[
            ("consumer.session.timeout.ms", " 50000 "),
            ("consumer.heartbeat.interval.ms", "6000"),
        ]);
        let times = broker(&[]).checked(&set).unwrap();
        assert_eq!((times.session.ms, times.heartbeat.ms), (50_000, 6_000));
        assert_eq!(times, broker(&[]).of_group(&set));
        assert_eq!(broker(&[]).checked(&own(&[])), Ok(broker(&[])));
    }

    #[test]
    fn what_a_group_may_not_set() {
        for (name, value, why) in [
            (
                "consumer.session.timeout.ms",
                "44999",
                "consumer.session.timeout.ms must be greater than or equal to \
                 group.consumer.min.session.timeout.ms (45000)",
            ),
            (
                "consumer.heartbeat.interval.ms",
                "15001",
                "consumer.heartbeat.interval.ms must be less than or equal to \
                 group.consumer.max.heartbeat.interval.ms (15000)",
            ),
            (
                "consumer.session.timeout.ms",
                "long",
                "Invalid value long for configuration consumer.session.timeout.ms: \
                 Not a number of type INT",
            ),
            (
                "consumer.session.timeout",
                "50000",
                "Unknown group config name: consumer.session.timeout; \
                 did you mean `consumer.session.timeout.ms`?",
            ),
            (
                "group.consumer.session.timeout.ms",
                "50000",
                "Unknown group config name: group.consumer.session.timeout.ms; \
                 did you mean `consumer.session.timeout.ms`?",
            ),
            (
                "share.session.timeout.ms",
                "50000",
                "share.session.timeout.ms is a group config of Kafka's that has no effect here; \
                 leave it out",
            ),
        ] {
            assert_eq!(refused(&[(name, value)]), why);
        }
        let near = broker(&["group.consumer.min.session.timeout.ms=1000"]);
        let set =
            [("consumer.session.timeout.ms", "6000"), ("consumer.heartbeat.interval.ms", "6000")];
        let error = near.checked(&own(&set)).unwrap_err().to_string();
        assert_eq!(
            error,
            "consumer.session.timeout.ms (6000) must be greater than \
             consumer.heartbeat.interval.ms (6000)"
        );
    }

    #[test]
    fn bounds_that_changed_since_hold() {
        let set = own(&[
            ("consumer.session.timeout.ms", "50000"),
            ("consumer.heartbeat.interval.ms", "14000"),
        ]);
        let narrow = broker(&[
            "group.consumer.max.session.timeout.ms=48000",
            "group.consumer.max.heartbeat.interval.ms=9000",
        ]);
        let times = narrow.of_group(&set);
        assert_eq!((times.session.ms, times.heartbeat.ms), (48_000, 9_000));
        let short = broker(&[
            "group.consumer.min.session.timeout.ms=6000",
            "group.consumer.session.timeout.ms=10000",
            "group.consumer.max.session.timeout.ms=12000",
        ]);
        assert_eq!(short.of_group(&set), short, "a heartbeat in 14 s would come too late");
    }
}
