//! Rust source as the tidy rules see it: comments, strings and character literals blanked out, so
//! that a brace or a keyword inside one counts for nothing; test code marked line by line.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One Rust file.
pub struct Source {
    /// Path from the repository root, with `/`.
    pub path: String,
    /// The text with comments and literals blanked; same length and same lines as the file.
    pub code: String,
    /// Byte ranges of `#[cfg(test)]` items.
    pub test_ranges: Vec<Range<usize>>,
    /// Files that this one declares by `#[cfg(test)] mod name;`, as paths without `.rs`.
    pub test_modules: Vec<String>,
    /// The whole file is test code.
    pub is_test: bool,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let code = blank(text);
        let (test_ranges, names) = test_items(&code);
        let folder = module_folder(path);
        let test_modules = names.iter().map(|name| format!("{folder}/{name}")).collect();
        Self { path: path.to_owned(), code, test_ranges, test_modules, is_test: false }
    }

    pub fn line_of(&self, at: usize) -> usize {
        self.code.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    pub fn is_test_at(&self, at: usize) -> bool {
        self.is_test || self.test_ranges.iter().any(|range| range.contains(&at))
    }

    /// Lines that are not in a test item.
    pub fn lines(&self) -> usize {
        let tests: usize = self
            .test_ranges
            .iter()
            .map(|range| self.line_of(range.end.saturating_sub(1)) - self.line_of(range.start) + 1)
            .sum();
        if self.is_test { 0 } else { self.code.lines().count() - tests }
    }

    /// Each place where `word` stands as a whole word.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let bytes = self.code.as_bytes();
        self.code.match_indices(word).map(|(at, _)| at).filter(move |at| {
            let before = at.checked_sub(1).and_then(|at| bytes.get(at));
            let after = bytes.get(at + word.len());
            !before.is_some_and(|byte| is_word(*byte)) && !after.is_some_and(|byte| is_word(*byte))
        })
    }

    /// Every function with a body: name, where it starts, and how many lines it has.
    pub fn functions(&self) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        for at in self.words("fn") {
            let name = word_at(&self.code, at + 2);
            if name.is_empty() {
                continue; // a function pointer type
            }
            if let Some(open) = body_start(&self.code, at) {
                let close = matching(&self.code, open).unwrap_or(open);
                found.push((name, at, self.line_of(close) - self.line_of(at) + 1));
            }
        }
        found
    }
}

/// Every `.rs` file under `folder`, test modules already marked.
pub fn read_all(root: &Path, folders: &[&str]) -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in folders {
        for file in files_under(&root.join(folder), "rs") {
            let path = relative(root, &file);
            let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
            sources.push(Source::new(&path, &text));
        }
    }
    let tests: BTreeSet<String> =
        sources.iter().flat_map(|source| source.test_modules.clone()).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs").trim_end_matches("/mod").to_owned();
        source.is_test =
            tests.iter().any(|test| stem == *test || stem.starts_with(&format!("{test}/")));
    }
    sources
}

pub fn files_under(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(files_under(&path, extension));
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub fn relative(root: &Path, file: &Path) -> String {
    file.strip_prefix(root).unwrap_or(file).to_string_lossy().replace('\\', "/")
}

/// The folder in which the modules declared by `path` live.
fn module_folder(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The identifier that follows `from`, after blanks.
pub fn word_at(code: &str, from: usize) -> String {
    let rest = code.get(from..).unwrap_or("").trim_start();
    rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// The `{` of the item that starts at `from`; none when a `;` ends it first.
fn body_start(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.checked_sub(1)?,
            b'{' if depth == 0 => return Some(at),
            b';' | b'}' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Where the brace, bracket or parenthesis opened at `open` closes.
pub fn matching(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Ranges of items under `#[cfg(test)]` (also `all(test, …)`), and names of modules declared so.
fn test_items(code: &str) -> (Vec<Range<usize>>, Vec<String>) {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut modules = Vec::new();
    for (start, _) in code.match_indices("#[cfg(") {
        if ranges.last().is_some_and(|range| range.contains(&start)) {
            continue;
        }
        let Some(end) = matching(code, start + 1) else { continue };
        let condition = &code[start..end];
        let says_test = condition.starts_with("#[cfg(test)") || condition.contains("all(test");
        if !says_test {
            continue;
        }
        match body_start(code, end + 1).and_then(|open| matching(code, open)) {
            Some(close) => ranges.push(start..close + 1),
            None => {
                let stop = code[end..].find(';').map_or(code.len(), |at| end + at + 1);
                let item = &code[end + 1..stop];
                if let Some(at) = item.find("mod ") {
                    modules.push(word_at(item, at + 4));
                }
                ranges.push(start..stop);
            }
        }
    }
    (ranges, modules)
}

/// Blanks comments, strings and character literals; lengths and lines stay.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if let Some(end) = end {
            for byte in &mut out[at..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
            at = end;
        } else {
            at += 1;
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Where the comment or literal that starts at `at` ends, if one starts there.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let in_word = at.checked_sub(1).is_some_and(|before| is_word(bytes[before]));
    match rest {
        [b'/', b'/', ..] => {
            Some(at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()))
        }
        [b'/', b'*', ..] => Some(at + block_comment(rest)),
        [b'"', ..] => Some(at + quoted(rest, b'"')),
        [b'r', ..] if !in_word => raw_string(&rest[1..]).map(|length| at + 1 + length),
        [b'b' | b'c', b'r', ..] if !in_word => raw_string(&rest[2..]).map(|length| at + 2 + length),
        [b'\'', b'\\', ..] => Some(at + quoted(rest, b'\'')),
        [b'\'', ..] => char_literal(rest).map(|length| at + length),
        _ => None,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The length of `#…"…"#…` (what follows the `r`), if it is one.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
    if rest.get(hashes) != Some(&b'"') {
        return None;
    }
    let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = &rest[hashes + 1..];
    let length = body.windows(end.len()).position(|window| window == end).unwrap_or(body.len());
    Some((hashes + 1 + length + end.len()).min(rest.len()))
}

/// The length of `'x'`; none when it is a lifetime.
fn char_literal(rest: &[u8]) -> Option<usize> {
    let letter = std::str::from_utf8(&rest[1..rest.len().min(5)])
        .or_else(|error| std::str::from_utf8(&rest[1..1 + error.valid_up_to()]))
        .ok()?
        .chars()
        .next()?;
    let close = 1 + letter.len_utf8();
    (rest.get(close) == Some(&b'\'')).then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_in_literals_and_comments_count_for_nothing() {
        let text = "fn a<'x>(y: &'x str) -> char {\n  // }\n  /* } /* } */ */\n  let _ = (\"}\\\"}\", '}', '\\'', b'}', r#\"}\"}\"#);\n  'x'\n}\nfn b();\n";
        let source = Source::new("src/a.rs", text);
        assert_eq!(source.functions(), [("a".to_owned(), 0, 6)]);
        assert_eq!(source.code.len(), text.len());
    }

    #[test]
    fn test_items_are_not_counted() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\n#[cfg(test)]\nmod more;\nfn c() {}\n";
        let source = Source::new("src/x/mod.rs", text);
        assert_eq!(source.lines(), 2);
        assert_eq!(source.test_modules, ["src/x/more"]);
        assert!(source.is_test_at(text.find("fn b").unwrap()));
        assert!(!source.is_test_at(text.find("fn c").unwrap()));
    }

    #[test]
    fn a_lifetime_is_no_character() {
        let source = Source::new("src/a.rs", "fn f<'a>(s: &'a [u8]) -> &'a u8 { 'l: loop {} }");
        assert!(source.code.contains("&'a [u8]"));
    }
}
