//! Documents that stay true: links that lead somewhere, and commands that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::source::{files_under, relative};

/// README.md and everything under docs/, with their text.
pub fn documents(root: &Path) -> Vec<(String, String)> {
    let mut files = files_under(&root.join("docs"), "md");
    files.push(root.join("README.md"));
    files
        .iter()
        .filter_map(|file| Some((relative(root, file), fs::read_to_string(file).ok()?)))
        .collect()
}

/// Relative links whose file or heading is not there.
pub fn dead_links(root: &Path, path: &str, text: &str) -> Vec<String> {
    let mut dead = Vec::new();
    for (number, line) in prose(text) {
        for target in links(line) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = root.join(path);
            let full = match file {
                "" => folder,
                _ => folder.parent().unwrap_or(root).join(file),
            };
            let there = full.exists() && (heading.is_empty() || headings(&full).contains(heading));
            if !there {
                dead.push(format!("{path}:{number}: the link to {target} leads nowhere"));
            }
        }
    }
    dead
}

/// Lines outside fenced blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, _)| {
        let rest = &line[at + 2..];
        rest.split_once(')').map(|(target, _)| target.split(' ').next().unwrap_or(target))
    })
}

/// The anchors of a document's headings, as the usual viewers make them.
fn headings(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    prose(&text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
                .map(|letter| if letter == ' ' { '-' } else { letter })
                .collect()
        })
        .collect()
}

/// Commands in `sh` blocks that name a script or a subcommand that is not there.
pub fn dead_commands(root: &Path, path: &str, text: &str) -> Vec<String> {
    let mut dead = Vec::new();
    let mut in_shell = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("```") {
            in_shell = line == "```sh";
        } else if in_shell {
            for part in line.split(['|', ';', '&']) {
                if let Some(fault) = command_fault(root, part.trim().trim_start_matches("$ ")) {
                    dead.push(format!("{path}:{}: {fault}", index + 1));
                }
            }
        }
    }
    dead
}

fn command_fault(root: &Path, command: &str) -> Option<String> {
    let mut words = command.split_whitespace().skip_while(|word| word.contains('='));
    let first = words.next()?;
    if first.starts_with("scripts/") {
        return (!root.join(first).is_file()).then(|| format!("there is no {first}"));
    }
    if first != "duramen" || !root.join("src/cli").is_dir() {
        return None;
    }
    let words: Vec<&str> = words.take_while(|word| !word.starts_with(['#', '>', '<'])).collect();
    let named: Vec<&str> = words.iter().copied().take_while(|word| is_name(word)).collect();
    let (help, depth) = help_for(&named)?;
    let needs_subcommand = help.contains("<COMMAND>");
    if depth == 0 && !named.is_empty() || needs_subcommand && named.len() > depth {
        return Some(format!("duramen has no command {}", named.join(" ")));
    }
    words
        .iter()
        .filter_map(|word| word.strip_prefix("--"))
        .map(|option| option.split('=').next().unwrap_or(option))
        .find(|option| !option.is_empty() && !help.contains(&format!("--{option}")))
        .map(|option| format!("duramen {} has no option --{option}", named[..depth].join(" ")))
}

fn is_name(word: &str) -> bool {
    word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')
        && !word.starts_with('-')
}

/// The help of the deepest subcommand that the words name, and how many words that took.
fn help_for(words: &[&str]) -> Option<(String, usize)> {
    let mut best = None;
    for depth in 0..=words.len().min(2) {
        let out = Command::new(env!("CARGO_BIN_EXE_duramen"))
            .args(&words[..depth])
            .arg("--help")
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let asks_for_more = best.as_ref().is_none_or(|(help, _): &(String, usize)| {
            help.contains("<COMMAND>") || help.contains("[COMMAND]")
        });
        if !out.status.success() || !asks_for_more {
            break;
        }
        best = Some((text, depth));
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code_only() {
        let text = "[a](x.md) and [b](y.md#z)\n```sh\n[c](no.md)\n```\n";
        let found: Vec<&str> = prose(text).flat_map(|(_, line)| links(line)).collect();
        assert_eq!(found, ["x.md", "y.md#z"]);
    }
}
