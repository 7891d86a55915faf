//! The house rules that no compiler checks. Each rule is data here and one test below; a failure
//! names file and line and says what to do. Exceptions are ratchets: they may only shrink, and one
//! that is no longer needed fails too.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test reads the tree with plain files and may panic"
)]

#[path = "tidy/cli.rs"]
mod cli;
#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use source::{Source, read_all, relative, word_at};

/// The floors of `src/`: a module may import only modules of a lower floor, and so neighbours on
/// one floor do not see each other.
const FLOORS: &[(u8, &[&str])] = &[
    (1, &["env", "config", "measure"]),
    (2, &["storage", "peer"]),
    (3, &["raft"]),
    (4, &["metadata"]),
    (5, &["controller", "replication"]),
    (6, &["coordinator"]),
    (7, &["server", "http"]),
    (8, &["broker"]),
    (9, &["cli"]),
];

/// Files and folders that decide and do nothing: `now` comes in as an argument.
const PURE: &[&str] = &[
    "src/storage/compaction/key_map",
    "src/storage/compaction/plan",
    "src/storage/compaction/rules",
    "src/storage/compaction/transactions",
    "src/storage/retention",
    "src/storage/producer_state",
    "src/storage/epochs",
    "src/storage/validate",
    "src/controller/decide",
    "src/controller/placement",
    "src/raft/core",
    "src/coordinator/command",
    "src/coordinator/groups",
    "src/coordinator/group",
    "src/coordinator/offsets",
    "src/replication/leader",
    "src/replication/follower",
    "src/replication/waiters",
    "src/measure/gate",
    "src/cli/doctor/judge",
    "src/cli/top/rates",
    "src/cli/group/target",
    "client/src/error/codes",
    "client/src/properties",
    "client/src/consumer/group/assignor",
    "client/src/consumer/group/member",
    "src/metadata/delta",
    "src/metadata/image",
];

/// What a pure file must not name.
const IMPURE: &[&str] = &[
    "crate::env",
    "tokio::",
    "tracing::",
    "crate::measure",
    "prometheus_client::",
    "std::fs",
    "std::net",
    "std::thread",
    "Instant::now",
    "SystemTime",
];

/// What `protocol/` must not name: it has no clock, no files, no sockets and no runtime.
const NOT_WIRE: &[&str] =
    &["std::fs", "std::net", "std::thread", "Instant::now", "SystemTime", "tokio::"];

const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 600;
const TYPE_PARAMETERS: usize = 2;

/// Functions over `FUNCTION_LINES`: file, name, lines today.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Files over `FILE_LINES`: file, lines today.
const LONG_FILES: &[(&str, usize)] = &[];

/// The one file that may say `unsafe`.
const UNSAFE: &str = "src/env/map.rs";

/// The one file in which a test starts a process that is not waited for at once.
const CHILDREN: &str = "tests/support/child.rs";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn crates() -> Vec<Source> {
    read_all(root(), &["src", "protocol/src", "client/src"])
}

fn report(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(_, names)| names.contains(&module)).map(|(floor, _)| *floor)
}

#[test]
fn modules_import_only_lower_floors() {
    let mut findings = Vec::new();
    for source in read_all(root(), &["src"]) {
        let module = imports::module_of(&source.path);
        if matches!(module.as_str(), "lib" | "main") {
            continue;
        }
        let Some(own) = floor(&module) else {
            findings.push(format!("{}: {module} has no floor: give it one in FLOORS", source.path));
            continue;
        };
        for import in imports::imports(&source) {
            let line = source.line_of(import.at);
            let climbs = floor(&import.module).is_some_and(|floor| floor >= own);
            if climbs && import.module != module {
                findings.push(format!(
                    "{}:{line}: {module} (floor {own}) imports {} (floor {})",
                    source.path,
                    import.module,
                    floor(&import.module).unwrap_or_default(),
                ));
            }
        }
    }
    report("a module imports only lower floors", &findings);
}

#[test]
fn pure_files_only_decide() {
    let mut findings = Vec::new();
    for source in crates() {
        let stem = source.path.trim_end_matches(".rs");
        let pure = PURE.iter().any(|pure| stem == *pure || stem.starts_with(&format!("{pure}/")));
        let wire = source.path.starts_with("protocol/");
        let banned = if pure { IMPURE } else { NOT_WIRE };
        for name in banned.iter().filter(|_| pure || wire) {
            for (at, _) in source.code.match_indices(name) {
                if !source.is_test_at(at) {
                    findings.push(format!("{}:{}: names {name}", source.path, source.line_of(at)));
                }
            }
        }
    }
    report(
        "a pure file takes `now` and bytes as arguments and names no way to the world",
        &findings,
    );
}

#[test]
fn functions_stay_short() {
    let mut findings = Vec::new();
    let mut needed = BTreeSet::new();
    for source in crates() {
        for (name, at, lines) in source.functions() {
            if lines <= FUNCTION_LINES || source.is_test_at(at) {
                continue;
            }
            let allowed = LONG_FUNCTIONS
                .iter()
                .find(|(path, function, _)| *path == source.path && *function == name);
            needed.insert((source.path.clone(), name.clone()));
            if allowed.is_none_or(|(_, _, today)| lines != *today) {
                findings.push(format!(
                    "{}:{}: fn {name} has {lines} lines, {} are allowed",
                    source.path,
                    source.line_of(at),
                    allowed.map_or(FUNCTION_LINES, |(_, _, today)| *today),
                ));
            }
        }
    }
    for (path, name, _) in LONG_FUNCTIONS {
        if !needed.contains(&((*path).to_owned(), (*name).to_owned())) {
            findings.push(format!("{path}: fn {name} is short now: drop it from LONG_FUNCTIONS"));
        }
    }
    report("split it, or, when it shrank, lower its figure in LONG_FUNCTIONS", &findings);
}

#[test]
fn files_stay_short() {
    let mut findings = Vec::new();
    let mut needed = BTreeSet::new();
    for source in crates() {
        let lines = source.lines();
        if lines <= FILE_LINES {
            continue;
        }
        let allowed = LONG_FILES.iter().find(|(path, _)| *path == source.path);
        needed.insert(source.path.clone());
        if allowed.is_none_or(|(_, today)| lines != *today) {
            let limit = allowed.map_or(FILE_LINES, |(_, today)| *today);
            findings.push(format!("{}: {lines} lines without tests, {limit} allowed", source.path));
        }
    }
    for (path, _) in LONG_FILES.iter().filter(|(path, _)| !needed.contains(*path)) {
        findings.push(format!("{path}: short now: drop it from LONG_FILES"));
    }
    report("split it, or, when it shrank, lower its figure in LONG_FILES", &findings);
}

#[test]
fn every_file_says_what_lives_here() {
    let findings: Vec<String> = crates()
        .iter()
        .filter(|source| !source.is_test)
        .map(|source| source.path.clone())
        .filter(|path| {
            let text = fs::read_to_string(root().join(path)).unwrap_or_default();
            !text.starts_with("//!")
        })
        .collect();
    report("a file opens with `//!` and what lives in it", &findings);
}

#[test]
fn types_have_few_parameters() {
    let mut findings = Vec::new();
    for source in crates() {
        for keyword in ["struct", "enum"] {
            for at in source.words(keyword) {
                let name = word_at(&source.code, at + keyword.len());
                let Some(offset) = source.code[at..].find(&name).filter(|_| !name.is_empty())
                else {
                    continue;
                };
                let count = imports::type_parameters(&source.code, at + offset + name.len());
                if count > TYPE_PARAMETERS {
                    let line = source.line_of(at);
                    findings.push(format!("{}:{line}: {name} has {count}", source.path));
                }
            }
        }
    }
    report("a type has at most two type parameters: pass dependencies as values", &findings);
}

#[test]
fn unsafe_stands_in_one_file() {
    let folders = ["src", "protocol", "client", "tests", "benches"];
    let mut findings = Vec::new();
    for source in read_all(root(), &folders) {
        if source.path == UNSAFE || source.path.starts_with("tests/fuzz/") {
            continue;
        }
        for at in source.words("unsafe").chain(source.words("unsafe_code")) {
            findings.push(format!("{}:{}", source.path, source.line_of(at)));
        }
    }
    report(&format!("`unsafe` stands only in {UNSAFE}"), &findings);
}

#[test]
fn no_process_outlives_its_test() {
    let mut findings = Vec::new();
    for source in read_all(root(), &["tests", "client/tests"]) {
        for (at, _) in source.code.match_indices(".spawn()") {
            if source.path != CHILDREN {
                findings.push(format!("{}:{}", source.path, source.line_of(at)));
            }
        }
    }
    report(&format!("a process is started by `Running::start` of {CHILDREN}"), &findings);
}

/// `CreateTopics` → `create_topics`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[test]
fn every_api_has_its_three_parts() {
    let mut findings = Vec::new();
    for spec in duramen_protocol::api::TABLE {
        let name = snake(spec.name);
        for folder in ["protocol/src/messages", "src/server/api", "tests/api"] {
            let file = root().join(folder).join(format!("{name}.rs"));
            let inside = root().join(folder).join(&name).join("mod.rs");
            if root().join(folder).is_dir() && !file.exists() && !inside.exists() {
                findings.push(format!("{folder}/{name}.rs is missing"));
            }
        }
    }
    report("an API is a row in protocol/src/api.rs, a handler and a test", &findings);
}

#[test]
fn every_decision_to_depend_is_written_down() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let decision = fs::read_to_string(root().join("docs/decisions/001-dependencies.md"))
        .expect("docs/decisions/001-dependencies.md");
    let listed = manifest.split("[workspace.dependencies]").nth(1).unwrap_or("");
    let findings: Vec<String> = listed
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name.trim()))
        .filter(|name| !name.starts_with("duramen-") && !name.starts_with('#'))
        .filter(|name| !decision.contains(&format!("`{name}`")))
        .map(str::to_owned)
        .collect();
    report("docs/decisions/001-dependencies.md says what each dependency replaces", &findings);
}

#[test]
fn decisions_are_in_their_index() {
    let folder = root().join("docs/decisions");
    let index = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
    let findings: Vec<String> = source::files_under(&folder, "md")
        .iter()
        .map(|file| relative(&folder, file))
        .filter(|name| name != "README.md" && !index.contains(&format!("({name})")))
        .collect();
    report("docs/decisions/README.md lists every decision", &findings);
}

#[test]
fn links_lead_somewhere() {
    let findings: Vec<String> = docs::documents(root())
        .iter()
        .flat_map(|(path, text)| docs::dead_links(root(), path, text))
        .collect();
    report("every relative link in README.md and docs/ leads to a file and heading", &findings);
}

#[test]
fn shown_commands_exist() {
    let findings: Vec<String> = docs::documents(root())
        .iter()
        .flat_map(|(path, text)| docs::dead_commands(root(), path, text))
        .collect();
    report("every command in a `sh` block exists with its options", &findings);
}
