//! Two groups, one of each protocol, whose members come and go: what they read is what was sent, nothing
//! that a group has committed comes again, and no commit is lost with the node.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use duramen_client::ClientError;
use duramen_client::consumer::group::{GroupConsumer, GroupOptions, GroupProtocol};
use duramen_client::consumer::{ConsumerRecord, TopicPartition};
use duramen_protocol::text::Text;
use tokio::time::Instant;

use super::load::World;
use crate::support::chance::Chance;

const PROTOCOLS: [GroupProtocol; 2] = [GroupProtocol::Classic, GroupProtocol::Consumer];
/// Members of a group at the most.
const MEMBERS: u64 = 3;
/// Topics that are read, the first of the load.
const TOPICS: usize = 2;

/// A group as the load knows it.
#[derive(Default)]
struct Group {
    /// What was acknowledged as committed: the next offset.
    committed: Mutex<BTreeMap<TopicPartition, i64>>,
}

/// See the top of the file.
#[derive(Default)]
pub(super) struct Groups {
    of: [Group; 2],
    read: AtomicU64,
}

impl Groups {
    /// Records that members were handed.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

impl World {
    /// Sets the members going.
    pub(super) fn start_groups(self: &Arc<Self>, chance: &Chance) {
        for group in 0..PROTOCOLS.len() {
            for member in 0..MEMBERS {
                let chance = Chance::of(chance.seed ^ (group as u64 * MEMBERS + member + 1));
                tokio::spawn(Arc::clone(self).member(group, chance));
            }
        }
    }

    /// Joins, reads and goes, again and again.
    async fn member(self: Arc<Self>, group: usize, mut chance: Chance) {
        while !self.stopped() {
            let topics: Vec<Text> =
                self.topics.iter().take(TOPICS).map(|topic| topic.name.as_str().into()).collect();
            let options = GroupOptions::new(name(group))
                .protocol(PROTOCOLS[group])
                .auto_commit(None)
                .heartbeat(Duration::from_secs(1));
            let mut member = GroupConsumer::join(&self.cluster, options, &topics)
                .expect("options that go together");
            let life = Duration::from_millis(2_000 + chance.below(30_000));
            let lived = self.live(&mut member, group, life).await;
            self.note(lived.map_err(|fault| format!("group {}: {fault}", name(group))));
            // in order, or at once
            match chance.below(2) {
                0 => drop(member),
                _ => _ = member.close().await,
            }
            tokio::time::sleep(Duration::from_millis(chance.below(5_000))).await;
        }
    }

    async fn live(
        &self,
        member: &mut GroupConsumer,
        group: usize,
        life: Duration,
    ) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < life && !self.stopped() {
            let records = match member.poll(500, Duration::from_millis(500)).await {
                Ok(records) => records,
                Err(error) if error.is_retriable() => return Ok(()),
                Err(error) => return Err(error.to_string()),
            };
            let committed = &self.groups.of[group].committed;
            let mut next: BTreeMap<TopicPartition, i64> = BTreeMap::new();
            for record in &records {
                let at = TopicPartition::new(record.topic.clone(), record.partition);
                let stands = committed.lock().expect("nobody panics here").get(&at).copied();
                if stands.is_some_and(|stands| record.offset < stands) {
                    return Err(format!("{at:?} at {}, committed is {stands:?}", record.offset));
                }
                self.is_what_was_sent(record)?;
                next.insert(at, record.offset + 1);
            }
            self.groups.read.fetch_add(records.len() as u64, Ordering::Relaxed);
            for (at, offset) in next {
                if member.commit_offsets(&[(at.clone(), offset)]).await.is_ok() {
                    let mut committed = committed.lock().expect("nobody panics here");
                    let stands = committed.entry(at).or_default();
                    *stands = offset.max(*stands);
                }
            }
        }
        Ok(())
    }

    fn is_what_was_sent(&self, record: &ConsumerRecord) -> Result<(), String> {
        let topic = self.topics.iter().find(|topic| *topic.name == *record.topic);
        let truth = topic.and_then(|topic| topic.partitions.get(record.partition as usize));
        let truth = truth.ok_or_else(|| format!("{} is nobody's topic", record.topic))?;
        let value = record.value.as_deref().unwrap_or_default();
        let place = || format!("{}-{}", record.topic, record.partition);
        truth.check(record.offset, value).map_err(|fault| format!("{}: {fault}", place()))
    }

    /// Every commit that was acknowledged is there.
    pub(super) async fn verify_groups(&self) -> Result<(), String> {
        for (group, known) in self.groups.of.iter().enumerate() {
            // taken before the broker is asked, since members go on
            let wanted = known.committed.lock().expect("nobody panics here").clone();
            let there = self.committed(&name(group)).await.map_err(|error| error.to_string())?;
            for (at, offset) in wanted {
                let stands = there.get(&at).copied();
                if stands.is_none_or(|stands| stands < offset) {
                    let group = name(group);
                    return Err(format!(
                        "{group} has {stands:?} of {at:?}, {offset} was committed"
                    ));
                }
            }
        }
        Ok(())
    }

    async fn committed(&self, group: &Text) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
        let mut committed = BTreeMap::new();
        for outcome in self.admin.committed_offsets(std::slice::from_ref(group)).await? {
            committed.extend(outcome.result?.into_iter().map(|(at, it)| (at, it.offset)));
        }
        Ok(committed)
    }
}

fn name(group: usize) -> Text {
    Text::from(format!("soak-{:?}", PROTOCOLS[group]).to_lowercase())
}
