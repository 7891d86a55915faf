//! What a client sees: listeners, connections, and one handler an API.
//!
//! A frame's way: `connection` (bounded frames, answers in order) → `dispatch` (header, version,
//! decode) → `api/<name>` (the handler) → `replication` or `controller` below, and back the same way.

mod api;
mod blocking;
mod budget;
mod cold_reads;
mod connection;
mod context;
mod control;
mod dispatch;
mod endpoints;
mod fetch_session;
mod groups;
pub(crate) mod in_process;
mod inbox;
mod line;
pub(crate) mod listener;
mod metered;
mod metrics;
mod operations;
mod producer_ids;
mod reply;
mod software;
mod vigil;

pub(crate) use context::{Handles, Services};
pub(crate) use metrics::registry;
