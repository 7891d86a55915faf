//! From the text of a value to the value, with Kafka's rules and Kafka's words for what is wrong.

use super::error::ConfigError;
use super::setting::{Kind, Setting, Valid};

/// A checked value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a boolean setting.
    Boolean(bool),
    /// Of a short, int or long setting.
    Number(i64),
    /// Of a double setting.
    Double(f64),
    /// Of a string setting.
    Text(String),
    /// Of a list setting.
    List(Vec<String>),
}

impl Value {
    /// The value as Kafka prints it: trimmed, lists joined by plain commas.
    pub fn canonical(&self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Double(value) => format!("{value:?}").replace('e', "E"),
            Self::Text(value) => value.clone(),
            Self::List(values) => values.join(","),
        }
    }
}

/// Reads the value of `setting`.
///
/// # Errors
/// [`ConfigError::Value`] or [`ConfigError::List`] when type or validity rules are broken.
pub fn parse(setting: &Setting, typed: &str) -> Result<Value, ConfigError> {
    let text = typed.trim();
    let value = match setting.kind {
        Kind::Boolean => boolean(text).map(Value::Boolean),
        Kind::String => Some(Value::Text(text.to_owned())),
        Kind::Short => text.parse::<i16>().ok().map(|value| Value::Number(value.into())),
        Kind::Int => text.parse::<i32>().ok().map(|value| Value::Number(value.into())),
        Kind::Long => text.parse().ok().map(Value::Number),
        Kind::Double => text.parse().ok().map(Value::Double),
        Kind::List => Some(Value::List(split_list(text))),
    };
    let value = value.ok_or_else(|| {
        let reason = match setting.kind {
            Kind::Boolean => "Expected value to be either true or false".to_owned(),
            kind => format!("Not a number of type {}", kind.name()),
        };
        ConfigError::value(setting.name, typed, reason)
    })?;
    check(setting, &value)?;
    Ok(value)
}

fn boolean(text: &str) -> Option<bool> {
    let is = |word| text.eq_ignore_ascii_case(word);
    is("true").then_some(true).or_else(|| is("false").then_some(false))
}

fn split_list(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|part| part.trim().to_owned()).collect()
}

fn check(setting: &Setting, value: &Value) -> Result<(), ConfigError> {
    let wrong = |reason: String| Err(ConfigError::value(setting.name, &value.canonical(), reason));
    match (setting.valid, value) {
        (Valid::AtLeast(min), Value::Number(number)) if *number < min => {
            wrong(format!("Value must be at least {min}"))
        }
        (Valid::Between(min, max), Value::Number(number)) => match *number {
            number if number < min => wrong(format!("Value must be at least {min}")),
            number if number > max => wrong(format!("Value must be no more than {max}")),
            _ => Ok(()),
        },
        (Valid::Ratio, Value::Double(number)) if !(0.0..=1.0).contains(number) => {
            let bound = if *number > 1.0 { "no more than 1" } else { "at least 0" };
            wrong(format!("Value must be {bound}"))
        }
        (Valid::GzipLevel, Value::Number(number)) if *number != -1 && !(1..=9).contains(number) => {
            wrong("Value must be between 1 and 9 or equal to -1".to_owned())
        }
        (Valid::OneOf(words), Value::Text(text)) if !words.contains(&text.as_str()) => {
            wrong(format!("String must be one of: {}", words.join(", ")))
        }
        (Valid::OneOfAnyCase(words), Value::Text(text))
            if !words.iter().any(|word| word.eq_ignore_ascii_case(text)) =>
        {
            let words = words.join(", ").to_ascii_uppercase();
            wrong(format!("String must be one of (case insensitive): {words}"))
        }
        (Valid::ListOf(words), Value::List(values)) => {
            check_distinct(setting, values)?;
            let stranger = values.iter().find(|value| !words.contains(&value.as_str()));
            stranger.map_or(Ok(()), |value| {
                let reason = format!("String must be one of: {}", words.join(", "));
                Err(ConfigError::value(setting.name, value, reason))
            })
        }
        (Valid::Distinct, Value::List(values)) if values.is_empty() => Err(ConfigError::list(
            setting.name,
            "must not be empty. Valid values include: any non-empty value",
        )),
        (Valid::Distinct, Value::List(values)) => check_distinct(setting, values),
        (Valid::ThrottledReplicas, Value::List(values)) if !throttled_is_valid(values) => {
            wrong(format!(
                "{} must be the literal '*' or a list of replicas in the following format: \
                 [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                setting.name
            ))
        }
        _ => Ok(()),
    }
}

fn check_distinct(setting: &Setting, values: &[String]) -> Result<(), ConfigError> {
    let repeated = values
        .iter()
        .enumerate()
        .any(|(i, value)| values.iter().skip(i + 1).any(|other| other == value));
    if repeated {
        return Err(ConfigError::list(setting.name, "values must not be duplicated."));
    }
    if values.iter().any(String::is_empty) {
        return Err(ConfigError::list(setting.name, "values must not be empty."));
    }
    Ok(())
}

fn throttled_is_valid(values: &[String]) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let replica = |value: &String| {
        value.split_once(':').is_some_and(|(partition, broker)| number(partition) && number(broker))
    };
    matches!(values, [only] if only == "*") || values.iter().all(replica)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::setting::Level;
    use crate::config::table;

    fn topic(name: &str, text: &str) -> Result<String, String> {
        let row = table::find(Level::Topic, name).unwrap();
        parse(row, text).map(|value| value.canonical()).map_err(|error| error.to_string())
    }

    fn refused(name: &str, text: &str, why: &str) {
        let message = topic(name, text).unwrap_err();
        assert_eq!(message, format!("Invalid value {text} for configuration {name}: {why}"));
    }

    #[test]
    fn values_are_printed_as_kafka_prints_them() {
        assert_eq!(topic("retention.ms", " +5 "), Ok("5".to_owned()));
        assert_eq!(topic("preallocate", "TRUE"), Ok("true".to_owned()));
        assert_eq!(topic("min.cleanable.dirty.ratio", "1"), Ok("1.0".to_owned()));
        assert_eq!(topic("cleanup.policy", "compact , delete"), Ok("compact,delete".to_owned()));
        assert_eq!(topic("cleanup.policy", ""), Ok(String::new()), "keep everything");
        assert_eq!(topic("retention.bytes", "-5"), Ok("-5".to_owned()));
    }

    #[test]
    fn wrong_types_in_kafkas_words() {
        refused("segment.bytes", "big", "Not a number of type INT");
        refused("segment.bytes", "2147483648", "Not a number of type INT");
        refused("segment.ms", "1.5", "Not a number of type LONG");
        refused("min.cleanable.dirty.ratio", "half", "Not a number of type DOUBLE");
        refused("preallocate", "yes", "Expected value to be either true or false");
    }

    #[test]
    fn values_out_of_bounds_in_kafkas_words() {
        refused("segment.bytes", "1", "Value must be at least 1048576");
        refused("retention.ms", "-2", "Value must be at least -1");
        refused("min.insync.replicas", "0", "Value must be at least 1");
        refused("min.cleanable.dirty.ratio", "1.5", "Value must be no more than 1");
        refused("min.cleanable.dirty.ratio", "-0.5", "Value must be at least 0");
        refused("compression.lz4.level", "18", "Value must be no more than 17");
        for level in ["0", "10", "-2"] {
            refused(
                "compression.gzip.level",
                level,
                "Value must be between 1 and 9 or equal to -1",
            );
        }
        assert!(topic("min.cleanable.dirty.ratio", "NaN").is_err());
    }

    #[test]
    fn words_that_are_not_on_the_list() {
        refused(
            "compression.type",
            "brotli",
            "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
        );
        refused("durability", "ram", "String must be one of: disk, page-cache");
        refused("cleanup.policy", "keep", "String must be one of: compact, delete");
        let twice = topic("cleanup.policy", "delete,delete").unwrap_err();
        assert_eq!(twice, "Configuration 'cleanup.policy' values must not be duplicated.");
        let empty = topic("cleanup.policy", "delete,").unwrap_err();
        assert_eq!(empty, "Configuration 'cleanup.policy' values must not be empty.");
    }

    #[test]
    fn throttled_replicas() {
        let name = "leader.replication.throttled.replicas";
        for text in ["", "*", "0:1", "0:1,2:33"] {
            assert_eq!(topic(name, text), Ok(text.to_owned()));
        }
        for text in ["0", "0:", ":1", "a:b", "*,0:1", "0:1:2", "0:-1"] {
            assert!(topic(name, text).unwrap_err().contains("must be the literal '*'"), "{text}");
        }
    }
}
