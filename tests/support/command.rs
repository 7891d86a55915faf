//! The binary as a user runs it.

use std::io::Write;
use std::process::{Command, Stdio};

use super::child::Running;
use super::node::Node;

/// What a run of the binary gave.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the binary with this on its stdin, and nothing of this shell's own settings.
pub fn run(brokers: &str, arguments: &[&str], input: &str) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DURAMEN_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).env("DURAMEN_BROKERS", brokers);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Running::start(&mut command);
    let mut stdin = child.stdin.take().unwrap();
    // A verb that does not read its input closes the pipe.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.output();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs what must succeed; what it printed.
pub fn done(node: &Node, arguments: &[&str], input: &str) -> String {
    let run = run(&node.bootstrap(), arguments, input);
    assert_eq!(run.code, 0, "{arguments:?}: {}", run.err);
    run.out
}

/// Runs what must fail with `code`, and with one line that holds `words`.
pub fn fails(brokers: &str, arguments: &[&str], input: &str, (code, words): (i32, &str)) {
    let run = run(brokers, arguments, input);
    assert_eq!(run.code, code, "{arguments:?}: {}", run.err);
    let told: Vec<_> = run.err.lines().filter(|line| line.contains("error:")).collect();
    assert_eq!(told.len(), 1, "{arguments:?}: {}", run.err);
    assert!(told[0].contains(words), "{arguments:?}: {}", run.err);
}
