//! The composition root: what is started in which order, in which order a metadata change is
//! applied, and how everything stops. Nothing else knows all the floors.
//!
//! Start: log directories → metadata log → loader → controller → this broker's registration → listeners.
//! Apply: partitions and their settings, then the image that handlers see.
//! Stop: the reverse, after everything in flight has been answered.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
