//! The whole way: a command, the metadata log, the loader, the applier, the reply, and the next start.

use std::collections::BTreeMap;
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::text::Text;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::decide::testing::registration;
use super::{
    AllocateProducerIds, Bootstrap, Command, Controller, CreateTopics, CreatedTopic, DeleteTopics,
    NewTopic, Refusal, Reply, Settings, TopicRef,
};
use crate::config;
use crate::env::Random;
use crate::env::sim::SimEnv;
use crate::metadata::loader::{self, Apply, LoaderOptions};
use crate::metadata::{MetadataDelta, MetadataWatch};
use crate::raft::testing::{Disk, NODE_ID, Node};

/// Everything between a command and its consequences. Deltas come to the test, or are applied at
/// once by [`Running::apply_all`].
struct Running {
    controller: Controller,
    metadata: MetadataWatch,
    deltas: mpsc::Receiver<Apply>,
    cancel: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    node: Node,
}

fn start(disk: &Disk, options: LoaderOptions) -> Running {
    let (node, committed) = disk.start();
    let (applier, deltas) = mpsc::channel(1);
    let (metadata, loader) = loader::new(committed, node.raft.clone(), applier, options);
    let settings = Settings {
        num_partitions: 2,
        default_replication_factor: 1,
        delete_topic_enable: true,
        node_id: NODE_ID,
        broker: config::Settings::default(),
    };
    let random = Random::from_seed(7);
    let (controller, task) =
        super::task::new(node.raft.clone(), metadata.clone(), settings, random);
    let cancel = CancellationToken::new();
    let (stop_loader, stop_task) = (cancel.clone(), cancel.clone());
    let bootstrap =
        Bootstrap { cluster_id: "cluster".to_owned(), features: vec![("magic".to_owned(), 0)] };
    let tasks = vec![
        tokio::spawn(async move { loader.run(stop_loader).await.unwrap() }),
        tokio::spawn(async move { task.run(bootstrap, stop_task).await.unwrap() }),
    ];
    Running { controller, metadata, deltas, cancel, tasks, node }
}

impl Running {
    /// Applies what comes from now on without looking at it.
    fn apply_all(mut self) -> Self {
        let (_, replaced) = mpsc::channel(1);
        let mut deltas = std::mem::replace(&mut self.deltas, replaced);
        self.tasks.push(tokio::spawn(async move {
            while let Some(apply) = deltas.recv().await {
                apply.done();
            }
        }));
        self
    }

    /// The next delta, applied.
    async fn applied(&mut self) -> MetadataDelta {
        let apply = self.deltas.recv().await.unwrap();
        let delta = apply.delta.clone();
        apply.done();
        delta
    }

    async fn create(&self, name: &str) -> Result<CreatedTopic, Refusal> {
        created(self.controller.submit(create_command(name)).await.unwrap())
    }

    async fn register(&self) -> i64 {
        let command = Command::RegisterBroker(registration(NODE_ID, 1));
        match self.controller.submit(command).await.unwrap() {
            Reply::RegisterBroker(Ok(registered)) => registered.broker_epoch,
            other => panic!("{other:?}"),
        }
    }

    fn topics(&self) -> Vec<Text> {
        self.metadata.current().topics().iter().map(|topic| topic.name().clone()).collect()
    }

    /// As after a crash: nothing is closed.
    async fn crash(self) {
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
        self.node.crash().await;
    }

    async fn stop(self) {
        self.cancel.cancel();
        drop(self.deltas);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.node.stop().await;
    }
}

fn create_command(name: &str) -> Command {
    let topics = vec![NewTopic::with_defaults(name)];
    Command::CreateTopics(CreateTopics { topics, validate_only: false })
}

fn created(reply: Reply) -> Result<CreatedTopic, Refusal> {
    match reply {
        Reply::CreateTopics(mut results) => results.remove(0).1,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_topic_is_there_when_its_creation_is_answered_and_after_a_restart() {
    let disk = Disk::new();
    let running = start(&disk, LoaderOptions::default()).apply_all();
    running.register().await;
    let topic = running.create("orders").await.unwrap();
    let image = running.metadata.current();
    assert_eq!(image.topics().by_name("orders").unwrap().id(), topic.id);
    assert_eq!(image.cluster_id(), "cluster");
    running.stop().await;

    let running = start(&disk, LoaderOptions::default()).apply_all();
    let epoch = running.register().await;
    let image = running.metadata.current();
    assert_eq!(image.topics().by_name("orders").unwrap().id(), topic.id);
    assert_eq!(image.cluster_id(), "cluster");
    assert_eq!(image.brokers().get(NODE_ID).unwrap().epoch, epoch);
    running.stop().await;
}

#[tokio::test]
async fn the_reply_and_the_image_wait_for_the_applier() {
    let disk = Disk::new();
    let mut running = start(&disk, LoaderOptions::default());
    running.applied().await; // the no-op of the new leader
    running.applied().await; // the cluster's id
    let controller = running.controller.clone();
    let reply = tokio::spawn(async move {
        let command = Command::RegisterBroker(registration(NODE_ID, 1));
        controller.submit(command).await
    });
    let apply = running.deltas.recv().await.unwrap();
    assert_eq!(apply.delta.brokers().count(), 1);
    assert!(running.metadata.current().brokers().is_empty(), "published before it was applied");
    assert!(!reply.is_finished());
    apply.done();
    assert!(matches!(reply.await.unwrap(), Ok(Reply::RegisterBroker(Ok(_)))));
    assert_eq!(running.metadata.current().brokers().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_restart_comes_to_the_applier_as_one_delta() {
    let disk = Disk::new();
    let running = start(&disk, LoaderOptions::default()).apply_all();
    running.register().await;
    for name in ["a", "b", "c"] {
        running.create(name).await.unwrap();
    }
    running.stop().await;
    let mut running = start(&disk, LoaderOptions::default());
    let delta = running.applied().await;
    assert_eq!(delta.topics().count(), 3);
    assert!(delta.before().topics().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn of_many_who_create_one_topic_exactly_one_does() {
    let disk = Disk::new();
    let running = start(&disk, LoaderOptions::default()).apply_all();
    running.register().await;
    let attempts: Vec<_> = (0..100)
        .map(|_| {
            let controller = running.controller.clone();
            tokio::spawn(
                async move { created(controller.submit(create_command("t")).await.unwrap()) },
            )
        })
        .collect();
    let mut winners = Vec::new();
    for attempt in attempts {
        match attempt.await.unwrap() {
            Ok(created) => winners.push(created.id),
            Err(refusal) => assert_eq!(refusal.code, ErrorCode::TopicAlreadyExists),
        }
    }
    let image = running.metadata.current();
    assert_eq!(winners, [image.topics().by_name("t").unwrap().id()]);
    running.stop().await;
}

#[tokio::test]
async fn blocks_of_producer_ids_never_repeat_over_restarts() {
    let disk = Disk::new();
    let mut firsts = Vec::new();
    for _ in 0..3 {
        let running = start(&disk, LoaderOptions::default()).apply_all();
        let broker_epoch = running.register().await;
        let command = AllocateProducerIds { broker_id: NODE_ID, broker_epoch };
        let command = Command::AllocateProducerIds(command);
        match running.controller.submit(command).await.unwrap() {
            Reply::AllocateProducerIds(Ok(block)) => firsts.push(block.first),
            other => panic!("{other:?}"),
        }
        running.stop().await;
    }
    assert_eq!(firsts, [0, 1000, 2000]);
}

#[tokio::test]
async fn a_snapshot_made_on_the_way_gives_the_same_image() {
    let disk = Disk::new();
    let eager = LoaderOptions { snapshot_after_bytes: 1 };
    let running = start(&disk, eager).apply_all();
    running.register().await;
    for number in 0..20 {
        running.create(&format!("t.{number}")).await.unwrap();
    }
    let delete = DeleteTopics { topics: vec![TopicRef::name("t.3")] };
    running.controller.submit(Command::DeleteTopics(delete)).await.unwrap();
    let before = running.metadata.current();
    running.stop().await;
    let snapshots = std::fs::read_dir(disk.log_dir()).unwrap().filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".checkpoint")
    });
    assert!((1..=2).contains(&snapshots.count()));

    let mut running = start(&disk, eager);
    let after = running.applied().await.after().clone();
    assert_eq!(after.topics(), before.topics());
    assert_eq!(after.brokers(), before.brokers());
    running.stop().await;
}

/// The story: an admin client is told that its topic is there, and the power goes. Whatever was
/// answered must be there after it, and what was not answered is there whole or not at all,
/// wherever in appending, flushing, taking snapshots and trimming the power went.
#[tokio::test]
async fn what_was_answered_survives_a_loss_of_power_at_any_moment() {
    for seed in 0..24 {
        let world = SimEnv::new(seed, 1_700_000_000_000);
        let disk = Disk::simulated(&world);
        let eager = LoaderOptions { snapshot_after_bytes: 600 };
        let mut answered: BTreeMap<String, TopicId> = BTreeMap::new();
        for boot in 0..4 {
            let running = start(&disk, eager).apply_all();
            running.register().await;
            let image = running.metadata.current();
            for (name, id) in &answered {
                let topic = image.topics().by_name(name).map(|topic| topic.id());
                assert_eq!(topic, Some(*id), "{name}, seed {seed}, boot {boot}");
            }
            assert!(image.topics().iter().all(|topic| topic.partition_count() == 2));
            assert!(image.topics().len() <= answered.len() + boot, "seed {seed}, boot {boot}");
            world.disk.power_off_at(world.random.below(60));
            for number in 0..200 {
                let name = format!("{boot}-{number}");
                match running.controller.submit(create_command(&name)).await {
                    Ok(reply) => answered.insert(name, created(reply).unwrap().id),
                    Err(error) => {
                        assert_eq!(error.code, ErrorCode::KafkaStorageError);
                        break;
                    }
                };
            }
            running.crash().await;
            world.disk.power_loss(seed * 10 + u64::try_from(boot).unwrap());
        }
        assert!(!answered.is_empty());
    }
}

#[tokio::test]
async fn a_command_that_takes_too_long_says_so_and_is_done_all_the_same() {
    let disk = Disk::new();
    let mut running = start(&disk, LoaderOptions::default());
    running.applied().await;
    running.applied().await;
    let controller = running.controller.clone();
    let impatient = tokio::spawn(async move {
        let command = Command::RegisterBroker(registration(NODE_ID, 1));
        controller.submit_within(command, Duration::from_secs(2)).await
    });
    // It is carried out, and its caller goes before it is done.
    let apply = running.deltas.recv().await.unwrap();
    let error = impatient.await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::RequestTimedOut);
    assert_eq!(apply.delta.brokers().count(), 1);
    apply.done();
    running.stop().await;
}

#[tokio::test]
async fn a_command_whose_caller_has_gone_before_its_turn_is_not_carried_out() {
    let disk = Disk::new();
    let mut running = start(&disk, LoaderOptions::default());
    running.applied().await;
    running.applied().await;
    let controller = running.controller.clone();
    let register = tokio::spawn(async move {
        controller.submit(Command::RegisterBroker(registration(NODE_ID, 1))).await
    });
    // The controller now waits for the applier, which is this test.
    let apply = running.deltas.recv().await.unwrap();
    let gone = running.controller.submit_within(create_command("gone"), Duration::from_millis(20));
    assert_eq!(gone.await.unwrap_err().code, ErrorCode::RequestTimedOut);
    apply.done();
    register.await.unwrap().unwrap();
    let running = running.apply_all();
    running.create("stays").await.unwrap();
    assert_eq!(running.topics(), ["stays"]);
    running.stop().await;
}

#[tokio::test]
async fn after_the_end_every_command_is_refused() {
    let disk = Disk::new();
    let running = start(&disk, LoaderOptions::default()).apply_all();
    running.register().await;
    let controller = running.controller.clone();
    running.stop().await;
    let error = controller.submit(create_command("t")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotController);
}
