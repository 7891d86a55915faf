//! Regular expressions as they are typed: compiled, or one line that says what is wrong with them.

use regex::bytes;

use super::exit::Failure;

/// One that must match the whole of a name.
///
/// # Errors
/// When it is none.
pub fn whole(text: &str) -> Result<regex::Regex, Failure> {
    // By itself first: what is wrong is told of what was typed.
    part(text)?;
    regex::Regex::new(&format!("^(?:{text})$")).map_err(|error| wrong(text, &error))
}

/// One that may match a part of bytes.
///
/// # Errors
/// When it is none.
pub fn part(text: &str) -> Result<bytes::Regex, Failure> {
    bytes::Regex::new(text).map_err(|error| wrong(text, &error))
}

fn wrong(text: &str, error: &regex::Error) -> Failure {
    // What a syntax error is stands in its last line, below a picture of the place.
    let words = error.to_string();
    let reason = words.lines().last().unwrap_or_default();
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    Failure::usage(format!("{text:?} is no regular expression: {reason}"))
}
