//! `duramen doctor`: looks at a node, running or stopped, and says what is wrong and the way out.
//!
//! | file | what it measures |
//! |---|---|
//! | `broker.rs` | by Kafka's protocol: addresses, versions, clocks, log directories |
//! | `http.rs` | by HTTP: health, and what `/metrics` tells |
//! | `data.rs` | in the data directory: its state, room, and how fast the disk is |
//! | `judge/` | PURE: what was measured → findings |

mod broker;
mod data;
mod http;
mod judge;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use duramen_client::transport::Address;
use serde_json::json;

use super::connect::ClusterArgs;
use super::exit::{Exit, Failure};
use super::output::{self, Format, Table};
use super::scrape::DEFAULT_HTTP;
use judge::{Finding, Level};

/// Look at a node, running or stopped, and say what is wrong and the way out.
///
/// Nothing is changed. In the data directory a file of some megabytes is written for a moment, to
/// measure the disk; --no-probe leaves that out.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen doctor                                     the broker on this machine
  duramen doctor --data /var/lib/duramen             and its directory; also of a stopped node
  duramen doctor --brokers kafka.internal:9092 --http kafka.internal:9644
  duramen doctor --format json | jq '.findings[] | select(.level != \"ok\")'

Exit codes:
  0 nothing failed (there may be warnings) · 1 something failed · 2 wrong usage")]
pub struct DoctorArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Where its metrics and health are, or off
    #[arg(long, value_name = "HOST:PORT|off", env = "DURAMEN_HTTP", default_value = DEFAULT_HTTP)]
    http: String,
    /// Its data directory; may be repeated. The one that the broker tells, or ./duramen-data, otherwise
    #[arg(long, value_name = "DIR", env = "DURAMEN_DATA", value_delimiter = ',')]
    data: Vec<PathBuf>,
    /// Do not measure the disk
    #[arg(long)]
    no_probe: bool,
    /// How to show it
    #[arg(long, env = "DURAMEN_FORMAT", default_value = "table")]
    format: Format,
}

/// How long one address may take, unless --timeout says so.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(5);

/// Looks, says what it found, and fails when something failed.
pub(super) async fn run(args: DoctorArgs) -> Result<(), Failure> {
    let patience = args.cluster.timeout_or(ADDRESS_PATIENCE);
    let addresses = addresses(&args.cluster.brokers()?)?;
    let admin = duramen_client::Admin::new(&args.cluster.quiet_cluster()?);

    let side = http::look(&args.http, patience).await;
    let dirs = data::directories(&args.data, side.samples.as_ref());
    let surveys = data::surveys(&dirs);
    let stopped = surveys.iter().any(data::is_stopped);

    let seen = broker::look(&addresses, stopped, patience).await;
    let cluster = seen.cluster.as_deref();
    let told = side.samples.is_some();
    let side = side.of_cluster(cluster);
    // Directories that another cluster's broker told are none of this one's.
    let others = told && side.samples.is_none() && args.data.is_empty();
    let surveys = if others { Vec::new() } else { surveys };
    let mut findings = seen.findings;
    findings.extend(side.findings);
    findings.extend(broker::versions(&admin, &seen.apis, side.samples.as_ref()).await);
    if cluster.is_some() {
        findings.extend(broker::log_dirs(&admin, side.samples.as_ref()).await);
        findings.extend(broker::newest_record(&admin).await);
    }
    findings.extend(side.clock);
    findings.extend(data::limits(&surveys, side.samples.as_ref()));
    findings.extend(data::state(&surveys, cluster));
    if !args.no_probe {
        findings.extend(data::probes(&surveys));
    }
    show(args.format, &findings)
}

fn addresses(brokers: &str) -> Result<Vec<Address>, Failure> {
    let texts = brokers.split(',').filter(|text| !text.trim().is_empty());
    let parse = |text: &str| {
        Address::parse(text)
            .ok_or_else(|| Failure::usage(format!("--brokers: {text} is no address")))
    };
    texts.map(parse).collect()
}

fn show(format: Format, findings: &[Finding]) -> Result<(), Failure> {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (failed, warned) = (count(Level::Fail), count(Level::Warn));
    let mut table = Table::new(&["", "check", "finding", "way out"]);
    for Finding { level, check, found, fix } in findings {
        table.row(vec![level.word().into(), (*check).into(), found.clone(), fix.clone()]);
    }
    let json = json!({
        "findings": findings.iter().map(|finding| json!({
            "level": finding.level.word(),
            "check": finding.check,
            "finding": finding.found,
            "way_out": Some(&finding.fix).filter(|fix| !fix.is_empty()),
        })).collect::<Vec<_>>(),
        "failed": failed,
        "warned": warned,
    });
    output::print(format, &json, &[table])?;
    match failed {
        0 => Ok(()),
        _ => Err(Failure::new(
            Exit::Failed,
            format!("{failed} of {} checks failed, see above", findings.len()),
        )),
    }
}
