//! Watching a broker: what it exports against its documents, what it logs, and the two verbs that look
//! at it. Brokers run in this process or as the real binary, on free loopback ports.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "a test may panic, and has the real clock and disk"
)]
#![allow(clippy::needless_update, reason = "messages grow fields with new versions of Kafka")]

#[path = "../api/support/mod.rs"]
mod broker;
#[path = "../support/mod.rs"]
mod process;

mod doctor;
mod exported;
mod live;
mod logs;
mod names;
mod scraped;
mod top;

use std::process::{Command, Output};

/// Runs the real binary with nothing from the environment of whoever runs the tests.
pub async fn duramen(words: &[&str]) -> Output {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duramen"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DURAMEN_") {
                command.env_remove(name);
            }
        }
        command.args(words).output().expect("the binary runs")
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// A broker in this process with HTTP, and its two addresses.
pub async fn with_http(settings: &[&str]) -> (broker::Node, String, String) {
    let mut all = vec!["http.listener=127.0.0.1:0"];
    all.extend(settings);
    let node = broker::Node::with(&all).await;
    let kafka = node.address().to_string();
    let http = node.broker().http_address().unwrap().to_string();
    (node, kafka, http)
}
