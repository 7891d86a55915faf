//! duramen

pub mod storage;
