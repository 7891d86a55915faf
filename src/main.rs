//! The `duramen` binary.

fn main() {}
