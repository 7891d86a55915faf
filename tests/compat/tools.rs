//! The clients on this machine, and how each is run: with a deadline, its output kept.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::java_tools::JavaTools;
use crate::network;
use crate::runner::Need;
use crate::support::child::Running;
use crate::support::eventually;
use crate::support::reference::cache;

/// How long one command of a client may take.
const DEADLINE: Duration = Duration::from_secs(240);

/// What was found.
pub struct Tools {
    kcat: Option<PathBuf>,
    python: Option<PathBuf>,
    jars: Option<PathBuf>,
    /// The folder with the modules of Node's clients.
    modules: Option<PathBuf>,
    /// Why no test can have a network of its own, if so.
    no_network: Option<String>,
    java: Mutex<Option<JavaTools>>,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub out: Vec<u8>,
    pub err: String,
}

impl Output {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// The output of a command that must succeed.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.text(), self.err);
        self
    }
}

impl Tools {
    pub fn find() -> Self {
        let python = cache().join("venv/bin/python");
        let jars = cache().join("kafka-tools");
        let modules = cache().join("node/node_modules");
        Self {
            kcat: on_path("kcat"),
            python: python.exists().then_some(python),
            jars: (jars.join(".stamp").exists() && on_path("java").is_some()).then_some(jars),
            modules: (cache().join("node/.stamp").exists() && on_path("node").is_some())
                .then_some(modules),
            no_network: network::unavailable(),
            java: Mutex::new(None),
        }
    }

    /// Why a case cannot run, if it cannot.
    pub fn missing(&self, need: Need) -> Option<String> {
        let python = (self.python.is_some(), "the Python clients");
        let (there, what) = match need {
            Need::Nothing => (true, ""),
            Need::Kcat => (self.kcat.is_some(), "kcat"),
            Need::Python => python,
            Need::Java => (self.jars.is_some(), "java with Apache Kafka's tools"),
            Need::Node => (self.modules.is_some(), "node with KafkaJS"),
            Need::PythonAndJava => {
                let missing = self.missing(Need::Python);
                return missing.or_else(|| self.missing(Need::Java));
            }
            Need::OwnNetwork => match &self.no_network {
                Some(reason) => return Some(reason.clone()),
                None => python,
            },
        };
        (!there).then(|| format!("{what} not found: run scripts/clients, which says why"))
    }

    /// kcat with these arguments. By itself it waits for metadata for five seconds alone.
    pub fn kcat_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.kcat.as_ref().expect("kcat was found"));
        command.args(["-m", "60"]).args(arguments);
        command
    }

    /// Runs kcat with these arguments and this standard input.
    pub fn kcat(&self, arguments: &[&str], input: &[u8]) -> Output {
        run(self.kcat_command(arguments), input)
    }

    /// Runs one scenario of a script in tests/compat/python.
    pub fn python(&self, script: &str, arguments: &[&str]) -> Output {
        run(self.python_script(script, arguments), b"")
    }

    /// A script in tests/compat/python with these arguments.
    pub fn python_script(&self, script: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.python.as_ref().expect("python was found"));
        command.args(["-W", "ignore"]).arg(folder().join("python").join(script)).args(arguments);
        command
    }

    /// This Python source.
    pub fn python_command(&self, source: &str) -> Command {
        let mut command = Command::new(self.python.as_ref().expect("python was found"));
        command.arg("-c").arg(source);
        command
    }

    /// Runs this Python source.
    pub fn python_source(&self, source: &str) -> Output {
        run(self.python_command(source), b"")
    }

    /// A script in tests/compat/node with these arguments.
    pub fn node_command(&self, script: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("node");
        command.env("NODE_PATH", self.modules.as_ref().expect("node was found"));
        command.env("KAFKAJS_NO_PARTITIONER_WARNING", "1");
        command.arg(folder().join("node").join(script)).args(arguments);
        command
    }

    /// Runs one scenario of a script in tests/compat/node.
    pub fn node(&self, script: &str, arguments: &[&str]) -> Output {
        run(self.node_command(script, arguments), b"")
    }

    /// One of Apache Kafka's tools in a JVM of its own.
    pub fn java_command(&self, class: &str, arguments: &[&str]) -> Command {
        let jars = self.jars.as_ref().expect("java was found");
        let mut command = Command::new("java");
        command.args(["-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp"]);
        command.arg(format!("{}/*", jars.display())).arg(class).args(arguments);
        command
    }

    /// Runs one of Apache Kafka's tools in a JVM of its own: one that closes only as it exits.
    pub fn java_alone(&self, class: &str, arguments: &[&str]) -> Output {
        run(self.java_command(class, arguments), b"")
    }

    /// Runs one of Apache Kafka's tools, by its class. They take turns in one JVM.
    pub fn java(&self, class: &str, arguments: &[&str], input: Option<&Path>) -> Output {
        let mut guard = self.java.lock().unwrap_or_else(|poison| {
            let mut guard = poison.into_inner();
            *guard = None; // the JVM of a case that failed half-way is not trusted
            guard
        });
        self.java.clear_poison();
        let jars = self.jars.as_ref().expect("java was found");
        let tools = guard.get_or_insert_with(|| JavaTools::start(jars));
        tools.run(class, arguments, input, DEADLINE)
    }
}

/// tests/compat
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat")
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Runs a command to its end, at most `DEADLINE`.
pub fn run(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Running::start(&mut command);
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    let mut stderr = child.stderr.take().expect("piped");
    let input = input.to_owned();
    let feed = thread::spawn(move || stdin.write_all(&input));
    let out = thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stdout.read_to_end(&mut bytes);
        bytes
    });
    let err = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let pid = child.id();
    let mut status = None;
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually(&format!("{command:?} ends"), DEADLINE, || {
            status = child.try_wait().expect("the process can be asked");
            status
        })
    }));
    if ended.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let _ = feed.join();
    let (out, err) = (out.join().expect("read"), err.join().expect("read"));
    let Some(status) = status else {
        panic!("{command:?} (pid {pid}) did not end: {}\n{err}", String::from_utf8_lossy(&out));
    };
    Output { code: status.code().unwrap_or(-1), out, err }
}
