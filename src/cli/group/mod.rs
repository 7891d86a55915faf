//! `duramen group`: consumer groups shown, changed, moved to other offsets, deleted.
//!
//! | file | what lives there |
//! |---|---|
//! | `list.rs`, `describe.rs`, `members.rs`, `alter.rs`, `delete.rs` | verbs of one call |
//! | `lag.rs` | how far groups are behind, once or live |
//! | `standing.rs` | a group's offsets beside the ends of its partitions |
//! | `unread.rs` | the age of the first record that is not read yet |
//! | `reset.rs` | `reset` and `seek` |
//! | `target.rs` | PURE: where a partition is to go |
//! | `offsets_file.rs` | offsets as CSV and JSON |

mod alter;
mod delete;
mod describe;
mod lag;
mod list;
mod members;
mod offsets_file;
mod reset;
mod standing;
mod target;
mod unread;

use clap::{Args, Subcommand};
use duramen_client::admin::{GroupDescription, Outcome};
use duramen_client::{Admin, ClientError, ErrorCode, Text};

use super::connect::ClusterArgs;
use super::exit::{Exit, Failure};
use super::partitions::PartitionList;

/// Show consumer groups and their lag, move them to other offsets, delete them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen group list
  duramen group lag payments --watch
  duramen group reset payments --topic orders --to @-1h             say what would change
  duramen group reset payments --topic orders --to @-1h --execute   do it
  duramen group seek payments orders 3 1500 --execute
  duramen group alter payments --set consumer.session.timeout.ms=60000
  duramen group delete payments")]
pub struct GroupArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(subcommand)]
    verb: GroupVerb,
}

#[derive(Debug, Subcommand)]
enum GroupVerb {
    List(list::ListArgs),
    Describe(describe::DescribeArgs),
    Lag(lag::LagArgs),
    Members(members::MembersArgs),
    Alter(alter::AlterArgs),
    Seek(reset::SeekArgs),
    Reset(reset::ResetArgs),
    Delete(delete::DeleteArgs),
}

/// Does what was asked.
pub(super) async fn run(args: GroupArgs) -> Result<(), Failure> {
    let admin = Admin::new(&args.cluster.cluster()?);
    match args.verb {
        GroupVerb::List(args) => list::run(&admin, args).await,
        GroupVerb::Describe(args) => describe::run(&admin, args).await,
        GroupVerb::Lag(args) => lag::run(&admin, args).await,
        GroupVerb::Members(args) => members::run(&admin, args).await,
        GroupVerb::Alter(args) => alter::run(&admin, args).await,
        GroupVerb::Seek(args) => reset::seek(&admin, args).await,
        GroupVerb::Reset(args) => reset::reset(&admin, args).await,
        GroupVerb::Delete(args) => delete::run(&admin, args).await,
    }
}

/// Groups with what they are; `None` for one that does not exist.
async fn described(
    admin: &Admin,
    groups: &[Text],
) -> Result<Vec<(Text, Option<GroupDescription>)>, Failure> {
    let outcomes = admin.describe_groups(groups).await?;
    let one = |Outcome { about, result, .. }| match result {
        Ok(group) => Ok((about, Some(group))),
        Err(error) if is_missing(&error) => Ok((about, None)),
        Err(error) => Err(error.into()),
    };
    outcomes.into_iter().map(one).collect()
}

fn is_missing(error: &ClientError) -> bool {
    error.code() == Some(ErrorCode::GroupIdNotFound)
}

/// Groups that must exist.
async fn existing(admin: &Admin, groups: &[Text]) -> Result<Vec<GroupDescription>, Failure> {
    let described = described(admin, groups).await?.into_iter();
    described.map(|(name, group)| group.ok_or_else(|| missing(&name))).collect()
}

fn missing(group: &Text) -> Failure {
    let words = format!("there is no group {group}; see `duramen group list`");
    Failure::new(Exit::NotFound, words)
}

/// Topics with some of their partitions, as `orders` or `orders:0,2,5-7`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TopicChoice {
    topic: Text,
    partitions: Option<PartitionList>,
}

impl std::str::FromStr for TopicChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A topic's name has no colon.
        Ok(match text.split_once(':') {
            None => Self { topic: text.into(), partitions: None },
            Some((topic, list)) => Self { topic: topic.into(), partitions: Some(list.parse()?) },
        })
    }
}

impl TopicChoice {
    fn takes(&self, topic: &str, partition: i32) -> bool {
        self.topic.as_str() == topic
            && self.partitions.as_ref().is_none_or(|list| list.contains(partition))
    }
}

/// A duration for a person, in its two largest units.
fn age(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        _ if ms <= 0 => "0s".to_owned(),
        (0, 0, 0) if ms < 10_000 => format!("{seconds}.{}s", ms % 1000 / 100),
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, ..) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_a_topic_with_all_or_some_partitions() {
        let all: TopicChoice = "orders".parse().unwrap();
        assert!(all.takes("orders", 7) && !all.takes("order", 7));
        let some: TopicChoice = "orders:0,2-3".parse().unwrap();
        assert!(some.takes("orders", 3) && !some.takes("orders", 1));
        assert!("orders:".parse::<TopicChoice>().is_err());
    }

    #[test]
    fn ages_are_short() {
        for (ms, want) in [
            (-5, "0s"),
            (5, "0.0s"),
            (1_250, "1.2s"),
            (59_999, "59s"),
            (61_000, "1m1s"),
            (3_660_000, "1h1m"),
            (90_000_000, "1d1h"),
        ] {
            assert_eq!(age(ms), want);
        }
    }
}
