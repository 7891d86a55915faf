//! Every admin call, its dry run first, and a wrong thing beside a right one in each.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duramen_client::Admin;
use duramen_client::ClientError;
use duramen_client::admin::{
    CommittedOffset, ConfigChange, ConfigEntry, ConfigKind, ConfigSource, EpochQuestion, GroupKind,
    MemberName, NewPartitions, NewTopic, OffsetQuestion, OffsetSpec, Outcome, PageStart,
    RecordsBefore, Resource, ResourceKind,
};
use duramen_client::consumer::group::{GroupConsumer, GroupOptions, GroupProtocol};
use duramen_client::consumer::{Isolation, TopicPartition};
use duramen_client::producer::{Producer, ProducerOptions, ProducerRecord};
use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;

use crate::lab::{Kind, Lab, PATIENCE, create};

/// A broker that is not there.
const NOBODY: i32 = 99;

fn code<T>(result: &Result<T, ClientError>) -> Option<ErrorCode> {
    result.as_ref().err().and_then(ClientError::code)
}

fn codes<K, T>(outcomes: &[Outcome<K, T>]) -> Vec<Option<ErrorCode>> {
    outcomes.iter().map(|outcome| code(&outcome.result)).collect()
}

fn texts(names: &[&str]) -> Vec<Text> {
    names.iter().map(|name| Text::from(*name)).collect()
}

/// Asks until the answer is there.
async fn eventually<T, F: Future<Output = Option<T>>>(
    reason: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "{reason}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until an answer is this one: a broker hears of what the controller did a little later.
async fn becomes<T: PartialEq<W> + Debug, W: Debug, F: Future<Output = T>>(
    want: W,
    mut ask: impl FnMut() -> F,
) {
    let began = Instant::now();
    loop {
        let is = ask().await;
        if is == want {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{is:?}, not {want:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn names(admin: &Admin, prefix: &str) -> Vec<Text> {
    let all = admin.list_topics().await.unwrap().into_iter().map(|topic| topic.name.clone());
    all.filter(|name| name.starts_with(prefix)).collect()
}

pub async fn topics_are_made_grown_and_deleted(lab: Arc<Lab>) {
    let admin = Admin::new(&lab.cluster());
    let topics = [
        NewTopic::new("adm-one").partitions(3).replication_factor(1).config("retention.ms", "7"),
        NewTopic::new("adm no name"),
        NewTopic::new("adm-two").on(vec![vec![1], vec![1]]),
        NewTopic::new("adm-config").config("no.such.config", "7"),
    ];
    let wrong =
        [None, Some(ErrorCode::InvalidTopicException), None, Some(ErrorCode::InvalidConfig)];
    let would = admin.create_topics(&topics, true).await.unwrap();
    assert_eq!(codes(&would), wrong);
    assert_eq!(names(&admin, "adm").await, [""; 0]);
    let made = admin.create_topics(&topics, false).await.unwrap();
    assert_eq!(codes(&made), wrong);
    assert_eq!(made[1].about, "adm no name");
    let one = made[0].result.as_ref().unwrap();
    assert_eq!((one.partitions, one.replication_factor), (3, 1));
    becomes(["adm-one", "adm-two"], || names(&admin, "adm")).await;
    let again = admin.create_topics(&[topics[0].clone()], false).await.unwrap();
    assert_eq!(codes(&again), [Some(ErrorCode::TopicAlreadyExists)]);

    let named = texts(&["adm-two", "adm-none", "adm-one"]);
    let told = admin.describe_topics(&named).await.unwrap();
    assert_eq!(codes(&told), [None, Some(ErrorCode::UnknownTopicOrPartition), None]);
    let two = told[0].result.as_ref().unwrap();
    assert_eq!((two.partitions.len(), two.partitions[1].replicas.as_slice()), (2, &[1][..]));
    let ids = [two.id, TopicId::from_u128(7)];
    let told = admin.describe_topics_by_id(&ids).await.unwrap();
    assert_eq!(codes(&told), [None, Some(ErrorCode::UnknownTopicId)]);
    assert_eq!(told[0].result.as_ref().unwrap().name, "adm-two");

    let wanted: Vec<(Text, NewPartitions)> = vec![
        ("adm-one".into(), 5.into()),
        ("adm-none".into(), 5.into()),
        ("adm-two".into(), NewPartitions::up_to(1)),
    ];
    let wrong =
        [None, Some(ErrorCode::UnknownTopicOrPartition), Some(ErrorCode::InvalidPartitions)];
    let would = admin.create_partitions(&wanted, true).await.unwrap();
    assert_eq!(codes(&would), wrong);
    assert_eq!(sizes(&admin).await, [3, 2]);
    let grown = admin.create_partitions(&wanted, false).await.unwrap();
    assert_eq!(codes(&grown), wrong);
    becomes([5, 2], || sizes(&admin)).await;
    let placed = [
        ("adm-two".into(), NewPartitions::up_to(3).on(vec![vec![1]])),
        ("adm-one".into(), NewPartitions::up_to(6).on(vec![vec![NOBODY]])),
    ];
    let grown = admin.create_partitions(&placed, false).await.unwrap();
    assert_eq!(codes(&grown), [None, Some(ErrorCode::InvalidReplicaAssignment)]);
    becomes([5, 3], || sizes(&admin)).await;

    pages(&admin).await;
    let gone = admin.delete_topics(&texts(&["adm-none", "adm-one"])).await.unwrap();
    assert_eq!(codes(&gone), [Some(ErrorCode::UnknownTopicOrPartition), None]);
    let gone = admin.delete_topics_by_id(&[ids[1], ids[0]]).await.unwrap();
    assert_eq!(codes(&gone), [Some(ErrorCode::UnknownTopicId), None]);
    becomes([""; 0], || names(&admin, "adm")).await;
}

async fn sizes(admin: &Admin) -> [usize; 2] {
    let told = admin.describe_topics(&texts(&["adm-one", "adm-two"])).await.unwrap();
    let size = |at: usize| told[at].result.as_ref().unwrap().partitions.len();
    [size(0), size(1)]
}

/// Partitions in pages: `adm-one` has five, `adm-two` three.
async fn pages(admin: &Admin) {
    let named = texts(&["adm-two", "adm-none", "adm-one"]);
    let (mut seen, mut from, mut unknown) = (Vec::new(), None, 0);
    loop {
        let page = admin.describe_partitions_page(&named, 2, from.as_ref()).await.unwrap();
        let mut here = 0;
        for topic in page.topics {
            match topic.result {
                Ok(told) => {
                    here += told.partitions.len();
                    let ids = told.partitions.iter().map(|told| told.partition.id);
                    seen.extend(ids.map(|id| (told.name.clone(), id)));
                }
                Err(error) => {
                    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
                    assert_eq!(topic.about, "adm-none");
                    unknown += 1;
                }
            }
        }
        assert!(here <= 2);
        let Some(next) = page.next else { break };
        from = Some(PageStart::new(next.topic, next.partition));
    }
    assert!(unknown > 0);
    let all = |name: &str, count| (0..count).map(|id| (Text::from(name), id)).collect::<Vec<_>>();
    assert_eq!(seen, [all("adm-one", 5), all("adm-two", 3)].concat());

    let whole = admin.describe_partitions(&named).await.unwrap();
    let whole: BTreeMap<&Text, _> =
        whole.iter().map(|topic| (&topic.about, topic.result.as_ref())).collect();
    let one = whole[&Text::from("adm-one")].unwrap();
    assert!(!one.internal && !one.id.is_nil() && one.partitions.len() == 5);
    assert_eq!((one.partitions[4].partition.leader, one.partitions[4].error), (Some(1), None));
    assert!(one.partitions[4].eligible.is_empty() && one.partitions[4].last_eligible.is_empty());
    assert!(whole[&Text::from("adm-none")].is_err());
    let every = admin.describe_partitions(&[]).await.unwrap();
    assert!(every.iter().any(|topic| topic.about == "adm-two" && topic.result.is_ok()));
}

async fn config(admin: &Admin, resource: &Resource, name: &str) -> ConfigEntry {
    let told = admin.describe_configs(std::slice::from_ref(resource), true).await.unwrap();
    let configs = told.into_iter().next().unwrap().result.unwrap();
    configs.into_iter().find(|config| config.name == *name).expect(name)
}

pub async fn configs_are_told_and_changed(lab: Arc<Lab>) {
    let cluster = lab.cluster();
    create(&cluster, "configs", 1, &[("retention.ms", "60000")]).await;
    let admin = Admin::new(&cluster);
    let (topic, group) = (Resource::Topic("configs".into()), Resource::Group("configs".into()));
    let (missing, broker) = (Resource::Topic("configs-none".into()), Resource::Broker(1));
    let asked = [
        missing.clone(),
        topic.clone(),
        Resource::Broker(NOBODY),
        broker.clone(),
        Resource::BrokerLogger(1),
        Resource::AllBrokers,
        group.clone(),
    ];
    let told = admin.describe_configs(&asked, false).await.unwrap();
    assert_eq!(code(&told[0].result), Some(ErrorCode::UnknownTopicOrPartition));
    assert!(matches!(told[2].result, Err(ClientError::Unreachable { .. })), "{:?}", told[2]);
    for at in [1, 3, 4, 5, 6] {
        assert_eq!(told[at].about, asked[at]);
        assert!(told[at].result.is_ok(), "{:?}", told[at]);
    }
    let retention = config(&admin, &topic, "retention.ms").await;
    assert_eq!(retention.value.as_deref(), Some("60000"));
    assert_eq!((retention.source, retention.kind), (ConfigSource::Topic, Some(ConfigKind::Long)));
    assert!(!retention.read_only && !retention.sensitive && retention.documentation.is_some());
    assert_eq!(retention.synonyms[0].source, ConfigSource::Topic);
    let size = config(&admin, &topic, "max.message.bytes").await;
    assert_eq!(size.source, ConfigSource::Default);
    let [synonym] = &size.synonyms[..] else { panic!("{size:?}") };
    assert_eq!(
        (synonym.name.as_str(), synonym.source),
        ("message.max.bytes", ConfigSource::Default)
    );

    // of one resource all changes or none; of several, each for itself
    let set = ConfigChange::set("retention.ms", "120000");
    let wrong = ConfigChange::set("retention.ms", "soon");
    let wanted = vec![
        (missing.clone(), vec![set.clone()]),
        (topic.clone(), vec![set.clone(), ConfigChange::append("cleanup.policy", "compact")]),
    ];
    let codes_wanted = [Some(ErrorCode::UnknownTopicOrPartition), None];
    assert_eq!(codes(&admin.alter_configs(&wanted, true).await.unwrap()), codes_wanted);
    assert_eq!(config(&admin, &topic, "retention.ms").await, retention);
    assert_eq!(codes(&admin.alter_configs(&wanted, false).await.unwrap()), codes_wanted);
    let value = async |name| config(&admin, &topic, name).await.value.unwrap_or_default();
    becomes("120000", || value("retention.ms")).await;
    assert_eq!(value("cleanup.policy").await, "delete,compact");
    let half = vec![(topic.clone(), vec![ConfigChange::unset("cleanup.policy"), wrong])];
    let refused = admin.alter_configs(&half, false).await.unwrap();
    assert_eq!(codes(&refused), [Some(ErrorCode::InvalidConfig)]);
    assert_eq!(value("cleanup.policy").await, "delete,compact");
    let less = vec![(topic.clone(), vec![ConfigChange::subtract("cleanup.policy", "delete")])];
    assert_eq!(codes(&admin.alter_configs(&less, false).await.unwrap()), [None]);
    becomes("compact", || value("cleanup.policy")).await;

    // what is replaced keeps only what is named
    let named = |name: &str, value: &str| vec![(Text::from(name), Text::from(value))];
    let wanted = vec![
        (missing, named("retention.ms", "7")),
        (topic.clone(), named("max.message.bytes", "5000")),
    ];
    assert_eq!(codes(&admin.replace_configs(&wanted, true).await.unwrap()), codes_wanted);
    assert_eq!(value("cleanup.policy").await, "compact");
    assert_eq!(codes(&admin.replace_configs(&wanted, false).await.unwrap()), codes_wanted);
    becomes("delete", || value("cleanup.policy")).await;
    assert_eq!(value("max.message.bytes").await, "5000");

    let session = ConfigChange::set("consumer.session.timeout.ms", "50000");
    let altered = admin.alter_configs(&[(group.clone(), vec![session])], false).await.unwrap();
    assert_eq!(codes(&altered), [None]);
    let source = async |name| config(&admin, &group, name).await.source;
    becomes(ConfigSource::Group, || source("consumer.session.timeout.ms")).await;
    let kinds = [ResourceKind::Group, ResourceKind::Broker, ResourceKind::BrokerLogger];
    let listed = admin.list_config_resources(&kinds).await.unwrap();
    assert!(listed.contains(&group) && listed.contains(&broker), "{listed:?}");
    assert!(listed.contains(&Resource::BrokerLogger(1)) && !listed.contains(&topic));
    assert!(admin.list_config_resources(&[]).await.unwrap().contains(&topic));
    let metrics = admin.list_config_resources(&[ResourceKind::ClientMetrics]).await.unwrap();
    assert_eq!(metrics, []);
}

/// Ten records a second apart, the last but one the newest.
async fn filled(lab: &Lab, topic: &str) {
    let cluster = lab.cluster();
    create(&cluster, topic, 2, &[]).await;
    let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
    for (second, value) in [1, 2, 3, 4, 5, 6, 7, 8, 20, 10].into_iter().zip(0..) {
        let value = i32::to_string(&value);
        let mut record = ProducerRecord::new(topic, value.as_bytes());
        (record.partition, record.timestamp) = (Some(0), Some(second * 1000));
        producer.send(record).await.unwrap();
    }
}

pub async fn offsets_epochs_and_producers_are_told(lab: Arc<Lab>) {
    filled(&lab, "edges").await;
    let admin = Admin::new(&lab.cluster());
    let specs = [
        (OffsetSpec::Earliest, Some(0)),
        (OffsetSpec::Latest, Some(10)),
        (OffsetSpec::MaxTimestamp, Some(8)),
        (OffsetSpec::EarliestLocal, Some(0)),
        (OffsetSpec::Time(3_500), Some(3)),
        (OffsetSpec::Time(30_000), None),
        (OffsetSpec::LatestTiered, None),
    ];
    let ask = |(spec, _): &(OffsetSpec, _)| OffsetQuestion::new("edges", 0, *spec);
    let mut questions: Vec<OffsetQuestion> = specs.iter().map(ask).collect();
    questions.push(OffsetQuestion::new("edges-none", 0, OffsetSpec::Latest));
    questions.push(OffsetQuestion::new("edges", 7, OffsetSpec::Latest));
    questions.push(OffsetQuestion::new("edges", 1, OffsetSpec::Latest));
    let told = admin.list_offsets(Isolation::ReadUncommitted, questions.clone()).await.unwrap();
    for ((told, question), (spec, want)) in told.iter().zip(&questions).zip(specs) {
        assert_eq!(told.question, *question);
        assert_eq!(*told.offset.as_ref().unwrap(), want, "{spec:?}");
    }
    assert_eq!(told[2].timestamp, 20_000);
    assert_eq!(code(&told[7].offset), Some(ErrorCode::UnknownTopicOrPartition));
    assert!(matches!(told[8].offset, Err(ClientError::NoPartition { count: 2, .. })));
    assert_eq!(*told[9].offset.as_ref().unwrap(), Some(0));

    let questions = [
        EpochQuestion::new("edges", 0, 0),
        EpochQuestion::new("edges-none", 0, 0),
        EpochQuestion::new("edges", 0, 1000),
    ];
    let told = admin.end_of_epochs(&questions).await.unwrap();
    let end = told[0].result.as_ref().unwrap().unwrap();
    assert_eq!((end.epoch, end.end_offset), (0, 10));
    assert_eq!(code(&told[1].result), Some(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(*told[2].result.as_ref().unwrap(), None);

    let partitions = [
        TopicPartition::new("edges", 0),
        TopicPartition::new("edges", 7),
        TopicPartition::new("edges", 1),
    ];
    let told = admin.describe_producers(&partitions).await.unwrap();
    let [producer] = told[0].result.as_ref().unwrap()[..] else { panic!("{told:?}") };
    assert_eq!((producer.last_sequence, producer.last_timestamp), (Some(9), Some(10_000)));
    assert_eq!((producer.epoch, producer.transaction_start), (0, None));
    assert!(matches!(told[1].result, Err(ClientError::NoPartition { .. })));
    assert!(told[2].result.as_ref().unwrap().is_empty());
}

pub async fn records_are_deleted(lab: Arc<Lab>) {
    filled(&lab, "trimmed").await;
    let admin = Admin::new(&lab.cluster());
    let before = [
        RecordsBefore::new("trimmed", 0, 4),
        RecordsBefore::new("trimmed", 1, 4),
        RecordsBefore::new("trimmed-none", 0, 4),
        RecordsBefore::new("trimmed", 0, -1),
    ];
    let told = admin.delete_records(&before[..3]).await.unwrap();
    assert_eq!(
        codes(&told),
        [None, Some(ErrorCode::OffsetOutOfRange), Some(ErrorCode::UnknownTopicOrPartition)]
    );
    assert_eq!(told[0].result.as_ref().unwrap().log_start_offset, 4);
    let told = admin.delete_records(&before[3..]).await.unwrap();
    assert_eq!(told[0].result.as_ref().unwrap().log_start_offset, 10);
}

pub async fn the_cluster_tells_of_itself(lab: Arc<Lab>) {
    filled(&lab, "sized").await;
    let admin = Admin::new(&lab.cluster());
    let cluster = admin.describe_cluster().await.unwrap();
    assert_eq!((cluster.controller, cluster.brokers.len()), (Some(1), 1));
    assert!(cluster.fenced.is_empty() && !cluster.cluster_id.is_empty());
    let features = admin.describe_features().await.unwrap();
    assert!(features.finalized_epoch.is_some(), "{features:?}");
    if lab.kind == Kind::Kafka {
        assert!(features.finalized.iter().any(|it| it.name == "metadata.version" && it.min >= 1));
        assert!(features.supported.iter().any(|it| it.name == "group.version" && it.max >= 1));
    }
    let told = admin.describe_log_dirs(&[NOBODY, 1]).await.unwrap();
    assert!(matches!(told[0].result, Err(ClientError::Unreachable { .. })));
    let [dir] = &told[1].result.as_ref().unwrap()[..] else { panic!("{told:?}") };
    assert!(dir.error.is_none() && dir.space.is_some_and(|(free, all)| free <= all));
    let here = dir.replicas.iter().find(|it| it.topic == "sized" && it.partition == 0).unwrap();
    assert!(here.bytes > 0 && here.lag == 0 && !here.moving_here && !dir.cordoned);
}

fn member(lab: &Lab, group: &str, protocol: GroupProtocol) -> GroupConsumer {
    let mut options = GroupOptions::new(group);
    options.protocol = protocol;
    GroupConsumer::join(&lab.cluster(), options, &["members".into()]).unwrap()
}

pub async fn groups_are_told_and_changed(lab: Arc<Lab>) {
    filled(&lab, "members").await;
    let admin = Admin::new(&lab.cluster());
    let names = texts(&["adm-classic", "adm-none", "adm-consumer"]);
    let mut classic = member(&lab, "adm-classic", GroupProtocol::Classic);
    let mut consumer = member(&lab, "adm-consumer", GroupProtocol::Consumer);
    let reading = tokio::spawn(async move {
        loop {
            tokio::select! {
                event = classic.next() => drop(event.unwrap().unwrap()),
                event = consumer.next() => drop(event.unwrap().unwrap()),
            }
        }
    });
    let described = eventually("both groups have their partitions", || async {
        let told = admin.describe_groups(&names).await.unwrap();
        let whole = |at: usize| {
            let group = told[at].result.as_ref().ok()?;
            let share = group.members.first()?.assignment.as_ref()?;
            (group.state == "Stable" && share.len() == 2).then_some(())
        };
        whole(0).and(whole(2)).map(|()| told)
    })
    .await;
    assert_eq!(code(&described[1].result), Some(ErrorCode::GroupIdNotFound));
    let [classic, consumer] = [0, 2].map(|at| described[at].result.as_ref().unwrap());
    assert_eq!((classic.kind, consumer.kind), (GroupKind::Classic, GroupKind::Consumer));
    assert!(classic.is_live() && classic.epoch.is_none() && consumer.epoch.is_some());
    assert_eq!(consumer.coordinator.as_ref().map(|broker| broker.id), Some(1));
    let places = admin.find_coordinators(&names).await.unwrap();
    assert!(places.iter().all(|place| place.result.as_ref().unwrap().id == 1), "{places:?}");

    let listed = async |states: &[&str], types: &[&str]| -> Vec<Text> {
        let listing = admin.list_groups(&texts(states), &texts(types)).await.unwrap();
        let all = listing.complete().unwrap().into_iter().map(|listed| listed.group);
        all.filter(|group| names.contains(group)).collect()
    };
    assert_eq!(listed(&[], &[]).await, ["adm-classic", "adm-consumer"]);
    assert_eq!(listed(&["Stable"], &["consumer"]).await, ["adm-consumer"]);
    assert_eq!(listed(&["Empty"], &[]).await, [""; 0]);

    // nobody else writes the offsets of a group that is alive, and it is not deleted
    let offset = [(TopicPartition::new("members", 0), CommittedOffset::at(3))];
    for group in [&names[0], &names[2]] {
        let refused = admin.alter_offsets(group, &offset).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::NonEmptyGroup), "{refused}");
    }
    let kept = admin.delete_groups(&names).await.unwrap();
    let alive = Some(ErrorCode::NonEmptyGroup);
    assert_eq!(codes(&kept), [alive, Some(ErrorCode::GroupIdNotFound), alive]);
    let members =
        [MemberName::Id("nobody".into()), MemberName::Id(classic.members[0].member_id.clone())];
    let removed = admin.remove_members(&names[0], &members).await.unwrap();
    assert_eq!(codes(&removed), [Some(ErrorCode::UnknownMemberId), None]);
    let out = classic.members[0].member_id.clone();
    eventually("who was removed is back under another name", || async {
        let told = admin.describe_groups(&names[..1]).await.unwrap();
        let group = told[0].result.as_ref().ok()?;
        (group.state == "Stable" && group.members.first()?.member_id != out).then_some(())
    })
    .await;

    // both are dropped, and leave
    reading.abort();
    eventually("both groups are empty", || async {
        let told = admin.describe_groups(&names).await.unwrap();
        let empty = |at: usize| told[at].result.as_ref().is_ok_and(|group| !group.is_live());
        (empty(0) && empty(2)).then_some(())
    })
    .await;
    let gone = admin.delete_groups(&names).await.unwrap();
    assert_eq!(codes(&gone), [None, Some(ErrorCode::GroupIdNotFound), None]);
    assert_eq!(listed(&[], &[]).await, [""; 0]);
}

pub async fn offsets_of_groups_are_changed(lab: Arc<Lab>) {
    filled(&lab, "committed").await;
    let admin = Admin::new(&lab.cluster());
    let group = Text::from("adm-offsets");
    let at = |topic: &str, partition| TopicPartition::new(topic, partition);
    let offsets = [
        (at("committed", 0), CommittedOffset::at(3)),
        (at("committed-none", 0), CommittedOffset::at(3)),
        (at("committed", 1), CommittedOffset::at(0)),
    ];
    let altered = admin.alter_offsets(&group, &offsets).await.unwrap();
    let of = |partition: &TopicPartition| {
        altered.iter().find(|it| it.about == *partition).unwrap().result.clone()
    };
    assert!(of(&offsets[0].0).is_ok() && of(&offsets[2].0).is_ok());
    assert_eq!(code(&of(&offsets[1].0)), Some(ErrorCode::UnknownTopicOrPartition));
    let committed = async || {
        let asked = [Text::from("adm-nobody"), group.clone()];
        let told = admin.committed_offsets(&asked).await.unwrap();
        assert!(told[0].result.as_ref().unwrap().is_empty());
        let of_group = told.into_iter().nth(1).unwrap().result.unwrap();
        of_group.into_iter().map(|(at, stands)| (at, stands.offset)).collect::<Vec<_>>()
    };
    assert_eq!(committed().await, [(at("committed", 0), 3), (at("committed", 1), 0)]);

    let partitions = [at("committed", 0), at("committed", 7)];
    let deleted = admin.delete_offsets(&group, &partitions).await.unwrap();
    let of =
        |at: usize| deleted.iter().find(|it| it.about == partitions[at]).map(|it| code(&it.result));
    assert_eq!(of(0), Some(None));
    // Kafka takes one that has no offset for deleted; a partition that is not there, too
    assert!(of(1).is_some());
    assert_eq!(committed().await, [(at("committed", 1), 0)]);
    let missing = admin.delete_offsets(&"adm-nobody".into(), &partitions).await.unwrap_err();
    assert_eq!(missing.code(), Some(ErrorCode::GroupIdNotFound));
    assert_eq!(codes(&admin.delete_groups(&[group]).await.unwrap()), [None]);
}
