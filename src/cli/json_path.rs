//! A small JSON path, pure: `$.customer.orders[0].id`, found in a document without building a tree of it.
//!
//! Steps are `.name`, `["any name"]` and `[index]`; the leading `$` may be left out.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

/// Deeper than any document that is read by hand.
const MOST_STEPS: usize = 64;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

/// See the top of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Vec<Step>);

impl JsonPath {
    /// Reads a path from the front of `text`, and returns what follows it: nothing, or `=` and more.
    ///
    /// # Errors
    /// When there is no path, in one line.
    pub fn parse(text: &str) -> Result<(Self, &str), String> {
        let refused =
            || format!("\"{text}\" is no JSON path; write $.customer.id, $.items[0] or $[\"a b\"]");
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let bare = !rest.starts_with(['.', '[', '=']) && !rest.is_empty();
        let mut steps = Vec::new();
        if bare {
            rest = take_name(rest, &mut steps).ok_or_else(refused)?;
        }
        while !rest.is_empty() && !rest.starts_with('=') {
            rest = match rest.strip_prefix('.') {
                Some(name) => take_name(name, &mut steps),
                None => rest.strip_prefix('[').and_then(|inner| take_bracket(inner, &mut steps)),
            }
            .filter(|_| steps.len() <= MOST_STEPS)
            .ok_or_else(refused)?;
        }
        if text.is_empty() || text.starts_with('=') {
            return Err(refused());
        }
        Ok((Self(steps), rest))
    }

    /// The JSON text of what the path leads to; `None` when that is nothing, or the document is no JSON.
    #[must_use]
    pub fn find<'d>(&self, document: &'d [u8]) -> Option<&'d str> {
        let mut from = serde_json::Deserializer::from_slice(document);
        let found = Walk(&self.0).deserialize(&mut from).ok()??;
        from.end().ok()?;
        Some(found.get())
    }
}

/// A name up to the next step; what follows it.
fn take_name<'t>(text: &'t str, steps: &mut Vec<Step>) -> Option<&'t str> {
    let end = text.find(['.', '[', ']', '=']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
    steps.push(Step::Name(name.to_owned()));
    Some(rest)
}

/// `0]` or `"name"]`; what follows it.
fn take_bracket<'t>(text: &'t str, steps: &mut Vec<Step>) -> Option<&'t str> {
    if text.starts_with('"') {
        let mut names = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let name = names.next()?.ok()?;
        let rest = text.get(names.byte_offset()..)?.strip_prefix(']')?;
        steps.push(Step::Name(name));
        return Some(rest);
    }
    let (index, rest) = text.split_once(']')?;
    let digits = index.bytes().all(|byte| byte.is_ascii_digit());
    steps.push(Step::Index(index.parse().ok().filter(|_| digits)?));
    Some(rest)
}

/// Walks down a document along the steps left.
struct Walk<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        match self.0.split_first() {
            None => <&RawValue>::deserialize(from).map(Some),
            Some((step, rest)) => from.deserialize_any(Level { step, rest }),
        }
    }
}

struct Level<'p> {
    step: &'p Step,
    rest: &'p [Step],
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let name = match self.step {
            Step::Name(name) => Some(name.as_str()),
            Step::Index(_) => None,
        };
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(Is(name))? {
            if is_it {
                found = map.next_value_seed(Walk(self.rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        if let Step::Index(index) = self.step {
            for _ in 0..*index {
                if seq.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            let found = seq.next_element_seed(Walk(self.rest))?.flatten();
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(found);
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a key is this name.
struct Is<'p>(Option<&'p str>);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(self.0 == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str, document: &'static str) -> Option<&'static str> {
        let (path, rest) = JsonPath::parse(path).unwrap();
        assert_eq!(rest, "");
        path.find(document.as_bytes())
    }

    #[test]
    fn each_step_leads_on() {
        const DOCUMENT: &str = r#" {"customer":{"id":7,"name":"Zoë"},"items":[{"sku":"a"},{"sku":"b"}],
            "a b":{"x.y":true},"none":null,"n":-1.50,"esc\u0061pe":"x"} "#;
        for (path, want) in [
            ("$.customer.id", Some("7")),
            ("customer.id", Some("7")),
            ("$.customer", Some(r#"{"id":7,"name":"Zoë"}"#)),
            ("$.items[1].sku", Some("\"b\"")),
            ("$.items[2].sku", None),
            ("$.items.sku", None),
            ("$.customer[0]", None),
            ("$.customer.id.deeper", None),
            (r#"$["a b"]["x.y"]"#, Some("true")),
            ("$.none", Some("null")),
            ("$.n", Some("-1.50")),
            ("$.escape", Some("\"x\"")),
            ("$.missing", None),
        ] {
            assert_eq!(find(path, DOCUMENT), want, "{path}");
        }
        assert_eq!(find("$[1][0]", "[[1],[2]]"), Some("2"));
        assert_eq!(find("$", "12"), Some("12"));
    }

    #[test]
    fn what_is_no_json_has_nothing_in_it() {
        for document in ["", "x", "{", r#"{"a":1"#, r#"{"a":1} 2"#, "[1,]"] {
            assert_eq!(find("$.a", document), None, "{document}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(JsonPath::parse("$.a").unwrap().0.find(deep.as_bytes()), None);
    }

    #[test]
    fn a_path_ends_where_the_pattern_begins_and_slips_are_refused() {
        assert_eq!(JsonPath::parse("$.a[0]=^x=y$").unwrap().1, "=^x=y$");
        assert_eq!(JsonPath::parse(r#"$["a=b"]=1"#).unwrap().1, "=1");
        assert_eq!(JsonPath::parse("$=1").unwrap().1, "=1");
        for text in
            ["", "=x", "$.", "$..a", "$.a[", "$.a[x]", "$.a[-1]", "$.a]", "$[\"a]", "$.a[0]b"]
        {
            assert!(JsonPath::parse(text).is_err(), "{text}");
        }
    }
}
