//! Groups of consumers: which there are (`list.rs`), who is in them (`describe.rs`), how far they read
//! (`offsets.rs`), and changes from outside (`change.rs`).

mod change;
mod describe;
mod list;
mod offsets;

use std::future::Future;

use duramen_protocol::text::Text;

use super::spread::{Batches, Open, call_each};
use super::{Admin, Outcome, outcomes};
use crate::cluster::{Broker, Cluster};
use crate::connection::Connection;
use crate::consumer::TopicPartition;
use crate::coordinator::find;
use crate::error::ClientError;

pub use crate::coordinator::offsets::CommittedOffset;

/// The groups that brokers told of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GroupListing {
    /// The groups, by id.
    pub groups: Vec<ListedGroup>,
    /// Brokers that did not tell, and why: their groups are missing.
    pub silent: Vec<(i32, ClientError)>,
}

impl GroupListing {
    /// The groups, if every broker told.
    ///
    /// # Errors
    /// Of the first broker that did not.
    pub fn complete(self) -> Result<Vec<ListedGroup>, ClientError> {
        match self.silent.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(self.groups),
        }
    }
}

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedGroup {
    /// Its id.
    pub group: Text,
    /// `Classic`, `Consumer`, …; empty when the broker is too old to say.
    pub kind: Text,
    /// `Stable`, `Empty`, …; empty when the broker is too old to say.
    pub state: Text,
    /// What its members call themselves: `consumer`, `connect`; empty for offsets without members.
    pub protocol_type: Text,
}

/// Which protocol a group speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupKind {
    /// The members share the partitions out (JoinGroup).
    Classic,
    /// The coordinator does (KIP-848).
    Consumer,
}

impl GroupKind {
    /// Kafka's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

/// A group and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDescription {
    /// Its id.
    pub group: Text,
    /// Which protocol it speaks.
    pub kind: GroupKind,
    /// `Stable`, `Empty`, `PreparingRebalance`, …
    pub state: Text,
    /// How partitions are shared out: the assignor's name.
    pub assignor: Text,
    /// The group's epoch; `None` of a classic group, whose generation is not told.
    pub epoch: Option<i32>,
    /// The broker that looks after it.
    pub coordinator: Option<Broker>,
    /// Its members.
    pub members: Vec<GroupMember>,
}

impl GroupDescription {
    /// Whether it has members, so that nobody else may change its offsets.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !self.members.is_empty()
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMember {
    /// Its id.
    pub member_id: Text,
    /// Its instance id, if it is static.
    pub instance_id: Option<Text>,
    /// Which protocol it speaks itself: a KIP-848 group may have classic members. `None` when the broker
    /// is too old to say.
    pub protocol: Option<GroupKind>,
    /// What its client calls itself.
    pub client_id: Text,
    /// Where it connects from.
    pub host: Text,
    /// What it reads; `None` when the group's protocol is not a consumer's.
    pub assignment: Option<Vec<TopicPartition>>,
}

/// How to name a member that is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberName {
    /// By its id.
    Id(Text),
    /// By its instance id.
    Instance(Text),
}

/// Asks the coordinators of groups, each about all of its own at once; what concerns one that has moved is
/// asked again, within the operation's time. The answers stand in the order of the groups.
async fn at_coordinators<T, F>(
    cluster: &Cluster,
    groups: &[Text],
    ask: impl Fn(Connection, Vec<(Text, i32)>) -> F + Clone + Send + 'static,
) -> Result<Vec<Result<T, ClientError>>, ClientError>
where
    T: Send + 'static,
    F: Future<Output = Result<Vec<Result<T, ClientError>>, ClientError>> + Send,
{
    let mut open = Open::moving(cluster, groups.len());
    loop {
        let left = open.left(cluster).await;
        if left.is_empty() {
            return Ok(open.done());
        }
        let left: Vec<(usize, Text)> =
            left.into_iter().filter_map(|at| Some((at, groups.get(at)?.clone()))).collect();
        let mut names: Vec<Text> = left.iter().map(|(_, group)| group.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let found = cluster.retrying("find coordinators", || find::find(cluster, &names)).await?;
        let mut batches = Batches::new();
        for (at, group) in left {
            match found.get(&group) {
                Some(Ok(node)) => {
                    let batch: &mut Vec<_> = batches.entry((0, Some(*node))).or_default();
                    batch.push((at, (group, *node)));
                }
                Some(Err(error)) => open.put(at, Err(error.clone())),
                None => open.put(at, Err(ClientError::Incomplete("FindCoordinator"))),
            }
        }
        call_each(cluster, batches, &mut open, ask.clone()).await?;
    }
}

impl Admin {
    /// The brokers that look after groups, whether those exist or not.
    ///
    /// # Errors
    /// When no broker answers; each group has its own outcome.
    pub async fn find_coordinators(
        &self,
        groups: &[Text],
    ) -> Result<Vec<Outcome<Text, Broker>>, ClientError> {
        let here = |_: Connection, asked: Vec<(Text, i32)>| async move {
            Ok(asked.into_iter().map(|(_, node)| Ok(node)).collect())
        };
        let found = at_coordinators(&self.cluster, groups, here).await?;
        let view = self.cluster.view();
        let broker = |node: i32| {
            view.brokers.get(&node).cloned().ok_or(ClientError::Incomplete("FindCoordinator"))
        };
        Ok(outcomes(groups, found.into_iter().map(|node| node.and_then(broker)).collect()))
    }
}
