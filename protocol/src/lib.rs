//! wire
pub mod metadata;
