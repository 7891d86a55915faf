//! The command line stands apart: whoever embeds the broker does without it and its crates.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Command;

use crate::{report, root};

/// Crates of the feature `cli` that the client, or a crate below it, needs too.
const SHARED: &[&str] = &["memchr", "regex"];

/// What the feature `cli` turns on, as Cargo.toml has it.
fn crates_of_the_feature() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let feature = manifest.split("\ncli = [").nth(1).expect("the feature cli");
    let list = feature.split(']').next().unwrap_or_default();
    list.split('"').filter_map(|word| word.strip_prefix("dep:")).map(str::to_owned).collect()
}

#[test]
fn embedding_the_broker_pulls_no_command_line() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tree = Command::new(cargo);
    tree.current_dir(root()).args(["tree", "--offline", "--locked", "-p", "duramen"]);
    tree.args(["--edges", "normal", "--no-default-features", "--prefix", "none"]);
    let Ok(tree) = tree.output() else {
        // past the capture of the test's output, so that it is seen
        let _ = writeln!(std::io::stdout(), "skipped what the feature cli keeps out: no cargo");
        return;
    };
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    let pulled: BTreeSet<&str> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(pulled.contains("duramen-client") && pulled.contains("tokio"), "{tree}");
    let crates = crates_of_the_feature();
    assert!(crates.iter().any(|name| name == "clap"), "{crates:?}");
    let findings: Vec<String> = crates
        .iter()
        .filter(|name| pulled.contains(name.as_str()) != SHARED.contains(&name.as_str()))
        .map(|name| match SHARED.contains(&name.as_str()) {
            true => format!("{name} is the command line's alone now: drop it from SHARED"),
            false => format!("{name} comes with the broker"),
        })
        .collect();
    report("without the feature `cli` the broker pulls none of its crates", &findings);
}
