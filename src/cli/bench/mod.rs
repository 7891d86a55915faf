//! `duramen bench`: how fast a broker of the Kafka protocol is, seen from a light client.
//!
//! | file | what lives there |
//! |---|---|
//! | `produce` | records in, at a fixed rate or as fast as they are taken |
//! | `consume` | records out, as fast as they come |
//! | `latency` | from a record's intended send time to its arrival at a consumer |
//! | `groups` | members that join, heartbeat and commit |
//! | `load` | the records that are sent, and the loop that sends them |
//! | `timetable` | when each record is due, pure |
//! | `tally` | what was delivered, when, and how late |
//! | `report` | figures as a table and as JSON |
//! | `topic` | the topic: looked up, or made |

mod consume;
mod groups;
mod latency;
mod load;
mod produce;
mod report;
mod tally;
mod timetable;
mod topic;

use clap::{Args, Subcommand};

use super::connect::ClusterArgs;
use super::exit::Failure;

/// Measure a broker: produce, consume, end-to-end latency, groups.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen bench produce load -p 12 --size 1k --duration 10s     as fast as the broker takes them
  duramen bench consume load                                    read it all back
  duramen bench latency probe --rate 20k --duration 30s         end-to-end percentiles
  duramen bench groups --groups 1000 --members 1                members that join and commit
  duramen bench latency probe --rate 1k --format json | jq .end_to_end_ms.p99

Any broker that speaks the Kafka protocol will do. At a fixed rate each latency is counted from the
time at which the record was due, whether or not it could be sent then: a stall shows in every
record that it held up (no coordinated omission).")]
pub struct BenchArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(subcommand)]
    verb: BenchVerb,
}

#[derive(Debug, Subcommand)]
enum BenchVerb {
    Produce(produce::ProduceArgs),
    Consume(consume::ConsumeArgs),
    Latency(latency::LatencyArgs),
    Groups(groups::GroupsArgs),
}

/// Measures what was asked for.
pub(super) async fn run(args: BenchArgs) -> Result<(), Failure> {
    match args.verb {
        BenchVerb::Produce(verb) => produce::run(&args.cluster, verb).await,
        BenchVerb::Consume(verb) => consume::run(&args.cluster, verb).await,
        BenchVerb::Latency(verb) => latency::run(&args.cluster, verb).await,
        BenchVerb::Groups(verb) => groups::run(&args.cluster, verb).await,
    }
}
