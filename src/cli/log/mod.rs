//! `duramen log`: look into a data directory without a broker, and check it.

mod dump;
mod rows;
mod verify;
mod words;

use clap::{Args, Subcommand};

use super::exit::Failure;

/// Look into segments and data directories, and check them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen log dump duramen-data/orders-0                     every batch of a partition
  duramen log dump duramen-data/orders-0 --records --offset 100:120
  duramen log verify duramen-data                            is everything as it should be?")]
pub struct LogArgs {
    #[command(subcommand)]
    verb: LogVerb,
}

#[derive(Debug, Subcommand)]
enum LogVerb {
    Dump(dump::DumpArgs),
    Verify(verify::VerifyArgs),
}

/// Does what was asked.
pub(super) fn run(args: &LogArgs) -> Result<(), Failure> {
    match &args.verb {
        LogVerb::Dump(args) => dump::run(args),
        LogVerb::Verify(args) => verify::run(args),
    }
}
