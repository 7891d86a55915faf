//! wire

pub mod records;
