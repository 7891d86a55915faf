//! What a client sees: listeners, connections, and one handler an API.
//!
//! A frame's way: `connection` (bounded frames, answers in order) → `dispatch` (header, version,
//! decode) → `api/<name>` (the handler) → `replication` or `controller` below, and back the same way.

mod budget;
mod connection;
mod fetch_session;
mod inbox;
mod line;
mod reply;
mod vigil;
