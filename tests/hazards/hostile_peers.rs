//! The story: peers that want nothing but to be waited for. A thousand connections announce a large frame
//! and send half of a little; some write a frame byte by byte, some read their answers so. Memory stays
//! bounded, other clients notice nothing, and each such connection is closed at its deadline.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use duramen_protocol::error::ErrorCode;
use duramen_protocol::frame;
use duramen_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use duramen_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};

use crate::support::node::Node;
use crate::support::wire::Wire;
use crate::support::{eventually, http_get};

const HALF_FRAMES: usize = 1000;
const SLOW: usize = 20;
const ANNOUNCED: i32 = 50 << 20;
/// What all of them together may make the node hold.
const MEMORY_MAX_KIB: u64 = 64 << 10;
/// How long the node keeps a connection that says nothing.
const IDLE: Duration = Duration::from_secs(5);
/// How long anything may take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(180);
const FETCH: i16 = 12;

#[test]
fn half_frames_and_slow_peers_cost_little_and_are_closed() {
    let node = Node::start(&[&format!("connections.max.idle.ms={}", IDLE.as_millis())]);
    create(&node);
    for _ in 0..8 {
        produce(&mut Wire::connect(node.port()).unwrap(), 900_000).unwrap();
    }
    let stop = AtomicBool::new(false);
    let before = anonymous_kib(&node);
    thread::scope(|scope| {
        let good = scope.spawn(|| serve_meanwhile(&node, &stop));
        let halves: Vec<_> = (0..HALF_FRAMES).map(|_| half_frame(node.port())).collect();
        let mut writers: Vec<_> = (0..SLOW).map(|_| connect(node.port())).collect();
        let mut readers: Vec<_> = (0..SLOW).map(|_| reader(node.port())).collect();
        let ends_good = Ends(&stop);
        let mut most = 0;
        let frame = ANNOUNCED.to_be_bytes();
        let mut sent = 0;
        eventually("all of them are closed", PATIENCE, || {
            most = most.max(anonymous_kib(&node));
            for writer in &mut writers {
                let _ = writer.write_all(&[frame.get(sent).copied().unwrap_or(0)]);
            }
            sent += 1;
            for reader in &mut readers {
                let _ = reader.read(&mut [0]);
            }
            thread::sleep(Duration::from_millis(90)); // the pace of the slow ones
            let all = metric(&node, "duramen_connections_accepted_total")
                > (HALF_FRAMES + 2 * SLOW) as u64;
            (all && metric(&node, "duramen_connections") <= 3).then_some(())
        });
        drop(ends_good);
        let served = good.join().unwrap();
        println!("hostile_peers: {before} KiB before, {most} at most, {served} good requests");
        assert!(served > 20, "{served} requests of a good client");
        assert!(most < before + MEMORY_MAX_KIB, "{before} KiB before, {most} KiB at most");
        drop((halves, writers, readers));
    });
    assert!(!node.output().contains("panicked"), "{}", node.output());
}

/// A client that does as it should, again and again, and is served within its patience. Where the machine
/// held it up for so long that it was idle, it connects again.
fn serve_meanwhile(node: &Node, stop: &AtomicBool) -> usize {
    let mut wire = Wire::connect(node.port()).unwrap();
    let (mut served, mut heard) = (0, Instant::now());
    while !stop.load(Ordering::SeqCst) {
        match serve_once(&mut wire) {
            Ok(()) => served += 2,
            Err(_) if heard.elapsed() >= IDLE => wire = Wire::connect(node.port()).unwrap(),
            Err(error) => panic!("after {served} requests: {error}"),
        }
        heard = Instant::now();
        thread::sleep(Duration::from_millis(20)); // its own pace
    }
    served
}

fn serve_once(wire: &mut Wire) -> io::Result<()> {
    produce(wire, 1000)?;
    let answer = wire.ask(FETCH, &fetch(100_000))?;
    assert_eq!(answer.responses[0].partitions[0].error_code, 0);
    Ok(())
}

fn connect(port: u16) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()
}

fn half_frame(port: u16) -> TcpStream {
    let mut stream = connect(port);
    let sent = [&ANNOUNCED.to_be_bytes()[..], &[0; 10_000]].concat();
    // On a machine that is held up here it is closed already.
    let _ = stream.write_all(&sent);
    stream
}

/// Asks for more than the kernel buffers, in two requests.
fn reader(port: u16) -> TcpStream {
    let mut stream = connect(port);
    let _ = stream.write_all(&fetch_frame().repeat(2));
    stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    stream
}

fn fetch_frame() -> Vec<u8> {
    let frame = frame::request(FETCH, 0, Some("slow".into()), &fetch(i32::MAX)).unwrap();
    frame.into_bytes().to_vec()
}

fn fetch(max_bytes: i32) -> FetchRequest {
    let wanted = FetchPartition { partition_max_bytes: max_bytes, ..FetchPartition::default() };
    let topic = FetchTopic { topic: "t".into(), partitions: vec![wanted], ..FetchTopic::default() };
    FetchRequest { min_bytes: 1, max_bytes, topics: vec![topic], ..FetchRequest::default() }
}

fn create(node: &Node) {
    let topic = CreatableTopic {
        name: "t".into(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    let answer = Wire::connect(node.port()).unwrap().ask(7, &request).unwrap();
    assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
}

fn produce(wire: &mut Wire, bytes: usize) -> io::Result<()> {
    assert_eq!(wire.produce("t", 0, &vec![7; bytes])?, ErrorCode::None);
    Ok(())
}

/// Lets those that run beside the test end, also when it fails.
pub struct Ends<'a>(pub &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub fn metric(node: &Node, name: &str) -> u64 {
    let http = node.http().unwrap();
    let text = eventually("metrics are served", PATIENCE, || http_get(&http, "/metrics").ok());
    let value = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
    text.lines().find_map(value).unwrap()
}

pub fn anonymous_kib(node: &Node) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
