//! `--filter-…` of `consume` and `replay`: regular expressions over keys, values, headers, and what a
//! JSON path finds in the value; all must match.

use std::borrow::Cow;

use clap::Args;
use regex::bytes::Regex;

use super::exit::Failure;
use super::fields::{HeaderFields, RecordFields};
use super::json_path::JsonPath;
use super::pattern;

/// The filters as they are typed.
#[derive(Debug, Clone, Default, Args)]
pub struct FilterArgs {
    /// Only records whose key matches; may be repeated
    #[arg(long, value_name = "REGEX")]
    pub filter_key: Vec<String>,
    /// Only records whose value matches; may be repeated
    #[arg(long, value_name = "REGEX")]
    pub filter_value: Vec<String>,
    /// Only records with this header, or with a value of it that matches; may be repeated
    #[arg(long, value_name = "NAME[=REGEX]")]
    pub filter_header: Vec<String>,
    /// Only records whose value is JSON with something at this path, as `$.customer.id` or `$.items[0]`,
    /// or with a value there that matches; may be repeated
    #[arg(long, value_name = "PATH[=REGEX]")]
    pub filter_json: Vec<String>,
}

impl FilterArgs {
    /// The filter.
    ///
    /// # Errors
    /// When an expression or path is none.
    pub fn compile(&self) -> Result<Filter, Failure> {
        let all = |list: &[String]| {
            list.iter().map(|text| pattern::part(text)).collect::<Result<Vec<_>, Failure>>()
        };
        let header = |text: &String| match text.split_once('=') {
            Some(("", _)) => {
                Err(Failure::usage(format!("{text:?} names no header; write NAME=REGEX")))
            }
            Some((name, regex)) => Ok((name.to_owned(), Some(pattern::part(regex)?))),
            None => Ok((text.clone(), None)),
        };
        let json = |text: &String| {
            let (path, rest) = JsonPath::parse(text).map_err(Failure::usage)?;
            Ok((path, rest.strip_prefix('=').map(pattern::part).transpose()?))
        };
        Ok(Filter {
            key: all(&self.filter_key)?,
            value: all(&self.filter_value)?,
            headers: self.filter_header.iter().map(header).collect::<Result<_, Failure>>()?,
            json: self.filter_json.iter().map(json).collect::<Result<_, Failure>>()?,
        })
    }
}

/// What a record must match to be taken.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    key: Vec<Regex>,
    value: Vec<Regex>,
    headers: Vec<(String, Option<Regex>)>,
    json: Vec<(JsonPath, Option<Regex>)>,
}

impl Filter {
    /// Whether it lets everything through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { key, value, headers, json } = self;
        key.is_empty() && value.is_empty() && headers.is_empty() && json.is_empty()
    }

    /// Whether headers must be collected for it.
    #[must_use]
    pub fn needs_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    /// Whether a record is taken. A null matches nothing.
    #[must_use]
    pub fn lets_through(&self, record: &RecordFields<'_>) -> bool {
        let matches = |patterns: &[Regex], field: Option<&[u8]>| {
            patterns.iter().all(|pattern| field.is_some_and(|bytes| pattern.is_match(bytes)))
        };
        matches(&self.key, record.key)
            && matches(&self.value, record.value)
            && self.headers.iter().all(|wanted| record.headers.iter().any(|h| is(wanted, h)))
            && self.json.iter().all(|wanted| holds(wanted, record.value))
    }
}

fn is((name, pattern): &(String, Option<Regex>), header: &HeaderFields<'_>) -> bool {
    let matches = |pattern: &Regex| header.value.is_some_and(|value| pattern.is_match(value));
    header.key == name.as_bytes() && pattern.as_ref().is_none_or(matches)
}

/// A string is matched by its text, everything else as it is written.
fn holds((path, pattern): &(JsonPath, Option<Regex>), value: Option<&[u8]>) -> bool {
    let Some(found) = value.and_then(|value| path.find(value)) else { return false };
    let Some(pattern) = pattern else { return true };
    if found == "null" {
        return false;
    }
    let text: Cow<'_, str> = match found.starts_with('"') {
        true => serde_json::from_str::<String>(found).map_or(Cow::Borrowed(found), Cow::Owned),
        false => Cow::Borrowed(found),
    };
    pattern.is_match(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(key: &[&str], value: &[&str], headers: &[&str], json: &[&str]) -> FilterArgs {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        FilterArgs {
            filter_key: owned(key),
            filter_value: owned(value),
            filter_header: owned(headers),
            filter_json: owned(json),
        }
    }

    fn filter(key: &[&str], value: &[&str], headers: &[&str]) -> Filter {
        typed(key, value, headers, &[]).compile().unwrap()
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
        assert!(filter(&[], &[], &[]).is_empty());
        assert!(
            filter(&["^user-"], &["ok", "(?-u)\\xff"], &["trace=^a", "trace"])
                .lets_through(&record)
        );
        assert!(!filter(&["^user-"], &["ok", "bad"], &[]).lets_through(&record));
        assert!(!filter(&[], &[], &["trace=^b"]).lets_through(&record));
        assert!(!filter(&[], &[], &["span"]).lets_through(&record));
        let tombstone = RecordFields { value: None, ..record };
        assert!(!filter(&[], &[""], &[]).lets_through(&tombstone), "a null matches nothing");
        assert!(typed(&["("], &[], &[], &[]).compile().is_err());
    }

    #[test]
    fn a_path_into_the_value_is_matched() {
        let value = br#"{"customer":{"id":"c-7","age":30},"tags":["x","y\n"],"gone":null}"#;
        let record = RecordFields { value: Some(value), ..RecordFields::default() };
        for (json, want) in [
            ("$.customer.id=^c-7$", true),
            ("$.customer.id=^c-8$", false),
            ("$.customer.age=^3\\d$", true),
            ("$.tags[1]=^y\n$", true),
            ("$.customer", true),
            ("$.customer.name", false),
            ("$.gone", true),
            ("$.gone=null", false),
        ] {
            let filter = typed(&[], &[], &[], &[json]).compile().unwrap();
            assert_eq!(filter.lets_through(&record), want, "{json}");
            let text = RecordFields { value: Some(b"no json"), ..record };
            assert!(!filter.lets_through(&text), "{json}");
            let tombstone = RecordFields { value: None, ..record };
            assert!(!filter.lets_through(&tombstone), "{json}");
        }
        for slip in ["", "$.a[=x", "$.a=("] {
            assert!(typed(&[], &[], &[], &[slip]).compile().is_err(), "{slip}");
        }
    }
}
