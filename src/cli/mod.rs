//! The command line, floor 9: one file or folder per verb, `duramen-client` underneath and nothing else.
//!
//! | file | what lives there |
//! |---|---|
//! | [`serve`] | run a broker |
//! | [`topic`] | create, list, describe, alter, add-partitions, delete, trim |
//! | [`produce`] | lines or JSON from files and pipes into a topic |
//! | [`consume`] | records of topics to stdout |
//! | [`replay`] | a part of a topic again, into another topic, a file or stdout |
//! | [`group`] | consumer groups: lag, members, alter, reset, delete |
//! | [`top`] | what a broker does, live |
//! | [`doctor`] | what is wrong with a node, running or stopped |
//! | [`scrape`] | a broker's metrics and health over HTTP |
//! | [`log`] | look into data directories without a broker; the one verb besides `serve` that reads `storage` |
//! | [`mod@bench`] | how fast a broker is |
//! | [`profile`] | names for clusters |
//! | [`exit`] | exit codes, and the one line of an error |
//! | [`output`] | the one place that prints |
//! | `configs` | configs changed and shown |
//! | [`connect`] | arguments of every verb that talks to a cluster |

pub mod bench;
mod configs;
pub mod connect;
pub mod consume;
pub mod doctor;
pub mod edges;
pub mod encode;
pub mod exit;
pub mod fields;
pub mod filter;
pub mod group;
pub mod json_path;
pub mod log;
pub mod moved;
pub mod offsets;
pub mod outcomes;
pub mod output;
pub mod partitions;
pub mod pattern;
pub mod produce;
pub mod profile;
pub mod progress;
pub mod record_json;
pub mod replay;
pub mod scrape;
mod screen;
pub mod serve;
mod signals;
pub mod time;
pub mod top;
pub mod topic;
mod troubles;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use exit::Failure;

/// A partitioned, append-only log broker that speaks the Kafka protocol, and its tools.
#[derive(Debug, Parser)]
#[command(name = "duramen", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const AFTER_HELP: &str = "\
Examples:
  duramen serve                                      a broker on 127.0.0.1:9092
  duramen topic create orders -p 3                   a topic of three partitions
  duramen produce orders orders.txt                  each line a record
  duramen consume orders -o -10 -e                   the last ten records of each partition
  duramen replay orders --to copy -o @-1h            the last hour again, into another topic
  duramen group lag payments                         how far a group is behind
  duramen top                                        what the broker does, live
  duramen doctor                                     what is wrong, and the way out

Exit codes:
  0 done · 1 failed · 2 wrong usage · 3 no broker answered · 4 no such topic, partition, group, file
  5 records were not delivered · 6 the broker refused · 7 the input could not be read";

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::ServeArgs),
    Topic(topic::TopicArgs),
    Produce(produce::ProduceArgs),
    Consume(consume::ConsumeArgs),
    Replay(replay::ReplayArgs),
    Group(group::GroupArgs),
    Top(top::TopArgs),
    Doctor(doctor::DoctorArgs),
    Log(log::LogArgs),
    Bench(bench::BenchArgs),
    Profile(profile::ProfileArgs),
    Completion(CompletionArgs),
}

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  duramen completion bash > /etc/bash_completion.d/duramen
  duramen completion zsh > \"${fpath[1]}/_duramen\"
  duramen completion fish > ~/.config/fish/completions/duramen.fish")]
struct CompletionArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs a command line; the first word is the program's own name.
#[must_use]
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for; everything else is wrong usage. A closed pipe is neither.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = match cli.verb {
        Verb::Serve(args) => serve::run(&args),
        Verb::Topic(args) => connect::block_on(topic::run(args)),
        Verb::Produce(args) => connect::block_on(produce::run(args)),
        Verb::Consume(args) => connect::block_on(consume::run(args)),
        Verb::Replay(args) => connect::block_on(replay::run(args)),
        Verb::Group(args) => connect::block_on(group::run(args)),
        Verb::Top(args) => connect::block_on(top::run(args)),
        Verb::Doctor(args) => connect::block_on(doctor::run(args)),
        Verb::Log(args) => log::run(&args),
        Verb::Bench(args) => connect::block_on(bench::run(args)),
        Verb::Profile(args) => profile::run(args),
        Verb::Completion(args) => completion(args.shell),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn completion(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut out = output::Output::stdout()?;
    clap_complete::generate(shell, &mut Cli::command(), "duramen", out.buffer());
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_hold_together() {
        Cli::command().debug_assert();
    }

    /// A verb, and the verbs below it.
    fn visit(verb: &mut clap::Command, check: &impl Fn(&mut clap::Command)) {
        check(verb);
        // `help` is the parser's own.
        let below = verb.get_subcommands_mut().filter(|verb| verb.get_name() != "help");
        below.for_each(|verb| visit(verb, check));
    }

    #[test]
    fn every_verb_has_help_with_examples_that_needs_no_wrapping() {
        visit(&mut Cli::command(), &|verb| {
            let name = verb.get_name().to_owned();
            let help = verb.render_long_help().to_string();
            assert!(help.contains("Example"), "{name}");
            let closing = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let widest = closing.lines().max_by_key(|line| line.chars().count());
            assert!(widest.is_none_or(|line| line.chars().count() <= 100), "{name}: {widest:?}");
        });
    }
}
