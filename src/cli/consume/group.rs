//! `duramen consume --group`: records shown as a member of a group, and what the group remembers of it.

use std::time::Duration;

use clap::{Args, ValueEnum};
use duramen_client::cluster::{Cluster, Topics};
use duramen_client::consumer::group::{
    GroupConsumer, GroupEvent, GroupOptions, GroupProtocol, Pattern, Subscription,
};
use duramen_client::consumer::{ConsumerOptions, Start, TopicPartition};
use duramen_client::{ClientError, ErrorCode, Text};
use tokio::time::Instant;

use super::show::{Show, Tally};
use crate::cli::exit::{Exit, Failure, words_of};
use crate::cli::moved::tell_moved;
use crate::cli::offsets::{Edge, OffsetRange};
use crate::cli::output;
use crate::cli::signals::Signals;

/// How often a stream that never pauses is committed.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// When a group is told how far it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum CommitMode {
    /// In the background every 5 s: a crash may skip records that were read and not written yet
    Auto,
    /// After records are written to the output: a crash repeats some, and skips none
    #[default]
    Manual,
    /// Never: the group stays where it is
    None,
}

/// Who shares the partitions out among the members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// The broker where it can: a group with classic members goes over to it when the broker lets it. The
    /// members elsewhere
    #[default]
    Auto,
    /// The members
    Classic,
    /// The broker (KIP-848)
    Consumer,
}

impl From<Protocol> for GroupProtocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Auto => Self::Auto,
            Protocol::Classic => Self::Classic,
            Protocol::Consumer => Self::Consumer,
        }
    }
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "As a member of a group")]
pub(super) struct ConsumeGroupArgs {
    /// Read as a member of this group, from where it stands. --offset (start, end or @time) then says
    /// where to begin in partitions of which it has committed nothing
    #[arg(short, long, value_name = "GROUP")]
    group: Option<String>,
    /// Instead of topics: all whose whole name matches this regular expression, also those that come later
    #[arg(long, value_name = "REGEX", requires = "group", conflicts_with = "topics")]
    topic_regex: Option<String>,
    /// Who shares the partitions out among the members
    #[arg(long, default_value = "auto", requires = "group")]
    protocol: Protocol,
    /// When the group is told how far was read
    #[arg(long, default_value = "manual", requires = "group")]
    commit: CommitMode,
    /// A name that stays over restarts: within the session timeout of 45 s a member that comes back under
    /// it gets its partitions without a rebalance. Where the broker shares them out, one that was killed waits
    /// until that time is over
    #[arg(long, value_name = "ID", requires = "group")]
    instance: Option<String>,
}

/// A member to be.
pub(super) struct GroupRun {
    options: GroupOptions,
    pattern: Option<Pattern>,
    commit: CommitMode,
}

impl ConsumeGroupArgs {
    /// What to join as; `None` without --group.
    pub(super) fn options(&self, range: &OffsetRange) -> Result<Option<GroupRun>, Failure> {
        let Some(group) = &self.group else { return Ok(None) };
        let start = match (range.from, range.to) {
            (Edge::Start, None) => Start::Earliest,
            (Edge::End, None) => Start::Latest,
            (Edge::Time(at), None) => Start::Time(at),
            _ => {
                return Err(Failure::usage(format!(
                    "with --group, --offset is start, end or @time; move the group with \
                     `duramen group reset {group}`"
                )));
            }
        };
        let pattern = self.topic_regex.as_deref().map(Pattern::new).transpose();
        let pattern = pattern.map_err(|error| Failure::usage(words_of(&error)))?;
        let mut options = GroupOptions::new(group.as_str())
            .protocol(self.protocol.into())
            .start(start)
            .auto_commit((self.commit == CommitMode::Auto).then_some(Duration::from_secs(5)));
        options.instance = self.instance.as_ref().map(Text::from);
        Ok(Some(GroupRun { options, pattern, commit: self.commit }))
    }
}

impl GroupRun {
    /// Joins, and shows records until there are no more, enough, or a signal.
    pub(super) async fn run(
        self,
        cluster: &Cluster,
        topics: &[String],
        (consumer, stop_at_end): (ConsumerOptions, bool),
        show: Show,
    ) -> Result<(), Failure> {
        let subscription = match self.pattern {
            Some(pattern) => pattern.into(),
            None => {
                let topics: Vec<Text> = topics.iter().map(Text::from).collect();
                // A name mistyped is better told than waited for.
                cluster.refresh(Topics::Named(&topics)).await?;
                Subscription::Names(topics)
            }
        };
        let options = self.options.consumer(consumer).stop_at_end(stop_at_end);
        let group = options.group.clone();
        let consumer = GroupConsumer::join(cluster, options, subscription)?;
        let mut reader = Reader { group, consumer, show, commit: self.commit, uncommitted: None };
        let tally = Tally::begin();
        let mut stop = Signals::listen()?;
        let done = reader.read(&tally, &mut stop).await;
        let Reader { consumer, show, .. } = reader;
        let end = async {
            match done {
                Ok(()) => consumer.close().await.map_err(Failure::from),
                // What was not written is not to be committed.
                Err(failure) => {
                    consumer.leave().await;
                    Err(failure)
                }
            }
        };
        let ended = tokio::select! {
            ended = end => ended,
            _ = stop.next() => Err(Failure::new(Exit::Failed, "stopped before the group was left")),
        };
        tally.end(&show);
        ended
    }
}

/// See the top of the file.
struct Reader {
    group: Text,
    consumer: GroupConsumer,
    show: Show,
    commit: CommitMode,
    /// Since when there is something that is not committed.
    uncommitted: Option<Instant>,
}

impl Reader {
    async fn read(&mut self, tally: &Tally, stop: &mut Signals) -> Result<(), Failure> {
        while !self.show.has_enough() {
            let event = match self.consumer.try_next() {
                Some(event) => Some(event),
                None => {
                    // Only when nothing has come yet is what was gathered given out early.
                    self.write().await?;
                    tokio::select! {
                        event = self.consumer.next() => event,
                        _ = stop.next() => break,
                    }
                }
            };
            match event {
                None => break,
                Some(Ok(GroupEvent::AtEnd)) => break,
                Some(Ok(event)) => self.take(event, tally).await?,
                Some(Err(error)) => {
                    self.show.flush()?;
                    return Err(error.into());
                }
            }
        }
        self.write().await
    }

    async fn take(&mut self, event: GroupEvent, tally: &Tally) -> Result<(), Failure> {
        match event {
            GroupEvent::Records(fetched) => {
                let next = self.show.show(&fetched)?;
                self.consumer.dealt_with_up_to(next);
                tally.tell(&self.show);
                let since = *self.uncommitted.get_or_insert_with(Instant::now);
                if since.elapsed() >= COMMIT_EVERY {
                    self.write().await?;
                }
            }
            GroupEvent::Moved(moved) => tell_moved(&moved),
            GroupEvent::Assigned(all) => {
                // Where a group begins it stands from now on, also when nothing comes.
                self.uncommitted.get_or_insert_with(Instant::now);
                self.tell("reads", &all);
            }
            GroupEvent::Revoked(gone) => {
                self.write().await?;
                self.tell("gives back", &gone);
            }
            GroupEvent::Lost(gone) => output::note(&format!(
                "group {}: lost {}: what was read there since the last commit comes again",
                self.group,
                named(&gone)
            )),
            _ => {}
        }
        Ok(())
    }

    /// For a person: what this member reads.
    fn tell(&self, what: &str, all: &[TopicPartition]) {
        if output::stderr_is_terminal() {
            output::note(&format!("group {}: {what} {}", self.group, named(all)));
        }
    }

    /// Writes what is shown, and then commits it if that is wanted.
    async fn write(&mut self) -> Result<(), Failure> {
        self.show.flush()?;
        if self.uncommitted.take().is_none() || self.commit != CommitMode::Manual {
            return Ok(());
        }
        match self.consumer.commit().await {
            Ok(()) => Ok(()),
            // The group goes on without this member's place; the event comes next.
            Err(error) if was_fenced(&error) => {
                output::note(&format!("not committed, and read again: {}", words_of(&error)));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn was_fenced(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(
            ErrorCode::IllegalGeneration
                | ErrorCode::UnknownMemberId
                | ErrorCode::RebalanceInProgress
        )
    )
}

/// `orders-0, orders-1`, shortened.
fn named(all: &[TopicPartition]) -> String {
    const SHOWN: usize = 8;
    if all.is_empty() {
        return "nothing: the others have all partitions".to_owned();
    }
    let mut names: Vec<String> = all.iter().take(SHOWN).map(TopicPartition::to_string).collect();
    if all.len() > SHOWN {
        names.push(format!("and {} more", all.len() - SHOWN));
    }
    names.join(", ")
}
