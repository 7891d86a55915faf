//! The command line, floor 9.

pub mod consume;
pub mod encode;
pub mod record_json;
pub mod time;
