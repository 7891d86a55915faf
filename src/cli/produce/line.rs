//! A line of input as a record, pure.

use std::borrow::Cow;

use duramen_client::producer::HeaderView;

use crate::cli::record_json::JsonRecord;

/// How lines are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LineForm {
    /// The line is the value, or key and value with something between.
    Plain {
        /// What stands between key and value.
        separator: Option<Vec<u8>>,
        /// A key or value that is just this is null.
        null: Option<Vec<u8>>,
    },
    /// The line is a JSON object.
    Json,
}

/// A record, borrowed from its line.
#[derive(Debug, Default)]
pub(super) struct LineRecord<'a> {
    pub(super) json: JsonRecord<'a>,
}

impl LineForm {
    /// Reads a line; `None` for an empty line between JSON records.
    ///
    /// # Errors
    /// When the line is not of this form.
    pub(super) fn read<'a>(&self, line: &'a [u8]) -> Result<Option<LineRecord<'a>>, String> {
        let json = match self {
            Self::Json => {
                if line.trim_ascii().is_empty() {
                    return Ok(None);
                }
                JsonRecord::parse(line).map_err(|error| json_error(&error))?
            }
            Self::Plain { separator, null } => {
                let (key, value) = match separator {
                    None => (None, line),
                    Some(separator) => {
                        let (key, value) = split_at(line, separator).ok_or_else(|| {
                            format!(
                                "no key separator \"{}\" in the line",
                                String::from_utf8_lossy(separator)
                            )
                        })?;
                        (Some(key), value)
                    }
                };
                let known = |bytes: &&[u8]| null.as_deref() != Some(*bytes);
                JsonRecord {
                    key: key.filter(known).map(Cow::Borrowed),
                    value: Some(value).filter(known).map(Cow::Borrowed),
                    ..JsonRecord::default()
                }
            }
        };
        Ok(Some(LineRecord { json }))
    }
}

impl LineRecord<'_> {
    /// Its headers, then those that every record gets.
    pub(super) fn headers<'s>(&'s self, fixed: &[HeaderView<'s>]) -> Vec<HeaderView<'s>> {
        let own = self.json.headers.iter();
        let own = own.map(|(key, value)| HeaderView { key, value: value.as_deref() });
        own.chain(fixed.iter().copied()).collect()
    }
}

/// What is wrong, behind the column where. Which line it is, the caller tells.
fn json_error(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match words.strip_suffix(&place) {
        Some(words) => format!("column {}: {words}", error.column()),
        None => words,
    }
}

fn split_at<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(line, separator)?;
    Some((line.get(..at)?, line.get(at + separator.len()..)?))
}

/// Reads an argument that may hold `\t`, `\n`, `\0` and `\xNN`.
///
/// # Errors
/// When an escape is none of these.
pub(super) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        out.push(match chars.next() {
            Some('t') => b'\t',
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let digits: String = chars.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).map_err(|_| format!("\\x{digits} is no byte"))?
            }
            other => return Err(format!("\\{} is no escape", other.unwrap_or(' '))),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(separator: Option<&str>, null: Option<&str>) -> LineForm {
        LineForm::Plain {
            separator: separator.map(|text| text.as_bytes().to_vec()),
            null: null.map(|text| text.as_bytes().to_vec()),
        }
    }

    fn read(form: &LineForm, line: &str) -> (Option<String>, Option<String>) {
        let record = form.read(line.as_bytes()).unwrap().unwrap();
        let text = |bytes: &Option<Cow<'_, [u8]>>| {
            bytes.as_ref().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        };
        (text(&record.json.key), text(&record.json.value))
    }

    fn pair(key: Option<&str>, value: Option<&str>) -> (Option<String>, Option<String>) {
        (key.map(str::to_owned), value.map(str::to_owned))
    }

    #[test]
    fn a_plain_line_is_a_value_or_a_key_and_a_value() {
        assert_eq!(read(&plain(None, None), "a:b"), pair(None, Some("a:b")));
        assert_eq!(read(&plain(None, None), ""), pair(None, Some("")));
        let with_key = plain(Some("::"), Some("NULL"));
        assert_eq!(read(&with_key, "a::b::c"), pair(Some("a"), Some("b::c")));
        assert_eq!(read(&with_key, "a::NULL"), pair(Some("a"), None));
        assert_eq!(read(&with_key, "NULL::b"), pair(None, Some("b")));
        assert_eq!(read(&plain(Some("\t"), Some("")), "k\t"), pair(Some("k"), None));
        assert!(with_key.read(b"no key").unwrap_err().contains("no key separator \"::\""));
    }

    #[test]
    fn a_json_line_is_a_record_and_empty_lines_are_passed_over() {
        let record = LineForm::Json.read(br#"{"value":"v","headers":{"a":"1"}}"#).unwrap().unwrap();
        let fixed = [HeaderView { key: b"b", value: None }];
        let headers = record.headers(&fixed);
        assert_eq!(headers.iter().map(|h| h.key).collect::<Vec<_>>(), [b"a", b"b"]);
        assert!(LineForm::Json.read(b"  ").unwrap().is_none());
        let error = |line: &[u8]| LineForm::Json.read(line).unwrap_err();
        assert!(error(b"{").starts_with("column 1: EOF"), "{}", error(b"{"));
        assert!(error(br#"{"key":1}"#).starts_with("column 9: no \"value\""));
    }

    #[test]
    fn escapes_in_arguments() {
        assert_eq!(unescape("a\\t\\x41é\\\\"), Ok("a\tAé\\".as_bytes().to_vec()));
        assert!(unescape("\\q").is_err() && unescape("\\xzz").is_err() && unescape("\\").is_err());
    }
}
