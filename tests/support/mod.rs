//! What tests of the real binary share: a node as a process, and waiting without sleeping blindly.
#![allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::new_without_default,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "test support: real files, real clock, and each test uses a part of it"
)]

pub mod chance;
pub mod child;
pub mod command;
pub mod node;
pub mod reference;
pub mod wire;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Asks until the answer is there; panics with `reason` after `deadline`.
pub fn eventually<T>(reason: &str, deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < deadline, "not within {deadline:?}: {reason}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The body that the HTTP listener at `address` answers to a GET of `path`.
pub fn http_get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
