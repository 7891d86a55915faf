//! `duramen consume`.

pub mod fields;
pub mod format;
mod format_parse;
pub mod number;
pub mod offsets;
