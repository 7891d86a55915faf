//! What stands between a client and a broker: a connection that is cut in the middle of a frame, stands
//! still, or takes its time. It is put in where the client makes its connections, so that it also holds
//! for addresses that the broker names.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use duramen_client::transport::{Connector, Target};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::chance::Chance;

/// Bytes passed on at a time, so that a cut or a pause falls into frames.
const PIECE: usize = 1000;

/// What befalls connections.
#[derive(Debug, Default, Clone)]
pub struct Faults {
    /// Each way is cut after so many bytes.
    pub cut_after: Option<Range<u64>>,
    /// Everything stands still once so many bytes have passed over all connections.
    pub still_after: Option<u64>,
    /// Each piece waits so many milliseconds.
    pub delay_ms: Option<Range<u64>>,
}

/// See the top of the file; clones are the same proxy.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
}

struct Shared {
    faults: Faults,
    chance: Mutex<Chance>,
    still: watch::Sender<bool>,
    passed: AtomicU64,
    connections: AtomicU64,
    cuts: AtomicU64,
}

impl Proxy {
    pub fn new(faults: Faults) -> Self {
        let chance = Chance::new();
        println!("proxy: seed {}", chance.seed);
        let shared = Shared {
            faults,
            chance: Mutex::new(chance),
            still: watch::Sender::new(false),
            passed: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// For the client's options.
    pub fn connector(&self) -> Connector {
        let proxy = self.clone();
        Connector::by(move |target| proxy.clone().connect(target))
    }

    /// Whether everything is held back.
    pub fn is_still(&self) -> bool {
        *self.shared.still.borrow()
    }

    /// Lets go again what is held back.
    pub fn go_on(&self) {
        self.shared.still.send_replace(false);
    }

    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }

    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    async fn connect(self, target: Target) -> io::Result<DuplexStream> {
        let broker = target.tcp().await?;
        let (client, ours) = duplex(64 * 1024);
        let (from_client, to_client) = split(ours);
        let (from_broker, to_broker) = broker.into_split();
        let over = CancellationToken::new();
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(self.clone().pump(from_client, to_broker, over.clone()));
        tokio::spawn(self.clone().pump(from_broker, to_client, over));
        Ok(client)
    }

    /// Passes bytes on until one side ends or the way is cut, which cuts the other way too.
    async fn pump(
        self,
        from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin,
        over: CancellationToken,
    ) {
        let guard = over.clone().drop_guard();
        let _ = over.run_until_cancelled(self.pass(from, to)).await;
        drop(guard);
    }

    async fn pass(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut left = self.shared.faults.cut_after.clone().map(|range| self.within(range));
        let mut piece = [0; PIECE];
        loop {
            let read = from.read(&mut piece).await?;
            if read == 0 {
                return to.shutdown().await;
            }
            let _ = self.shared.still.subscribe().wait_for(|still| !still).await;
            if let Some(delay) = self.shared.faults.delay_ms.clone() {
                tokio::time::sleep(Duration::from_millis(self.within(delay))).await;
            }
            let passed = match left.as_mut() {
                Some(left) => usize::try_from(*left).unwrap().min(read),
                None => read,
            };
            to.write_all(&piece[..passed]).await?;
            self.count(u64::try_from(passed).unwrap());
            if passed < read {
                self.shared.cuts.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            left = left.map(|left| left.saturating_sub(u64::try_from(passed).unwrap()));
        }
    }

    fn count(&self, passed: u64) {
        let before = self.shared.passed.fetch_add(passed, Ordering::Relaxed);
        let limit = self.shared.faults.still_after;
        if limit.is_some_and(|limit| (before..before + passed).contains(&limit)) {
            self.shared.still.send_replace(true);
        }
    }

    fn within(&self, range: Range<u64>) -> u64 {
        let mut chance = self.shared.chance.lock().unwrap();
        range.start + chance.below(range.end - range.start)
    }
}
