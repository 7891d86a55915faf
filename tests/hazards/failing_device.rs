//! The story: a real device begins to fail: its writes are accepted and lost later, and only a sync says
//! so. (A loop device on a tmpfs that is smaller than the file system on it: what finds no room there
//! comes back as EIO.) What was acknowledged with `durability=disk` is on the part that works; the
//! directory goes offline, and says which; another directory serves on.

use std::time::Duration;

use crate::device::{Device, or_skip};
use crate::stream::{Client, Stream};
use crate::support::node::Node;
use crate::support::{eventually, http_get};

const PATIENCE: Duration = Duration::from_secs(180);

#[test]
fn a_device_that_begins_to_fail_goes_offline_and_the_other_serves() {
    let Some(device) = or_skip("failing_device", Device::failing_after(24, 96)) else { return };
    let sound = tempfile::tempdir().unwrap();
    let (good, bad) = (sound.path().join("good"), device.path().join("bad"));
    let dirs = format!("log.dirs={},{}", good.display(), bad.display());
    let mut node = Node::start_at(&good, &[&dirs, "log.segment.bytes=1048576"]);
    let client = Client::new(node.port());
    let names: Vec<String> = (0..4).map(|n| format!("stream-{n}")).collect();
    for name in &names {
        client.create(name, &[]).unwrap();
    }
    let on = |dir: &std::path::Path| {
        let lies = |name: &&String| dir.join(format!("{name}-0")).exists();
        names.iter().find(lies).cloned().expect("a topic in each directory")
    };
    let (on_good, on_bad) = (on(&good), on(&bad));
    let (serving, failing) = (client.stream(&on_good, 5), client.stream(&on_bad, 60));
    let offline = eventually("the directory goes offline", PATIENCE, || {
        assert!(node.is_running(), "the process has ended: {}", node.output());
        let ready = http_get(&node.http().unwrap(), "/health/ready").ok()?;
        ready.contains("offline").then_some(ready)
    });
    assert!(offline.contains(bad.to_str().unwrap()), "which one? {offline}");
    eventually("the log names it", PATIENCE, || {
        node.output().contains(&format!("dir={}", bad.display())).then_some(())
    });
    let before = serving.acked();
    eventually("the other directory serves", PATIENCE, || {
        (serving.acked() > before + 100).then_some(())
    });
    // what was acknowledged reached the device: a reader that reads past the page cache finds it
    let acked = failing.acked();
    println!("failing_device: {acked} records acknowledged before it failed, {offline}");
    assert!(acked > 0 && Stream::acked(&serving) > 0);
    let done = client.finish(serving);
    client.verify(&done.topic, &done.truth);
    assert!(!node.output().contains("panicked"), "{}", node.output());
    node.kill();
}
