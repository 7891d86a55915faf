//! `consume --filter-…`: regular expressions over keys, values and headers; all must match.

use regex::bytes::Regex;

use super::fields::{HeaderFields, RecordFields};

/// What a record must match to be shown.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    key: Vec<Regex>,
    value: Vec<Regex>,
    headers: Vec<(String, Option<Regex>)>,
}

impl Filter {
    /// Compiles the expressions; a header's is `NAME` or `NAME=REGEX`.
    ///
    /// # Errors
    /// When an expression is none.
    pub fn compile(
        key: &[String],
        value: &[String],
        headers: &[String],
    ) -> Result<Self, regex::Error> {
        let all = |list: &[String]| {
            list.iter().map(|text| Regex::new(text)).collect::<Result<Vec<_>, _>>()
        };
        let header = |text: &String| match text.split_once('=') {
            Some((name, pattern)) => Ok((name.to_owned(), Some(Regex::new(pattern)?))),
            None => Ok((text.clone(), None)),
        };
        Ok(Self {
            key: all(key)?,
            value: all(value)?,
            headers: headers.iter().map(header).collect::<Result<_, regex::Error>>()?,
        })
    }

    /// Whether headers must be collected for it.
    #[must_use]
    pub fn needs_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    /// Whether a record is shown. A null matches nothing.
    #[must_use]
    pub fn lets_through(&self, record: &RecordFields<'_>) -> bool {
        let matches = |patterns: &[Regex], field: Option<&[u8]>| {
            patterns.iter().all(|pattern| field.is_some_and(|bytes| pattern.is_match(bytes)))
        };
        matches(&self.key, record.key)
            && matches(&self.value, record.value)
            && self.headers.iter().all(|wanted| record.headers.iter().any(|h| is(wanted, h)))
    }
}

fn is((name, pattern): &(String, Option<Regex>), header: &HeaderFields<'_>) -> bool {
    let matches = |pattern: &Regex| header.value.is_some_and(|value| pattern.is_match(value));
    header.key == name.as_bytes() && pattern.as_ref().is_none_or(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(key: &[&str], value: &[&str], headers: &[&str]) -> Filter {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        Filter::compile(&owned(key), &owned(value), &owned(headers)).unwrap()
    }

    #[test]
    fn every_pattern_must_match() {
        let record = RecordFields {
            key: Some(b"user-7"),
            value: Some(b"ok \xff"),
            headers: &[HeaderFields { key: b"trace", value: Some(b"abc") }],
            ..RecordFields::default()
        };
        assert!(filter(&[], &[], &[]).lets_through(&record));
        assert!(
            filter(&["^user-"], &["ok", "(?-u)\\xff"], &["trace=^a", "trace"])
                .lets_through(&record)
        );
        assert!(!filter(&["^user-"], &["ok", "bad"], &[]).lets_through(&record));
        assert!(!filter(&[], &[], &["trace=^b"]).lets_through(&record));
        assert!(!filter(&[], &[], &["span"]).lets_through(&record));
        let tombstone = RecordFields { value: None, ..record };
        assert!(!filter(&[], &[""], &[]).lets_through(&tombstone), "a null matches nothing");
        assert!(Filter::compile(&["(".to_owned()], &[], &[]).is_err());
    }
}
