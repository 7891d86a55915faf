//! The command line stands apart: it is built on the client alone, and whoever embeds the broker does
//! without it and its crates.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Command;

use crate::source::read_all;
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

/// What of the command line reads files of the broker's format, and talks to no broker.
const OFFLINE: &str = "src/cli/log/";

/// What would go past the client's public API: wire messages and bytes, and sockets of its own.
const PAST_THE_CLIENT: &[&str] = &["duramen_protocol", "TcpStream", "TcpListener", "UnixStream"];

/// The one file with a socket of its own: the broker's metrics come by HTTP.
const HTTP: &str = "src/cli/scrape.rs";

#[test]
fn the_command_line_talks_through_the_client() {
    let mut findings = Vec::new();
    for source in read_all(root(), &["src/cli"]) {
        for name in PAST_THE_CLIENT {
            let excepted = match *name {
                "TcpStream" => source.path == HTTP,
                "duramen_protocol" => source.path.starts_with(OFFLINE),
                _ => false,
            };
            for at in source.words(name).filter(|_| !excepted) {
                findings.push(format!("{}:{}: names {name}", source.path, source.line_of(at)));
            }
        }
    }
    report("verbs talk to brokers through duramen-client's public API alone", &findings);
}
