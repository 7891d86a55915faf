//! Who imports whom: paths that leave the module they stand in.

use crate::source::{Source, matching, word_at};

/// A use of another top-level module: where it stands, and the module's name.
pub struct Import {
    pub at: usize,
    pub module: String,
}

/// Every path that starts at the crate's root: `crate::x`, each arm of `crate::{x, y}`, and a
/// `super::super::x` long enough to get there.
pub fn imports(source: &Source) -> Vec<Import> {
    let mut found = Vec::new();
    for at in source.words("crate") {
        arms(&source.code, at + "crate".len(), &mut found);
    }
    for at in source.words("super") {
        if source.code[..at].trim_end().ends_with("super::") || source.is_test_at(at) {
            continue; // not the first of its chain; tests stand one inline module deeper
        }
        let (climbs, end) = supers(&source.code, at);
        if climbs >= depth(&source.path) {
            arms(&source.code, end, &mut found);
        }
    }
    found
}

/// What follows `from`: `::name`, or the first names in `::{…}`.
fn arms(code: &str, from: usize, found: &mut Vec<Import>) {
    let Some(rest) = code[from..].strip_prefix("::") else { return };
    let start = from + 2;
    if !rest.starts_with('{') {
        found.push(Import { at: from, module: word_at(code, start) });
        return;
    }
    let close = matching(code, start).unwrap_or(code.len());
    let mut nesting = 0_usize;
    let mut expects_name = true;
    for (offset, byte) in code[start + 1..close].bytes().enumerate() {
        match byte {
            b'{' => nesting += 1,
            b'}' => nesting -= 1,
            b',' if nesting == 0 => expects_name = true,
            byte if expects_name && !byte.is_ascii_whitespace() => {
                let at = start + 1 + offset;
                found.push(Import { at, module: word_at(code, at) });
                expects_name = false;
            }
            _ => {}
        }
    }
}

/// How many `super`s stand in a row at `at`, and where they end.
fn supers(code: &str, at: usize) -> (usize, usize) {
    let mut count = 1;
    let mut end = at + "super".len();
    while code[end..].starts_with("::super") {
        count += 1;
        end += "::super".len();
    }
    (count, end)
}

/// How deep the module of `path` lies below the crate's root: `src/a/b.rs` is 2.
fn depth(path: &str) -> usize {
    let inside = path.split_once("src/").map_or(path, |(_, inside)| inside);
    let parts = inside.trim_end_matches(".rs").trim_end_matches("/mod").split('/').count();
    if matches!(inside, "lib.rs" | "main.rs") { 0 } else { parts }
}

/// The top-level module that `path` belongs to.
pub fn module_of(path: &str) -> String {
    let inside = path.split_once("src/").map_or(path, |(_, inside)| inside);
    inside.split('/').next().unwrap_or("").trim_end_matches(".rs").to_owned()
}

/// Names of the type parameters in the list that starts at `from` (lifetimes and constants are none).
pub fn type_parameters(code: &str, from: usize) -> usize {
    let rest = code[from..].trim_start();
    let Some(list) = rest.strip_prefix('<') else { return 0 };
    let (mut depth, mut count, mut part) = (1_usize, 0, String::new());
    let mut previous = ' ';
    for letter in list.chars() {
        match letter {
            '<' | '(' | '[' => depth += 1,
            '>' if previous == '-' => {}
            '>' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && letter == ',') {
            count += usize::from(is_type(&part));
            part.clear();
            if depth == 0 {
                break;
            }
        } else {
            part.push(letter);
        }
        previous = letter;
    }
    count
}

fn is_type(part: &str) -> bool {
    let part = part.trim();
    !part.is_empty() && !part.starts_with('\'') && !part.starts_with("const ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(path: &str, text: &str) -> Vec<String> {
        imports(&Source::new(path, text)).into_iter().map(|import| import.module).collect()
    }

    #[test]
    fn finds_plain_grouped_and_climbing_imports() {
        let text = "use crate::{env::{Clock, Disk}, storage};\nuse super::super::raft::Raft;\nuse super::near;\nfn f() { crate::config::x() }\n";
        assert_eq!(modules("src/metadata/loader.rs", text), ["env", "storage", "config", "raft"]);
    }

    #[test]
    fn super_from_the_top_of_a_module_reaches_the_root() {
        assert_eq!(modules("src/storage/mod.rs", "use super::raft;"), ["raft"]);
        assert_eq!(modules("src/broker.rs", "use super::cli;"), ["cli"]);
    }

    #[test]
    fn counts_type_parameters_only() {
        let count = |text: &str| type_parameters(text, 0);
        assert_eq!(count("<'a, T, const N: usize> {"), 1);
        assert_eq!(count("<T: Fn(u8, u8) -> Vec<u8>, U, V>(T)"), 3);
        assert_eq!(count(" { a: u8 }"), 0);
    }
}
