//! One JVM that runs Apache Kafka's tools one after another (`java/Tools.java` is its other half).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::support::child::Running;
use crate::tools::{Output, folder};

/// The running JVM.
pub struct JavaTools {
    _child: Running,
    commands: ChildStdin,
    answers: Receiver<Output>,
}

impl JavaTools {
    pub fn start(jars: &Path) -> Self {
        let mut child = Running::start(
            Command::new("java")
                .args(["-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp"])
                .arg(format!("{}/*", jars.display()))
                .arg(folder().join("java/Tools.java"))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit()),
        );
        let commands = child.stdin.take().expect("piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (send, answers) = channel();
        thread::spawn(move || {
            while let Some(answer) = read_answer(&mut stdout) {
                if send.send(answer).is_err() {
                    break;
                }
            }
        });
        Self { _child: child, commands, answers }
    }

    pub fn run(
        &mut self,
        class: &str,
        arguments: &[&str],
        input: Option<&Path>,
        deadline: Duration,
    ) -> Output {
        let input = input.map(|path| path.display().to_string()).unwrap_or_default();
        let fields = [&[input.as_str(), class], arguments].concat();
        writeln!(self.commands, "{}", fields.join("\u{1f}")).expect("the JVM reads");
        match self.answers.recv_timeout(deadline) {
            Ok(output) => output,
            Err(error) => panic!("{class} {arguments:?}: no answer of the JVM: {error}"),
        }
    }
}

/// `code out-bytes err-bytes` on a line, then the bytes.
fn read_answer(stdout: &mut impl BufRead) -> Option<Output> {
    let mut head = String::new();
    stdout.read_line(&mut head).ok()?;
    let mut numbers = head.split_whitespace();
    let code = numbers.next()?.parse().ok()?;
    let out: usize = numbers.next()?.parse().ok()?;
    let err: usize = numbers.next()?.parse().ok()?;
    let mut bytes = vec![0; out + err];
    stdout.read_exact(&mut bytes).ok()?;
    let err = String::from_utf8_lossy(&bytes[out..]).into_owned();
    bytes.truncate(out);
    Some(Output { code, out: bytes, err })
}
