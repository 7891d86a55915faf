//! The section of the README about tests: what it shows is what runs.

use std::fs;
use std::path::Path;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The first block of a language in the section.
fn block(language: &str) -> String {
    let readme = file("README.md");
    let section = readme.split("## Kafka for your tests").nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap();
    let block = section.split(&format!("```{language}\n")).nth(1).expect("the block");
    block.split("```").next().unwrap().to_owned()
}

#[test]
fn the_test_it_shows_is_one_of_the_example() {
    let example = file("examples/order_service.rs");
    let trimmed = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    };
    let (shown, runs) = (trimmed(&block("rust")), trimmed(&example));
    assert!(shown.len() > 5 && runs.windows(shown.len()).any(|lines| lines == shown));
}

#[test]
fn the_manifest_it_shows_names_what_there_is() {
    let workspace = file("Cargo.toml");
    let repository = workspace.split("\nrepository = ").nth(1).unwrap().lines().next().unwrap();
    let ours = [("duramen", "Cargo.toml"), ("duramen-client", "client/Cargo.toml")];
    for (name, manifest) in ours {
        let shown = block("toml");
        let line = shown.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap();
        assert!(line.contains(&format!("git = {repository}")), "{line}");
        assert!(file(manifest).contains(&format!("\nname = \"{name}\"")), "{manifest}");
    }
    // which leaves out what a test has no use for, and nothing that it needs
    let without = "duramen = { git = ";
    assert!(
        block("toml")
            .lines()
            .any(|line| { line.starts_with(without) && line.contains("default-features = false") })
    );
    assert!(workspace.contains("default = [\"cli\"]") && workspace.contains("\ncli = ["));
}

#[test]
fn the_commands_it_shows_name_what_there_is() {
    let manifest = file("Cargo.toml");
    for line in block("sh").lines() {
        let words: Vec<_> = line.split('#').next().unwrap().split_whitespace().collect();
        let ["cargo", verb, kind, name] = words[..] else { panic!("{line}") };
        let (table, folder) = match kind {
            "--example" => ("example", "examples"),
            "--bench" => ("bench", "benches"),
            _ => panic!("{line}"),
        };
        assert!(
            Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(format!("{name}.rs")).exists()
        );
        let target = manifest.split("\n[[").find(|target| {
            target.starts_with(&format!("{table}]]")) && target.contains(&format!("\"{name}\""))
        });
        // Without this `cargo test` only builds an example.
        let runs_tests = target.is_some_and(|target| target.contains("test = true"));
        assert!(verb != "test" || runs_tests, "{line}");
    }
}
