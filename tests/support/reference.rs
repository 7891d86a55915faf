//! Apache Kafka itself in the place of our broker, to prove the tests: what fails on Duramen and
//! passes here is Duramen's fault. On request a proxy in front of it records frames.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use super::child::Running;
use super::node::free_port;

/// One Apache Kafka node, broker and controller in one.
#[derive(Debug)]
pub struct Reference {
    jars: PathBuf,
    folder: PathBuf,
    broker: u16,
    controller: u16,
    /// Where the recording proxy listens, and where it records.
    proxy: Option<(u16, PathBuf)>,
    running_proxy: Option<Running>,
}

impl Reference {
    /// The folder of Kafka's jars when `COMPAT_REFERENCE` asks for Kafka.
    pub fn wanted() -> Option<PathBuf> {
        env::var_os("COMPAT_REFERENCE").map(|_| cache().join("kafka-tools"))
    }

    pub fn new(jars: PathBuf, folder: &Path) -> Self {
        let proxy = env::var_os("COMPAT_CAPTURE").map(|to| (free_port(), to.into()));
        let (broker, controller) = (free_port(), free_port());
        Self { jars, folder: folder.to_owned(), broker, controller, proxy, running_proxy: None }
    }

    pub fn broker_port(&self) -> u16 {
        self.broker
    }

    pub fn client_port(&self) -> u16 {
        self.proxy.as_ref().map_or(self.broker, |(port, _)| *port)
    }

    /// Starts the recording proxy, once.
    pub fn start_proxy(&mut self) {
        let Some((port, to)) = self.proxy.as_ref().filter(|_| self.running_proxy.is_none()) else {
            return;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/python/capture.py");
        let mut command = Command::new(cache().join("venv/bin/python"));
        command.arg(script).args([port.to_string(), self.broker.to_string()]).arg(to);
        self.running_proxy = Some(Running::start(command.stdin(Stdio::null())));
    }

    /// The command that runs the broker; the directory is formatted first if it is new.
    pub fn command(&self, data: &Path, settings: &[String]) -> Command {
        let properties = self.folder.join("server.properties");
        fs::write(&properties, self.properties(data, settings)).expect("server.properties");
        if !data.join("meta.properties").exists() {
            let mut format = self.java("kafka.tools.StorageTool");
            format.args(["format", "--standalone", "-t", "q1Sh-9_ISia_zwGINzRvyQ", "-c"]);
            let out = format.arg(&properties).output().expect("StorageTool runs");
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        }
        let mut command = self.java("kafka.Kafka");
        command.arg(properties);
        command
    }

    fn java(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        command.args(["-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp"]);
        command.arg(format!("{}/*", self.jars.display())).arg(class);
        command
    }

    fn properties(&self, data: &Path, settings: &[String]) -> String {
        let Self { broker, controller, .. } = self;
        let client = self.client_port();
        let mut lines = vec![
            "process.roles=broker,controller".to_owned(),
            "node.id=1".to_owned(),
            format!("listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}"),
            format!("advertised.listeners=PLAINTEXT://localhost:{client}"),
            format!("controller.quorum.bootstrap.servers=127.0.0.1:{controller}"),
            "controller.listener.names=CONTROLLER".to_owned(),
            format!("log.dirs={}", data.display()),
            "offsets.topic.replication.factor=1".to_owned(),
            "offsets.topic.num.partitions=4".to_owned(),
            "transaction.state.log.replication.factor=1".to_owned(),
            "transaction.state.log.min.isr=1".to_owned(),
        ];
        // Kafka refuses to start with names that are ours alone
        lines.extend(settings.iter().filter(|line| !line.starts_with("durability")).cloned());
        lines.join("\n")
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        if let Some(mut proxy) = self.running_proxy.take() {
            // it writes what it recorded when it is asked to end
            let _ = Command::new("kill").arg(proxy.id().to_string()).status();
            let _ = proxy.wait();
        }
    }
}

/// Where scripts/clients puts the clients.
pub fn cache() -> PathBuf {
    let from = |name: &str| env::var_os(name).map(PathBuf::from);
    from("COMPAT_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|folder| folder.join("duramen")))
        .or_else(|| from("HOME").map(|folder| folder.join(".cache/duramen")))
        .unwrap_or_else(|| PathBuf::from("/tmp/.cache/duramen"))
}
