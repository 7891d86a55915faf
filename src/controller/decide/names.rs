//! Topic names: what Kafka allows, and which come twice. Pure.

use std::collections::BTreeSet;

use duramen_protocol::text::Text;

/// The longest topic name: with a partition number it must fit into a file name.
const NAME_MAX_LEN: usize = 249;

/// Checks a topic name. The reasons are Kafka's, word for word, for some clients match on them.
///
/// # Errors
///
/// One line that says what is wrong.
pub fn check_topic_name(name: &str) -> Result<(), String> {
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." => "'.' is not allowed".to_owned(),
        ".." => "'..' is not allowed".to_owned(),
        _ if name.chars().count() > NAME_MAX_LEN => {
            format!("the length of '{name}' is longer than the max allowed length {NAME_MAX_LEN}")
        }
        _ if !name.bytes().all(is_legal) => format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'"
        ),
        _ => return Ok(()),
    };
    Err(format!("Topic name is invalid: {reason}"))
}

fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Which names of a request come more than once; the request's order is kept.
pub(super) struct Names<'a> {
    repeated: BTreeSet<&'a Text>,
    answered: BTreeSet<&'a Text>,
}

impl<'a> Names<'a> {
    /// The names of a request.
    pub(super) fn of(names: impl Iterator<Item = &'a Text>) -> Self {
        let mut seen = BTreeSet::new();
        let repeated = names.filter(|name| !seen.insert(*name)).collect();
        Self { repeated, answered: BTreeSet::new() }
    }

    /// Whether the name comes more than once; `None` when it was answered already.
    pub(super) fn first_sight(&mut self, name: &'a Text) -> Option<bool> {
        self.answered.insert(name).then(|| self.repeated.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kafka_allows_is_allowed() {
        for name in ["orders", "a", "A-b_c.9", "...", "__consumer_offsets", &"x".repeat(249)] {
            assert_eq!(check_topic_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_kafka_refuses_is_refused_and_says_why() {
        for (name, reason) in [
            ("", "the empty string is not allowed"),
            (".", "'.' is not allowed"),
            ("..", "'..' is not allowed"),
            ("a/b", "'a/b' contains one or more characters other than"),
            ("é", "'é' contains one or more characters other than"),
            ("a\0", "contains one or more characters other than"),
            (&"x".repeat(250), "is longer than the max allowed length 249"),
        ] {
            let message = check_topic_name(name).unwrap_err();
            assert!(message.contains(reason), "{name:?}: {message}");
        }
    }
}
