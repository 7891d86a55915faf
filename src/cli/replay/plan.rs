//! From what was asked for to a job: ranges and targets are looked up and checked before anything is sent.

use std::path::{Path, PathBuf};

use duramen_client::cluster::{Cluster, Topics};
use duramen_client::consumer::Isolation;
use duramen_client::producer::new_identity;
use duramen_client::{ClientError, Text};
use serde_json::{Map, Value, json};

use super::ReplayArgs;
use super::job::{Job, Sent, Source, Target};
use crate::cli::edges::edges_of;
use crate::cli::exit::{Exit, Failure, exit_of};
use crate::cli::offsets::OffsetRange;
use crate::cli::partitions::partitions_of;
use crate::cli::time::now_ms;

/// Where the records go, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination<'a> {
    Topic(&'a str),
    File(&'a Path),
    Stdout,
}

impl<'a> Destination<'a> {
    pub(super) fn of(args: &'a ReplayArgs) -> Self {
        match (&args.to, &args.to_file) {
            (Some(topic), _) => Self::Topic(topic),
            (None, Some(file)) => Self::File(file),
            (None, None) => Self::Stdout,
        }
    }

    /// What it is called in messages.
    pub(super) fn words(self) -> String {
        match self {
            Self::Topic(topic) => format!("topic {topic}"),
            Self::File(file) => format!("file {}", file.display()),
            Self::Stdout => "stdout".to_owned(),
        }
    }

    /// Where the checkpoint lies unless said; nothing that went to stdout can be taken up again.
    pub(super) fn checkpoint(self, args: &ReplayArgs) -> Option<PathBuf> {
        let usual = match self {
            Self::Topic(topic) => PathBuf::from(format!("{}-to-{topic}.replay", args.source)),
            Self::File(file) => {
                let mut name = file.as_os_str().to_owned();
                name.push(".replay");
                PathBuf::from(name)
            }
            Self::Stdout => return None,
        };
        Some(args.checkpoint.clone().unwrap_or(usual))
    }
}

/// What must be the same when the job is taken up again, by the option that says it.
pub(super) fn asked(args: &ReplayArgs) -> Map<String, Value> {
    let filter = &args.filter;
    let all = [
        ("source", json!(args.source)),
        ("--offset", json!(args.offset)),
        (
            "--partitions",
            json!(args.partitions.as_ref().map(|list| list.iter().collect::<Vec<_>>())),
        ),
        ("--to", json!(args.to)),
        ("--to-file", json!(args.to_file.as_ref().map(|file| file.display().to_string()))),
        ("--keep-partitions", json!(args.keep_partitions)),
        ("--no-provenance", json!(args.no_provenance)),
        ("--filter-key", json!(filter.filter_key)),
        ("--filter-value", json!(filter.filter_value)),
        ("--filter-header", json!(filter.filter_header)),
        ("--filter-json", json!(filter.filter_json)),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Ranges of the source, resolved now: what comes later is not part of the job.
pub(super) struct Plan {
    pub(super) cluster_id: String,
    pub(super) source_id: String,
    pub(super) sources: Vec<Source>,
    /// Partition count and id of the target, if that is a topic.
    pub(super) target: Option<(i32, String)>,
}

/// Looks everything up, and refuses what can't be done.
pub(super) async fn plan(cluster: &Cluster, args: &ReplayArgs) -> Result<Plan, Failure> {
    let range = OffsetRange::parse(&args.offset, now_ms()).map_err(Failure::usage)?;
    let topics = [args.source.clone()];
    let partitions = partitions_of(cluster, &topics, args.partitions.as_ref()).await?;
    let last = partitions.iter().map(|(_, partition)| *partition).max().unwrap_or(0);
    let target = match Destination::of(args) {
        Destination::Topic(topic) => Some(look_up(cluster, topic, args, last).await?),
        _ => None,
    };
    let edges = edges_of(cluster, Isolation::ReadCommitted, partitions, Some(&range)).await?;
    let sent = usize::try_from(target.as_ref().map_or(0, |(count, _)| *count)).unwrap_or(0);
    let source = |edges: &crate::cli::edges::Edges| {
        let resolved = range.resolve(&edges.edges);
        let to = resolved.to.unwrap_or(edges.edges.end).min(edges.edges.end);
        let from = resolved.from;
        (from < to).then(|| Source {
            partition: edges.partition,
            from,
            to,
            position: from,
            sent: vec![Sent::default(); sent],
        })
    };
    let view = cluster.view();
    Ok(Plan {
        cluster_id: view.cluster_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        source_id: topic_id(cluster, &args.source),
        sources: edges.iter().filter_map(source).collect(),
        target,
    })
}

/// The id of a topic in the cluster's view.
fn topic_id(cluster: &Cluster, topic: &str) -> String {
    cluster.view().topic(topic).map(|topic| topic.id.to_string()).unwrap_or_default()
}

/// Partition count and id of the target.
async fn look_up(
    cluster: &Cluster,
    topic: &str,
    args: &ReplayArgs,
    last: i32,
) -> Result<(i32, String), Failure> {
    let view = match cluster.refresh(Topics::Named(&[Text::from(topic)])).await {
        Ok(view) => view,
        Err(error @ ClientError::Refused { .. }) if exit_of(&error) == Exit::NotFound => {
            let count = cluster.view().topic(&args.source).map_or(1, |t| t.partitions.len());
            let words = format!(
                "topic {topic} does not exist; make it with `duramen topic create {topic} -p {count}`"
            );
            return Err(Failure::new(Exit::NotFound, words));
        }
        Err(error) => return Err(error.into()),
    };
    let count = view.topic(topic).map_or(0, |topic| topic.partitions.len());
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    if args.keep_partitions && last >= count {
        let words = format!(
            "topic {topic} has only {count} partition{}, so records of {}-{last} can't keep theirs; add \
             some with `duramen topic add-partitions {topic} --to {}`, or leave --keep-partitions out",
            if count == 1 { "" } else { "s" },
            args.source,
            last.saturating_add(1),
        );
        return Err(Failure::new(Exit::NotFound, words));
    }
    Ok((count, topic_id(cluster, topic)))
}

/// The job of a plan, with producer ids of its own and the target's ends as they are now.
pub(super) async fn job_of(
    cluster: &Cluster,
    args: &ReplayArgs,
    plan: Plan,
) -> Result<Job, Failure> {
    let target = match (Destination::of(args), plan.target) {
        (Destination::Topic(topic), Some((count, id))) => {
            let began_at = ends_of(cluster, topic, count).await?;
            // Where two sources may write to one partition each needs sequence numbers of its own.
            let ids = if args.keep_partitions { 1 } else { plan.sources.len().max(1) };
            let mut producers = Vec::with_capacity(ids);
            for _ in 0..ids {
                let identity = new_identity(cluster).await?;
                producers.push((identity.id, identity.epoch));
            }
            Target::Topic { id, scan_from: began_at.clone(), began_at, producers }
        }
        _ => Target::File { length: 0 },
    };
    Ok(Job {
        id: uuid::Uuid::new_v4().to_string(),
        asked: asked(args),
        cluster: plan.cluster_id,
        source_id: plan.source_id,
        sources: plan.sources,
        target,
        done: false,
    })
}

async fn ends_of(cluster: &Cluster, topic: &str, count: i32) -> Result<Vec<i64>, Failure> {
    let partitions = (0..count).map(|partition| (Text::from(topic), partition)).collect();
    let edges = edges_of(cluster, Isolation::ReadUncommitted, partitions, None).await?;
    Ok(edges.iter().map(|edges| edges.edges.end).collect())
}

/// Whether a job that was found can be taken up with what is asked for now.
///
/// # Errors
/// When something differs that would lose or double records.
pub(super) fn check_resumed(
    job: &Job,
    args: &ReplayArgs,
    plan: &Plan,
    checkpoint: &Path,
) -> Result<(), Failure> {
    let refuse = |words: String| {
        let checkpoint = checkpoint.display();
        Err(Failure::usage(format!(
            "{words}; go on with the same, or remove {checkpoint} to begin anew"
        )))
    };
    let now = asked(args);
    if let Some((name, was)) = job.asked.iter().find(|(name, was)| now.get(*name) != Some(was)) {
        return refuse(format!("the replay to be resumed had {name} {was}"));
    }
    if job.cluster != plan.cluster_id {
        return refuse(format!("the replay to be resumed was of cluster {}", job.cluster));
    }
    if job.source_id != plan.source_id {
        return refuse(format!("topic {} was made anew since the replay began", args.source));
    }
    match (&job.target, &plan.target) {
        (Target::Topic { id, .. }, Some((_, now))) if id != now => {
            let target = args.to.as_deref().unwrap_or_default();
            refuse(format!("topic {target} was made anew since the replay began"))
        }
        (Target::Topic { began_at, .. }, Some((count, _)))
            if i32::try_from(began_at.len()).ok().is_none_or(|began| began > *count) =>
        {
            refuse("the target has lost partitions".to_owned())
        }
        _ => Ok(()),
    }
}
