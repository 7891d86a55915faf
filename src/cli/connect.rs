//! What every verb that talks to a cluster takes, and the runtime it runs on.

use std::future::Future;
use std::time::Duration;

use clap::Args;
use duramen_client::cluster::{Cluster, ClusterOptions};
use duramen_client::{ConnectionOptions, Text};

use super::exit::{Exit, Failure};
use super::time::parse_duration_ms;

/// Where a broker is when nothing says otherwise.
const DEFAULT_BROKERS: &str = "127.0.0.1:9092";

/// How long a broker may take to answer when nothing says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to reach the cluster.
#[derive(Debug, Clone, Args)]
pub struct ClusterArgs {
    /// Brokers to begin with [default: those of the profile in use, or 127.0.0.1:9092]
    #[arg(short, long, env = "DURAMEN_BROKERS", value_name = "HOST:PORT,…", global = true)]
    brokers: Option<String>,
    /// Talk to the cluster of this name; see `duramen profile`
    #[arg(long, env = "DURAMEN_PROFILE", value_name = "NAME", global = true)]
    profile: Option<String>,
    /// How long a broker may take to answer [default: 30s; in doctor 5s, for the HTTP side of top 2s]
    #[arg(long, value_name = "DURATION", value_parser = duration, global = true)]
    timeout: Option<Duration>,
}

impl ClusterArgs {
    /// How long a broker may take to answer.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout_or(PATIENCE)
    }

    /// The same where it is usually another time.
    #[must_use]
    pub fn timeout_or(&self, usual: Duration) -> Duration {
        self.timeout.unwrap_or(usual)
    }

    /// The brokers to begin with.
    ///
    /// # Errors
    /// When two places are named, or the profile does not exist.
    pub fn brokers(&self) -> Result<String, Failure> {
        match (&self.brokers, &self.profile) {
            (Some(brokers), None) => Ok(brokers.clone()),
            (Some(brokers), Some(profile)) => Err(Failure::usage(format!(
                "both brokers ({brokers}) and a profile ({profile}) are given: leave one out of \
                 --brokers, DURAMEN_BROKERS, --profile, DURAMEN_PROFILE"
            ))),
            (None, profile) => {
                let brokers = super::profile::brokers(profile.as_deref())?;
                Ok(brokers.unwrap_or_else(|| DEFAULT_BROKERS.to_owned()))
            }
        }
    }

    /// The cluster; nothing is connected yet. Inside a runtime, as what fails and is tried again is told.
    ///
    /// # Errors
    /// As [`ClusterArgs::brokers`], and when an address is none.
    pub fn cluster(&self) -> Result<Cluster, Failure> {
        let cluster = self.quiet_cluster()?;
        super::troubles::watch(&cluster);
        Ok(cluster)
    }

    /// The same for a verb that says itself what is wrong.
    ///
    /// # Errors
    /// As [`ClusterArgs::cluster`].
    pub fn quiet_cluster(&self) -> Result<Cluster, Failure> {
        let connection = ConnectionOptions::default()
            .client_id(Text::from("duramen-cli"))
            .request_timeout(self.timeout());
        let options = ClusterOptions::default()
            .connection(connection)
            .connect_timeout(self.timeout().min(Duration::from_secs(10)))
            .operation_timeout(self.timeout() * 2);
        Ok(Cluster::new(&self.brokers()?, options)?)
    }
}

/// Reads a duration as `30s`, `500ms`, `1h30m`.
///
/// # Errors
/// When it is none, or negative.
pub fn duration(text: &str) -> Result<Duration, String> {
    parse_duration_ms(text)
        .and_then(|ms| u64::try_from(ms).ok())
        .map(Duration::from_millis)
        .ok_or_else(|| "write a duration as 30s, 500ms or 1h30m".to_owned())
}

/// Reads a size as `1000`, `64k`, `16m`, `1g`, in powers of 1024.
///
/// # Errors
/// When it is none.
pub fn bytes(text: &str) -> Result<usize, String> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches("ib").trim_end_matches('b');
    let (number, unit) = match digits.char_indices().last() {
        Some((at, 'k')) => (digits.get(..at), 10),
        Some((at, 'm')) => (digits.get(..at), 20),
        Some((at, 'g')) => (digits.get(..at), 30),
        _ => (Some(digits), 0),
    };
    number
        .and_then(|number| number.parse::<usize>().ok())
        .and_then(|number| number.checked_mul(1 << unit))
        .ok_or_else(|| "write a size in bytes, or as 64k, 16m or 1g".to_owned())
}

/// Runs a verb on a runtime of two worker threads. The verb itself stays on this thread, where it may
/// read and write files without holding up the network.
///
/// # Errors
/// The verb's own.
pub fn block_on(verb: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("no runtime: {error}")))?;
    let done = runtime.block_on(verb);
    // A thread may still sit in a read of stdin; the process ends without it.
    runtime.shutdown_background();
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_as_people_write_them() {
        for (text, want) in [("1000", 1000), ("64k", 65_536), ("1MiB", 1 << 20), ("2g", 2 << 30)] {
            assert_eq!(bytes(text), Ok(want), "{text}");
        }
        assert!(bytes("x").is_err() && bytes("").is_err() && bytes("-1").is_err());
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("-1s").is_err() && duration("soon").is_err());
    }
}
