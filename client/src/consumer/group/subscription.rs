//! The topics that a member reads: names, or a pattern of names.

use std::collections::BTreeSet;
use std::fmt;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;
use regex::{Regex, RegexBuilder};

use crate::error::ClientError;

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;

/// The topics that a member reads. Names and a [`Pattern`] turn into one by themselves, where one is asked
/// for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Subscription {
    /// These. One that does not exist is read when it does.
    Names(Vec<Text>),
    /// All whose whole name matches, but for those that the cluster keeps for itself. The coordinator
    /// matches in a group of KIP-848; in a classic group the client does, each
    /// [`metadata_max_age`](crate::ClusterOptions::metadata_max_age).
    Pattern(Pattern),
}

impl Subscription {
    /// The names, sorted and each once; none of a pattern.
    pub(super) fn names(&self) -> &[Text] {
        match self {
            Self::Names(names) => names,
            Self::Pattern(_) => &[],
        }
    }

    pub(super) fn pattern(&self) -> Option<&Pattern> {
        match self {
            Self::Names(_) => None,
            Self::Pattern(pattern) => Some(pattern),
        }
    }
}

impl<N: Into<Text>> FromIterator<N> for Subscription {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        let names: BTreeSet<Text> = names.into_iter().map(Into::into).collect();
        Self::Names(names.into_iter().collect())
    }
}

impl From<&[Text]> for Subscription {
    fn from(names: &[Text]) -> Self {
        names.iter().collect()
    }
}

impl From<&Vec<Text>> for Subscription {
    fn from(names: &Vec<Text>) -> Self {
        names.iter().collect()
    }
}

impl<const N: usize> From<&[Text; N]> for Subscription {
    fn from(names: &[Text; N]) -> Self {
        names.iter().collect()
    }
}

impl<const N: usize> From<[&str; N]> for Subscription {
    fn from(names: [&str; N]) -> Self {
        names.into_iter().collect()
    }
}

impl From<&str> for Subscription {
    fn from(name: &str) -> Self {
        std::iter::once(name).collect()
    }
}

impl From<Pattern> for Subscription {
    fn from(pattern: Pattern) -> Self {
        Self::Pattern(pattern)
    }
}

/// A regular expression of topic names, without look-around and back references. It must match a whole
/// name.
///
/// ```
/// use duramen_client::consumer::group::Pattern;
///
/// let pattern = Pattern::new("orders|payments-.*").unwrap();
/// assert!(pattern.matches("payments-eu") && !pattern.matches("old-orders"));
/// let error = Pattern::new("orders(").unwrap_err();
/// assert!(error.to_string().starts_with("pattern orders(:"), "{error}");
/// ```
#[derive(Clone)]
pub struct Pattern {
    text: Text,
    regex: Regex,
}

impl Pattern {
    /// Reads a regular expression.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidRegularExpression`] when it is none, or too large.
    pub fn new(text: &str) -> Result<Self, ClientError> {
        let build = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_BYTES).build();
        // By itself first: it must not reach out of the brackets that are put around it.
        let regex = build(text).and_then(|_| build(&format!(r"\A(?:{text})\z")));
        let regex = regex.map_err(|error| {
            // The last line says it; those before it show the place.
            let words = error.to_string();
            let words = words.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let code = ErrorCode::InvalidRegularExpression;
            ClientError::refused(format!("pattern {text}"), code, Some(words.into()))
        })?;
        Ok(Self { text: text.into(), regex })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a topic is meant.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        self.regex.is_match(topic)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}
