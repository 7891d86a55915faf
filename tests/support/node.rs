//! One broker as a real process on free loopback ports, with a directory of its own. It is killed
//! when the value is dropped.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::child::Running;
use super::eventually;
use super::reference::{self, Reference};

/// How long a node may take from its start to its first answer (Apache Kafka needs seconds), and to its end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running broker: Duramen, or Apache Kafka when the tests are proved on the reference.
#[derive(Debug)]
pub struct Node {
    child: Option<Running>,
    kind: Kind,
    settings: Vec<String>,
    port: u16,
    /// Keeps what the node prints, and its data unless that lies elsewhere.
    folder: TempDir,
    data: PathBuf,
}

#[derive(Debug)]
enum Kind {
    Duramen { http: u16 },
    Reference(Reference),
}

impl Node {
    /// Starts a node with Kafka-style `name=value` settings and waits until it answers.
    pub fn start(settings: &[&str]) -> Self {
        Self::begin(settings, None, Reference::wanted())
    }

    /// The same, with its logs in `data`.
    pub fn start_at(data: &Path, settings: &[&str]) -> Self {
        Self::begin(settings, Some(data.to_owned()), Reference::wanted())
    }

    /// Duramen, whatever `COMPAT_REFERENCE` says.
    pub fn duramen_with(settings: &[&str]) -> Self {
        Self::begin(settings, None, None)
    }

    /// Apache Kafka, whatever `COMPAT_REFERENCE` says; its jars are there.
    pub fn kafka_with(settings: &[&str]) -> Self {
        Self::begin(settings, None, Some(reference::cache().join("kafka-tools")))
    }

    fn begin(settings: &[&str], data: Option<PathBuf>, jars: Option<PathBuf>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let data = data.unwrap_or_else(|| folder.path().join("data"));
        let kind = match jars {
            Some(jars) => Kind::Reference(Reference::new(jars, folder.path())),
            None => Kind::Duramen { http: free_port() },
        };
        let port = match &kind {
            Kind::Reference(reference) => reference.client_port(),
            Kind::Duramen { .. } => free_port(),
        };
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut node = Self { child: None, kind, settings, port, folder, data };
        node.restart();
        node
    }

    /// Whether this is Apache Kafka, on which the tests themselves are proved.
    pub fn is_reference(&self) -> bool {
        matches!(self.kind, Kind::Reference(_))
    }

    /// `localhost:port`, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The port of the Kafka listener.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port` of the HTTP listener; none on the reference.
    pub fn http(&self) -> Option<String> {
        match self.kind {
            Kind::Duramen { http } => Some(format!("127.0.0.1:{http}")),
            Kind::Reference(_) => None,
        }
    }

    /// Where the node keeps its logs.
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// What the node has printed so far.
    pub fn output(&self) -> String {
        fs::read_to_string(self.output_path()).unwrap_or_default()
    }

    /// Starts the process again on the same directory and ports, and waits until it answers.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "stop or kill the node first");
        self.child = Some(Running::start(&mut self.command()));
        if let Kind::Reference(reference) = &mut self.kind {
            reference.start_proxy();
        }
        let child = self.child.as_mut().expect("just started");
        let port = match &self.kind {
            Kind::Reference(reference) => reference.broker_port(),
            Kind::Duramen { .. } => self.port,
        };
        let log = self.folder.path().join("node.log");
        eventually("the node answers ApiVersions", PATIENCE, || {
            let gone = child.try_wait().expect("the process can be asked");
            assert!(
                gone.is_none(),
                "the node ended with {gone:?}: {}",
                fs::read_to_string(&log).unwrap_or_default()
            );
            answers(port).then_some(())
        });
    }

    /// Ends the process at once, as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the process can be killed");
            child.wait().expect("the process ends");
        }
    }

    /// Asks the process to stop (SIGTERM) and waits for it.
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the node runs");
        child.ask_to_stop();
        eventually("the node stops after SIGTERM", PATIENCE, || {
            child.try_wait().expect("the process can be asked")
        })
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// The process id; the node runs.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the node runs").id()
    }

    fn output_path(&self) -> PathBuf {
        self.folder.path().join("node.log")
    }

    fn command(&self) -> Command {
        let mut command = match &self.kind {
            Kind::Reference(reference) => reference.command(&self.data(), &self.settings),
            Kind::Duramen { http } => self.duramen(*http),
        };
        let log = open_log(&self.output_path());
        let errors = log.try_clone().expect("a second handle of the log");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        command
    }

    fn duramen(&self, http: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
        command.arg("serve").arg("--data").arg(self.data());
        command.arg("--listen").arg(format!("127.0.0.1:{}", self.port));
        command.arg("--http").arg(format!("127.0.0.1:{http}"));
        for setting in &self.settings {
            command.arg("--set").arg(setting);
        }
        // what is set in the shell that runs the tests is not this node's business
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DURAMEN_") {
                command.env_remove(name);
            }
        }
        command
    }
}

/// Ports that the system gives to nobody who asks for any, nor to who connects.
const UNASKED: Range<u16> = 10_000..32_768;

/// A port where nothing listens, for the caller alone: who stops and starts again finds it free.
pub fn free_port() -> u16 {
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    // Processes that run beside this one begin elsewhere.
    let first = usize::try_from(std::process::id()).expect("a number") * 97;
    (0..UNASKED.len())
        .map(|_| first + GIVEN.fetch_add(1, Ordering::Relaxed))
        .filter_map(|number| UNASKED.clone().nth(number % UNASKED.len()))
        // Not by listening: a child that another test begins meanwhile would listen on for a moment.
        .find(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_err())
        .expect("a free port")
}

fn open_log(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("the node's log file")
}

/// Whether a broker on `port` answers an ApiVersions request of version 0.
fn answers(port: u16) -> bool {
    const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    let ask = || -> std::io::Result<[u8; 10]> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(&REQUEST)?;
        let mut answer = [0; 10];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|[_, _, _, _, correlation @ .., _, _]| correlation == [0, 0, 0, 7])
}
