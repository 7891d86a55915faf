//! The Kafka wire protocol as Duramen speaks it.

pub mod api;
mod codec;
pub mod error;
pub mod frame;
pub mod header;
pub mod ids;
pub mod messages;
pub mod metadata;
pub mod primitives;
pub mod records;
pub mod schema;
pub mod text;
