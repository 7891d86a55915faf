//! `duramen group lag`: how far groups are behind, in records and in time.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use duramen_client::admin::GroupDescription;
use duramen_client::consumer::TopicPartition;
use duramen_client::{Admin, Text};
use serde_json::{Value, json};

use super::standing::{Standing, standings};
use super::unread::first_unread;
use super::{age, described, missing};
use crate::cli::connect::duration;
use crate::cli::exit::Failure;
use crate::cli::output::{self, Format, Output, Table, rendered};
use crate::cli::screen::Screen;
use crate::cli::signals::Signals;
use crate::cli::time::now_ms;

/// Show how far groups are behind, by partition and in total
///
/// Lag counts offsets that are not committed yet. Time lag is the age of the first record among them:
/// how old the news is that the group gets. A partition of which the group has committed nothing shows -.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen group lag payments
  duramen group lag                                  all groups
  duramen group lag payments --watch 1s
  duramen group lag payments --no-time --format text | awk '{sum += $6} END {print sum}'
  duramen group lag --format json | jq '.[] | select(.lag > 1000) | .group'

With --format text the columns are group, topic, partition, committed, end, lag, time lag in
milliseconds and member.")]
pub(super) struct LagArgs {
    /// The groups; all when none is named
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Leave out the time lag, and the fetches that it costs
    #[arg(long)]
    no_time: bool,
    /// Look again and again
    #[arg(
        short,
        long,
        value_name = "DURATION",
        value_parser = duration,
        num_args = 0..=1,
        default_missing_value = "2s"
    )]
    watch: Option<Duration>,
    /// How to show it
    #[arg(long, env = "DURAMEN_FORMAT", default_value = "table")]
    format: Format,
}

/// A group at one moment.
struct Look {
    group: Text,
    description: Option<GroupDescription>,
    standings: Vec<Standing>,
    /// Age in milliseconds of the first record not read.
    ages: BTreeMap<TopicPartition, i64>,
}

pub(super) async fn run(admin: &Admin, args: LagArgs) -> Result<(), Failure> {
    let first = look(admin, &args).await?;
    let Some(every) = args.watch else { return print(&first, args.format) };
    let every = every.max(Duration::from_millis(100));
    let mut stop = Signals::listen()?;
    let live = args.format == Format::Table && output::stdout_is_terminal();
    let mut screen = if live { Some(Screen::enter()?) } else { None };
    let (mut looks, mut trouble) = (first, None);
    loop {
        match &mut screen {
            Some(screen) => {
                let mut view = view(&looks, args.format);
                view.extend(trouble.iter().flat_map(|words: &String| words.bytes()));
                screen.draw(&view)?;
            }
            None => print(&looks, args.format)?,
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stop.next() => return Ok(()),
        }
        let next = tokio::select! {
            next = look(admin, &args) => next,
            _ = stop.next() => return Ok(()),
        };
        match next {
            Ok(next) => (looks, trouble) = (next, None),
            // The broker may come back: what was seen last stays, and why it is old.
            Err(Failure::Told { message, .. }) if live => {
                trouble = Some(format!("\nno answer: {message}\n"));
            }
            Err(failure) => return Err(failure),
        }
    }
}

async fn look(admin: &Admin, args: &LagArgs) -> Result<Vec<Look>, Failure> {
    let named: Vec<Text> = match args.groups.is_empty() {
        true => admin
            .list_groups(&[], &[])
            .await?
            .complete()?
            .into_iter()
            .map(|group| group.group)
            .collect(),
        false => args.groups.iter().map(Text::from).collect(),
    };
    let groups = described(admin, &named).await?;
    let standings = standings(admin, &groups).await?;
    let mut looks = Vec::with_capacity(groups.len());
    for ((group, description), standings) in groups.into_iter().zip(standings) {
        if description.is_none() && standings.is_empty() {
            if args.groups.is_empty() {
                // It went away since it was listed.
                continue;
            }
            return Err(missing(&group));
        }
        let times = match args.no_time {
            true => BTreeMap::new(),
            false => first_unread(admin.cluster(), &standings).await?,
        };
        let now = now_ms();
        let ages = times.into_iter().map(|(at, time)| (at, (now - time).max(0))).collect();
        looks.push(Look { group, description, standings, ages });
    }
    Ok(looks)
}

fn print(looks: &[Look], format: Format) -> Result<(), Failure> {
    let mut out = Output::stdout()?;
    out.buffer().extend_from_slice(&view(looks, format));
    out.flush()
}

fn view(looks: &[Look], format: Format) -> Vec<u8> {
    let json = looks.iter().map(Look::json).collect::<Vec<_>>();
    let mut partitions = Table::new(&[
        "group",
        "topic",
        "partition",
        "committed",
        "end",
        "lag",
        "time lag",
        "member",
    ]);
    let mut totals = Table::new(&["group", "state", "members", "partitions", "lag", "time lag"]);
    for look in looks {
        look.rows(format, &mut partitions);
        look.total(&mut totals);
    }
    match format {
        Format::Text => rendered(format, &json.into(), &[partitions]),
        _ => rendered(format, &json.into(), &[partitions, totals]),
    }
}

fn cell(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

impl Look {
    fn lag(&self) -> i64 {
        self.standings.iter().filter_map(Standing::lag).sum()
    }

    fn age(&self, standing: &Standing) -> Option<i64> {
        match standing.lag() {
            Some(0) => Some(0),
            _ => self.ages.get(&standing.at).copied(),
        }
    }

    fn oldest(&self) -> Option<i64> {
        self.standings.iter().filter_map(|standing| self.age(standing)).max()
    }

    fn state(&self) -> &str {
        self.description.as_ref().map_or("-", |group| &group.state)
    }

    fn members(&self) -> usize {
        self.description.as_ref().map_or(0, |group| group.members.len())
    }

    fn rows(&self, format: Format, table: &mut Table) {
        for standing in &self.standings {
            let Standing { at, committed, edges, member } = standing;
            let time = self.age(standing);
            table.row(vec![
                self.group.to_string(),
                at.topic.to_string(),
                at.partition.to_string(),
                cell(*committed),
                cell(edges.map(|(_, end)| end)),
                cell(standing.lag()),
                match format {
                    Format::Text => cell(time),
                    _ => cell(time.map(age)),
                },
                cell(member.as_ref().map(|member| {
                    member.instance_id.as_ref().unwrap_or(&member.member_id).clone()
                })),
            ]);
        }
    }

    fn total(&self, table: &mut Table) {
        table.row(vec![
            self.group.to_string(),
            self.state().to_owned(),
            self.members().to_string(),
            self.standings.len().to_string(),
            self.lag().to_string(),
            cell(self.oldest().map(age)),
        ]);
    }

    fn json(&self) -> Value {
        let partition = |standing: &Standing| {
            let Standing { at, committed, edges, member } = standing;
            json!({
                "topic": at.topic.as_str(),
                "partition": at.partition,
                "committed": committed,
                "start": edges.map(|(start, _)| start),
                "end": edges.map(|(_, end)| end),
                "lag": standing.lag(),
                "time_lag_ms": self.age(standing),
                "member": member.as_ref().map(|member| member.member_id.as_str()),
                "client": member.as_ref().map(|member| member.client_id.as_str()),
                "host": member.as_ref().map(|member| member.host.as_str()),
            })
        };
        json!({
            "group": self.group.as_str(),
            "state": self.state(),
            "members": self.members(),
            "lag": self.lag(),
            "time_lag_ms": self.oldest(),
            "partitions": self.standings.iter().map(partition).collect::<Vec<_>>(),
        })
    }
}
