//! `duramen top` in a terminal: it draws, takes keys, and leaves the terminal as it was.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::process::child::Running;
use super::process::eventually;
use super::{broker, with_http};

const PATIENCE: Duration = Duration::from_secs(60);
const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// `top` in a terminal of its own.
struct Live {
    child: Running,
    keys: File,
    terminal: OwnedFd,
    drawn: Arc<Mutex<Vec<u8>>>,
}

impl Live {
    fn start(kafka: &str, http: &str) -> Self {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&near).unwrap();
        unlockpt(&near).unwrap();
        let name = ptsname(&near, Vec::new()).unwrap();
        let open =
            || rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let terminal = open();
        let size = Winsize { ws_row: 12, ws_col: 70, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).unwrap();
        let child = Running::start(
            Command::new(env!("CARGO_BIN_EXE_duramen"))
                .args(["top", "--interval", "100ms", "--brokers", kafka, "--http", http])
                .env_remove("DURAMEN_FORMAT")
                .stdin(Stdio::from(open()))
                .stdout(Stdio::from(open())),
        );
        let keys = File::from(near);
        let drawn = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (keys.try_clone().unwrap(), Arc::clone(&drawn));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends with an error once the terminal is closed on all sides.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                to.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { child, keys, terminal, drawn }
    }

    fn drawn(&self) -> String {
        String::from_utf8_lossy(&self.drawn.lock().unwrap()).into_owned()
    }

    fn shows(&self, reason: &str, is: impl Fn(&str) -> bool) {
        eventually(reason, PATIENCE, || is(&self.drawn()).then_some(()));
    }

    fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Waits for the end; the terminal must be as it was.
    fn ends(mut self) {
        let status = eventually("top ends", PATIENCE, || self.child.try_wait().unwrap());
        assert!(status.success(), "{status:?}");
        assert!(!self.is_raw(), "keys are echoed again");
        self.shows("the first screen is back", |drawn| drawn.ends_with(LEAVE));
    }
}

async fn start() -> (broker::Node, Live) {
    let (node, kafka, http) = with_http(&[]).await;
    let client = node.connect().await;
    client.create("a-first", 1).await;
    client.create("z-big", 1).await;
    client.send("z-big", 0, &broker::Batch::noise(5000)).await;
    let live = tokio::task::spawn_blocking(move || Live::start(&kafka, &http)).await.unwrap();
    (node, live)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_draws_sorts_and_ends_at_q() {
    let (_node, mut live) = start().await;
    let look = move || {
        live.shows("it draws", |drawn| drawn.contains(ENTER) && drawn.contains("z-big"));
        assert!(live.is_raw());
        let last_frame = |drawn: &str| {
            drawn.rsplit("\x1b[H").find(|it| it.contains("\x1b[J")).unwrap_or("").to_owned()
        };
        let first = |drawn: &str, topic: &str, other: &str| {
            let frame = last_frame(drawn);
            frame.find(topic).zip(frame.find(other)).is_some_and(|(one, two)| one < two)
        };
        live.keys.write_all(b"s").unwrap();
        live.shows("sorted by size", |drawn| first(drawn, "z-big", "a-first"));
        live.keys.write_all(b"n").unwrap();
        live.shows("sorted by name", |drawn| first(drawn, "a-first", "z-big"));
        for line in last_frame(&live.drawn()).split('\n') {
            let plain = line.replace("\x1b[K", "").replace("\x1b[J", "").replace('\r', "");
            assert!(plain.chars().count() <= 70, "cut to the window: {plain}");
        }
        live.keys.write_all(b"q").unwrap();
        live.ends();
    };
    tokio::task::spawn_blocking(look).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_leaves_the_terminal_as_it_was_when_it_is_interrupted() {
    for signal in ["INT", "TERM"] {
        let (_node, live) = start().await;
        let look = move || {
            live.shows("it draws", |drawn| drawn.contains("z-big"));
            assert!(live.is_raw());
            let mut kill = Command::new("kill");
            let asked = kill.arg(format!("-{signal}")).arg(live.child.id().to_string()).status();
            assert!(asked.unwrap().success());
            live.ends();
        };
        tokio::task::spawn_blocking(look).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_away_is_told_and_the_view_stays() {
    let (mut node, live) = start().await;
    let drawing = move || {
        live.shows("it draws", |drawn| drawn.contains("z-big"));
        live
    };
    let mut live = tokio::task::spawn_blocking(drawing).await.unwrap();
    node.stop().await;
    let look = move || {
        live.shows("it says that nobody answers", |drawn| drawn.contains("no answer: "));
        live.keys.write_all(b"q").unwrap();
        live.ends();
    };
    tokio::task::spawn_blocking(look).await.unwrap();
}
