//! The text of Kafka's properties files, pure: Java's `Properties` format, read as UTF-8.
//!
//! A line is `name=value`, `name: value` or `name value`; `#` and `!` begin comments; a backslash
//! at the end of a line continues it; `\t \n \r \f \uXXXX` are escapes, and before any other
//! character a backslash just goes away.

/// One property of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// Line it begins on, from 1.
    pub line: usize,
    /// Name.
    pub name: String,
    /// Value, possibly empty.
    pub value: String,
}

/// A malformed `\u` in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: malformed \\u escape: four hexadecimal digits must follow")]
#[non_exhaustive]
pub struct EscapeError {
    /// Line on which the property begins, from 1.
    pub line: usize,
}

/// Where a `\u` is malformed is known further up.
struct Malformed;

/// The properties of a file, in order; a name may come twice.
///
/// # Errors
/// For a malformed `\u`.
pub fn parse(text: &str) -> Result<Vec<Line>, EscapeError> {
    let mut properties = Vec::new();
    let mut lines = natural_lines(text).enumerate();
    while let Some((index, line)) = lines.next() {
        let start = trim_start(line);
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = start.to_owned();
        while continues(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(trim_start(next));
        }
        let line = index + 1;
        let (name, value) = split(&logical);
        let read = |part| unescape(part).map_err(|Malformed| EscapeError { line });
        properties.push(Line { line, name: read(name)?, value: read(value)? });
    }
    Ok(properties)
}

/// Lines ended by `\n`, `\r\n` or `\r`.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\x0c')
}

fn trim_start(line: &str) -> &str {
    line.trim_start_matches(is_blank)
}

/// Whether a line ends with a backslash that is not itself escaped.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Name and value, still escaped, of a line without leading blanks.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, character)| {
        let separates = !escaped && (is_blank(*character) || matches!(character, '=' | ':'));
        escaped = !escaped && *character == '\\';
        separates
    });
    let (name, rest) = line.split_at(end.map_or(line.len(), |(index, _)| index));
    let rest = trim_start(rest);
    (name, trim_start(rest.strip_prefix(['=', ':']).unwrap_or(rest)))
}

fn unescape(text: &str) -> Result<String, Malformed> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut characters = escaped.chars();
        match characters.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\x0c'),
            Some('u') => {
                let (character, after) = unicode(characters.as_str())?;
                out.push(character);
                rest = after;
                continue;
            }
            Some(other) => out.push(other),
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    Ok(out)
}

/// The character of a `\u` escape, whose four digits begin `text`, and what follows. Java writes
/// characters above U+FFFF as two escapes.
fn unicode(text: &str) -> Result<(char, &str), Malformed> {
    let (unit, rest) = code_unit(text)?;
    if let Some(character) = char::from_u32(unit.into()) {
        return Ok((character, rest));
    }
    let (low, rest) = code_unit(rest.strip_prefix("\\u").ok_or(Malformed)?)?;
    let mut pair = char::decode_utf16([unit, low]);
    match (pair.next(), pair.next()) {
        (Some(Ok(character)), None) => Ok((character, rest)),
        _ => Err(Malformed),
    }
}

fn code_unit(text: &str) -> Result<(u16, &str), Malformed> {
    let (digits, rest) = text.split_at_checked(4).ok_or(Malformed)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Malformed);
    }
    let unit = u16::from_str_radix(digits, 16).map_err(|_| Malformed)?;
    Ok((unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(usize, String, String)> {
        parse(text).unwrap().into_iter().map(|p| (p.line, p.name, p.value)).collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut properties = read(text);
        assert_eq!(properties.len(), 1, "{text:?}");
        let (_, name, value) = properties.remove(0);
        (name, value)
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn all_ways_to_separate() {
        for text in ["a.b=c d", "a.b = c d", "a.b:c d", "a.b : c d", "a.b c d", "  a.b\t=\tc d"] {
            assert_eq!(one(text), pair("a.b", "c d"), "{text:?}");
        }
        assert_eq!(one("a"), pair("a", ""));
        assert_eq!(one("a="), pair("a", ""));
        assert_eq!(one("a==b"), pair("a", "=b"), "only the first separates");
        assert_eq!(one("a=b  "), pair("a", "b  "), "blanks at the end stay, as in Java");
        assert_eq!(one("url=http://h:1/x=y"), pair("url", "http://h:1/x=y"));
    }

    #[test]
    fn comments_and_lines() {
        let text = "# one\n! two\n\n  # three\na=1\r\nb=2\rc=3\n   \n";
        let expected = [(5, "a", "1"), (6, "b", "2"), (6, "c", "3")];
        let expected: Vec<_> =
            expected.iter().map(|(l, n, v)| (*l, (*n).to_owned(), (*v).to_owned())).collect();
        let found = read(text);
        assert_eq!(
            found.iter().map(|p| (&p.1, &p.2)).collect::<Vec<_>>(),
            expected.iter().map(|p| (&p.1, &p.2)).collect::<Vec<_>>()
        );
        assert_eq!(found[0].0, 5);
    }

    #[test]
    fn a_backslash_continues_a_line() {
        let fruits = "fruits  apple, banana, \\\n    cantaloupe, \\\n    durian\nb=1";
        assert_eq!(read(fruits)[0].2, "apple, banana, cantaloupe, durian");
        assert_eq!(read(fruits)[1], (4, "b".to_owned(), "1".to_owned()));
        assert_eq!(one("a=b\\\\"), pair("a", "b\\"), "an escaped one does not");
        assert_eq!(one("a=b\\"), pair("a", "b"), "nor is there anything behind the last line");
        assert_eq!(one("# c \\\na=1"), pair("a", "1"), "comments are not continued");
        assert_eq!(one("a=1\\\n# 2"), pair("a", "1# 2"), "nor is the continuation a comment");
    }

    #[test]
    fn escapes() {
        assert_eq!(one("a\\ b\\=c=d"), pair("a b=c", "d"));
        assert_eq!(one("a=x\\ty\\nz\\u0041\\u00e9"), pair("a", "x\ty\nzA\u{e9}"));
        assert_eq!(one("a=\\ud83d\\ude00!"), pair("a", "\u{1f600}!"));
        assert_eq!(one("a=c:\\temp"), pair("a", "c:\temp"), "as in Java");
        assert_eq!(one("a=\\q\\:"), pair("a", "q:"));
        assert_eq!(one("name=Gr\u{fc}n"), pair("name", "Gr\u{fc}n"));
    }

    #[test]
    fn malformed_escapes_are_told_with_their_line() {
        for text in
            ["a=\\u12", "a=\\uzzzz", "a=\\ud83d", "a=\\ud83dx", "a=\\u+123", "a=\\ud83d\\u0041"]
        {
            let error = parse(&format!("x=1\n{text}")).unwrap_err();
            assert!(error.to_string().starts_with("line 2: "), "{text}: {error}");
        }
    }

    fn escaped(text: &str, name: bool) -> String {
        let mut out = String::new();
        for character in text.chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\x0c' => out.push_str("\\f"),
                ' ' | '=' | ':' | '#' | '!' if name => {
                    out.push('\\');
                    out.push(character);
                }
                // A blank that begins a value would be skipped.
                ' ' if out.is_empty() => out.push_str("\\ "),
                other if u32::from(other) > 126 => {
                    let mut units = [0; 2];
                    for unit in other.encode_utf16(&mut units) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                other => out.push(other),
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_escaped_is_read_back(
            properties in proptest::collection::vec(("\\PC{1,12}|[ =:#!\\\\\t]{1,5}", any::<String>()), 0..8)
        ) {
            let text: String = properties.iter()
                .map(|(name, value)| format!("{}={}\n", escaped(name, true), escaped(value, false)))
                .collect();
            let read: Vec<_> = parse(&text).unwrap().into_iter().map(|p| (p.name, p.value)).collect();
            prop_assert_eq!(read, properties);
        }

        #[test]
        fn no_text_panics(text in "[\\PC\\\\=: u\n\r0-9]{0,60}") {
            let _ = parse(&text);
        }
    }
}
