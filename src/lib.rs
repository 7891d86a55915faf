//! duramen

pub mod cli;
