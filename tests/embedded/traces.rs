//! What a broker leaves in the process that it lived in: nothing. Each test here runs in a process of
//! its own, which nobody else has threads, files or folders in.

use std::fs;
use std::panic;
use std::process::Command;
use std::sync::Mutex;

use duramen::Broker;
use duramen::env::process_figures;

use crate::lab::{eventually, on_each, read, runtimes, write};

/// Says that this process was begun for one test.
const ALONE: &str = "EMBEDDED_ALONE";

/// Runs a test, by its full name, in a process of its own with a folder of its own for temporary files.
pub fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let folder = tempfile::tempdir().unwrap();
    let out = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let (said, told) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}{told}");
    assert!(said.contains("1 passed"), "{said}{told}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a temporary folder stayed");
}

/// Temporary folders of brokers that are there now.
pub fn folders() -> usize {
    let entries = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("duramen-")).count()
}

/// Threads and open files of this process.
fn held() -> (u64, u64) {
    let figures = process_figures(None).unwrap();
    (figures.threads, figures.open_files)
}

#[test]
fn neither_threads_nor_files_stay_after_a_stop_or_a_drop() {
    alone("traces::neither_threads_nor_files_stay_after_a_stop_or_a_drop", || {
        let at_start = held().0;
        for runtime in runtimes() {
            let once = async |stop: bool| {
                let builder = Broker::builder().listen("127.0.0.1:0").http("127.0.0.1:0");
                let broker = builder.start().await.unwrap();
                let cluster = broker.client();
                write(&cluster, "orders", &["apple"]).await;
                assert_eq!(read(&cluster, "orders", 1).await, ["apple"]);
                match stop {
                    true => broker.stop().await,
                    false => drop(broker),
                }
            };
            // The runtime's own: its driver, its blocking pool.
            runtime.block_on(async {
                once(true).await;
                eventually("no folder is left", async || folders() == 0).await;
            });
            let alive = runtime.metrics().num_alive_tasks();
            let before = held();
            runtime.block_on(async {
                for round in 0..6 {
                    once(round % 2 == 0).await;
                }
                eventually("all are gone", async || {
                    let (threads, files) = held();
                    // The blocking pool may have grown by a thread; a broker has five.
                    folders() == 0 && threads < before.0 + 5 && files <= before.1
                })
                .await;
            });
            let metrics = runtime.metrics();
            let gone = || metrics.num_alive_tasks() <= alive;
            runtime.block_on(eventually("its tasks are gone", async || gone()));
        }
        // The system counts a thread for a moment after it was joined.
        let [runtime, _] = runtimes();
        let gone = async || held().0 == at_start;
        runtime.block_on(eventually("the threads of runtimes that are gone", gone));
    });
}

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn the_process_is_left_as_it_was() {
    alone("traces::the_process_is_left_as_it_was", || {
        panic::set_hook(Box::new(|panic| PANICS.lock().unwrap().push(panic.to_string())));
        let signals = signals();
        on_each(async || {
            let broker = Broker::builder().http("127.0.0.1:0").start().await.unwrap();
            write(&broker.client(), "orders", &["apple"]).await;
            broker.stop().await;
            drop(Broker::builder().start().await.unwrap());
        });
        assert!(panic::catch_unwind(|| panic!("on purpose")).is_err());
        drop(panic::take_hook());
        let panics = PANICS.lock().unwrap();
        assert!(matches!(&panics[..], [only] if only.contains("on purpose")), "{panics:?}");
        assert!(!tracing::dispatcher::has_been_set(), "a log subscriber was installed");
        assert_eq!(self::signals(), signals, "handlers of signals");
    });
}

/// Which signals are ignored and caught.
fn signals() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let wanted = |line: &&str| line.starts_with("SigIgn") || line.starts_with("SigCgt");
    status.lines().filter(wanted).map(str::to_owned).collect()
}
