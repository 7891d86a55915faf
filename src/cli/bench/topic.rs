//! The topic of a bench: the one that is there, or one made for it.

use clap::Args;
use duramen_client::admin::NewTopic;
use duramen_client::cluster::{Cluster, Topics};
use duramen_client::{Admin, ErrorCode, Text};

use crate::cli::configs::assignment;
use crate::cli::exit::Failure;

/// The topic, and how it is made when it is missing.
#[derive(Debug, Clone, Args)]
pub(super) struct TopicArgs {
    /// The topic; it is made when it is missing
    #[arg(default_value = "bench")]
    pub(super) topic: String,
    /// Partitions of a topic that is made
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    partitions: i32,
    /// A config of a topic that is made, as durability=page-cache; may be repeated
    #[arg(short, long = "config", value_name = "NAME=VALUE", value_parser = assignment)]
    configs: Vec<(Text, Text)>,
}

impl TopicArgs {
    /// Makes the topic if it is missing; says how many partitions it has.
    ///
    /// # Errors
    /// When it can't be made, or no broker answers.
    pub(super) async fn ready(&self, cluster: &Cluster) -> Result<usize, Failure> {
        cluster.refresh(Topics::None).await?;
        // Asked once: a topic that is missing is to be made, not waited for.
        let answer = cluster.fetch_metadata(Topics::Named(&[Text::from(&self.topic)])).await?;
        let missing = ErrorCode::UnknownTopicOrPartition.code();
        if answer.topics.iter().any(|topic| topic.error_code == missing) {
            self.make(cluster).await?;
        }
        Ok(partitions(cluster, &self.topic).await?)
    }

    async fn make(&self, cluster: &Cluster) -> Result<(), Failure> {
        let new = NewTopic::new(Text::from(&self.topic))
            .partitions(self.partitions)
            .configs(self.configs.clone());
        for outcome in Admin::new(cluster).create_topics(&[new], false).await? {
            outcome.result?;
        }
        Ok(())
    }
}

/// How many partitions a topic has.
pub(super) async fn partitions(
    cluster: &Cluster,
    topic: &str,
) -> Result<usize, duramen_client::ClientError> {
    let names = [Text::from(topic)];
    let view = cluster.refresh(Topics::Named(&names)).await?;
    Ok(view.topic(topic).map_or(0, |topic| topic.partitions.len()))
}
