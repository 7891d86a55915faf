//! `duramen serve`: a broker in this process.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::output;
use super::signals::Signals;
use crate::broker::{Broker, StartError};
use crate::config::{ConfigError, RawConfig, Settings};
use crate::env::raise_open_file_limit;

/// Run a broker.
///
/// Without arguments: one node, controller and broker in one, data in ./duramen-data, clients on
/// 127.0.0.1:9092, metrics and health on 127.0.0.1:9644. Settings have Kafka's names; what comes later
/// wins: the file, the environment (DURAMEN_LOG_RETENTION_MS is log.retention.ms), the flags.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen serve
  duramen serve --data /var/lib/duramen --listen 0.0.0.0:9092
  duramen serve server.properties --set log.retention.hours=24
  duramen serve --check server.properties            only say what is wrong with the settings")]
pub struct ServeArgs {
    /// A properties file with Kafka's names
    #[arg(value_name = "CONFIG.properties", env = "DURAMEN_CONFIG")]
    config: Option<PathBuf>,
    /// Where the data is (log.dirs)
    #[arg(long, value_name = "DIR", env = "DURAMEN_DATA")]
    data: Option<PathBuf>,
    /// Where clients connect (listeners)
    #[arg(long, value_name = "HOST:PORT", env = "DURAMEN_LISTEN")]
    listen: Option<String>,
    /// Where metrics and health are served, or off
    #[arg(long, value_name = "HOST:PORT|off", env = "DURAMEN_HTTP")]
    http: Option<String>,
    /// A setting by its Kafka name; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// What to log: error, warn, info, debug, trace, or a filter by module
    #[arg(long, value_name = "LEVEL", env = "DURAMEN_LOG", default_value = "info")]
    log: String,
    /// How to log
    #[arg(long, value_name = "FORMAT", env = "DURAMEN_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Check the settings and stop
    #[arg(long)]
    check: bool,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// One line an event, fields as name=value
    Text,
    /// One JSON object an event
    Json,
}

/// Runs until a signal says to stop.
pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let raw = gather(args).map_err(wrong)?;
    let settings = raw.settings();
    let config = Broker::check(&settings).map_err(wrong)?;
    if config.listeners.clients.is_empty() {
        return Err(Failure::usage(
            "listeners: off is for a broker inside another program; name where clients connect, \
             as in --listen 127.0.0.1:9092",
        ));
    }
    if args.check {
        raw.warnings().iter().for_each(|warning| output::note(warning));
        return Ok(());
    }
    start_log(args)?;
    raise_open_file_limit();
    raw.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("no runtime: {error}")))?;
    let done = runtime.block_on(serve(settings));
    // A start that was broken off may still recover a log; the process ends without it.
    runtime.shutdown_background();
    done
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    // Listened for from the start: one that comes right after it must not kill the process.
    let mut signals = Signals::listen()?;
    let broker = tokio::select! {
        started = Broker::start(settings) => started.map_err(not_started)?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped before the start was done");
            return Ok(());
        }
    };
    let signal = signals.next().await;
    tracing::info!(signal, "stopping");
    broker.stop().await;
    Ok(())
}

fn gather(args: &ServeArgs) -> Result<RawConfig, ConfigError> {
    let mut raw = RawConfig::new();
    if let Some(path) = &args.config {
        raw.add_file(&path.display().to_string(), &read(path)?)?;
    }
    raw.add_env(std::env::vars_os().filter_map(|(name, value)| {
        // A variable that is not UTF-8 can't be a setting.
        Some((name.into_string().ok()?, value.into_string().ok()?))
    }))?;
    if let Some(data) = &args.data {
        raw.set("log.dirs", &data.display().to_string(), "--data")?;
    }
    if let Some(listen) = &args.listen {
        let named = listen.contains("://");
        let listener = if named { listen.clone() } else { format!("PLAINTEXT://{listen}") };
        raw.set("listeners", &listener, "--listen")?;
    }
    if let Some(http) = &args.http {
        raw.set("http.listener", http, "--http")?;
    }
    args.settings.iter().try_for_each(|text| raw.add_assignment(text))?;
    Ok(raw)
}

#[expect(clippy::disallowed_methods, reason = "a file that a person named, read once at the start")]
fn read(path: &Path) -> Result<String, ConfigError> {
    let shown = path.display();
    let bytes =
        std::fs::read(path).map_err(|error| ConfigError::Conflict(format!("{shown}: {error}")))?;
    String::from_utf8(bytes).map_err(|_| ConfigError::Conflict(format!("{shown}: is not UTF-8")))
}

fn wrong(error: ConfigError) -> Failure {
    Failure::usage(error)
}

fn not_started(error: StartError) -> Failure {
    match error {
        StartError::Config(error) => wrong(error),
        error => Failure::new(Exit::Failed, error),
    }
}

fn start_log(args: &ServeArgs) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(&args.log)
        .map_err(|error| Failure::usage(format!("--log {}: {error}", args.log)))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    match args.log_format {
        LogFormat::Text => builder.compact().init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
