//! The five minutes of README.md, line by line: each command succeeds, and what its comment claims is so.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::command::done;
use crate::support::node::Node;

/// The commands of the section, each with its comment.
fn lines() -> Vec<(String, String)> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let readme = readme.unwrap();
    let section = readme.split("## Five minutes").nth(1).expect("the section");
    let block = section.split("```sh\n").nth(1).expect("its commands");
    let block = block.split("```").next().unwrap();
    let split = |line: &str| {
        let (command, comment) = line.split_once(" # ").unwrap_or((line, ""));
        (command.trim().to_owned(), comment.trim().to_owned())
    };
    block.lines().map(split).collect()
}

/// The number before or after a word of a comment: `4 records`, `lag 2`.
fn claimed(comment: &str, word: &str) -> Option<i64> {
    let words: Vec<&str> = comment
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|it| !it.is_empty())
        .collect();
    let at = words.iter().position(|found| *found == word)?;
    let number = |at: usize| words.get(at)?.parse().ok();
    at.checked_sub(1).and_then(number).or_else(|| number(at + 1))
}

fn lag(node: &Node) -> i64 {
    let out = done(node, &["group", "lag", "payments", "--format", "json"], "");
    let groups: Value = serde_json::from_str(&out).unwrap();
    groups[0]["lag"].as_i64().unwrap()
}

#[test]
fn the_five_minutes_of_the_readme() {
    let node = Node::start(&["group.initial.rebalance.delay.ms=0"]);
    let folder = Path::new(env!("CARGO_BIN_EXE_duramen")).parent().unwrap();
    let path = env::join_paths(
        std::iter::once(folder.to_owned()).chain(env::split_paths(&env::var_os("PATH").unwrap())),
    );
    let path = path.unwrap();
    let (work, mut records, mut lags) = (tempfile::tempdir().unwrap(), 0, 0);
    for (line, comment) in lines() {
        let mut shell = Command::new("sh");
        shell
            .current_dir(work.path())
            .args(["-c", &line])
            .env("PATH", &path)
            .env_remove("DURAMEN_PROFILE");
        let output = shell.env("DURAMEN_BROKERS", node.bootstrap()).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{line}: {told}");
        if let Some(count) = claimed(&comment, "records").or(claimed(&comment, "record")) {
            assert_eq!(
                printed.lines().count(),
                usize::try_from(count).unwrap(),
                "{line}: {printed}"
            );
            records += 1;
        }
        if let Some(claim) = claimed(&comment, "lag") {
            assert_eq!(lag(&node), claim, "after {line}");
            lags += 1;
        }
    }
    assert!(records >= 7 && lags >= 4, "the comments are read: {records} and {lags}");
}
