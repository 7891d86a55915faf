//! `Text`: the immutable string that every message field of Kafka's type `string` becomes.
//!
//! It is sixteen bytes, clones by raising a counter, and owns its characters: a topic name kept in
//! long-lived state never keeps the network buffer alive that it came in. The empty text, which most
//! absent fields are, allocates nothing.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// An immutable, cheaply cloned UTF-8 string. Compares, hashes and prints as the `str` it holds.
#[derive(Clone, Default)]
pub struct Text(Option<Arc<str>>);

impl Text {
    /// The empty text; allocates nothing.
    pub const EMPTY: Self = Self(None);

    /// The characters.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(value: &str) -> Self {
        if value.is_empty() { Self::EMPTY } else { Self(Some(Arc::from(value))) }
    }
}

impl From<String> for Text {
    fn from(value: String) -> Self {
        Self::from(value.as_str())
    }
}

impl From<&String> for Text {
    fn from(value: &String) -> Self {
        Self::from(value.as_str())
    }
}

impl From<Arc<str>> for Text {
    fn from(value: Arc<str>) -> Self {
        if value.is_empty() { Self::EMPTY } else { Self(Some(value)) }
    }
}

impl From<&Text> for Text {
    fn from(value: &Text) -> Self {
        value.clone()
    }
}

impl From<Text> for String {
    fn from(value: Text) -> Self {
        value.as_str().to_owned()
    }
}

impl FromIterator<char> for Text {
    fn from_iter<I: IntoIterator<Item = char>>(characters: I) -> Self {
        Self::from(characters.into_iter().collect::<String>())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<Text> for str {
    fn eq(&self, other: &Text) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<Text> for &str {
    fn eq(&self, other: &Text) -> bool {
        *self == other.as_str()
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), formatter)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn a_map_keyed_by_text_is_asked_with_a_str() {
        let partitions = HashMap::from([(Text::from("orders"), 3)]);
        assert_eq!(partitions.get("orders"), Some(&3));
        assert_eq!(partitions.get("order"), None);
    }

    #[test]
    fn the_empty_text_equals_every_other_empty_text() {
        assert_eq!(Text::EMPTY, Text::from(""));
        assert_eq!(Text::from(String::new()), Text::default());
        assert_eq!(Text::from(Arc::from("")), "");
        assert_eq!(Text::default().len(), 0);
    }

    #[test]
    fn it_sorts_and_prints_as_its_characters() {
        let mut names = [Text::from("b"), Text::EMPTY, Text::from("a")];
        names.sort();
        assert_eq!(names, ["", "a", "b"]);
        assert_eq!(format!("{} {:?}", Text::from("é"), Text::from("é")), "é \"é\"");
    }
}
