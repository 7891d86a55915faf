//! The examples of the client, run as their users would, against a broker in this process.

use std::path::PathBuf;
use std::process::Command;

use duramen::Broker;

/// Each example, and what its last line says.
const EXAMPLES: &[(&str, &str)] = &[
    ("order_pipeline", "100 orders billed"),
    ("one_owner_workers", "300 orders worked on, 0 of them more than once"),
    ("replay_after_a_bug", "charged 10000 cents, owed 13725: 3725 to claim"),
    ("transform", "100 lines reported"),
    ("dead_letter_queue", "40 orders billed, 2 put aside in mixed-orders.dead"),
];

/// Where cargo puts examples: beside the folder of this test.
fn folder() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    this.ancestors().nth(2).unwrap().join("examples")
}

#[test]
fn examples_do_what_they_say() {
    // `cargo test --workspace` has built them; a run of this test alone has not.
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--workspace", "--examples", "--locked"]);
    assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let broker = runtime.block_on(async {
        let settings = Broker::builder().set("group.initial.rebalance.delay.ms", "0");
        settings.listen("127.0.0.1:0").start().await.unwrap()
    });
    for (name, last) in EXAMPLES {
        let run = Command::new(folder().join(name))
            .env("DURAMEN_BROKERS", broker.bootstrap())
            .output()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let printed = String::from_utf8_lossy(&run.stdout).into_owned();
        let errors = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{name}: {printed}{errors}");
        assert_eq!(printed.lines().last(), Some(*last), "{name}: {printed}");
    }
    runtime.block_on(broker.stop());
}
