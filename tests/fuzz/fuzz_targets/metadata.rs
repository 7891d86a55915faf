#![no_main]

#[allow(dead_code, reason = "the file has other targets too")]
#[path = "../src/metadata.rs"]
mod metadata;

libfuzzer_sys::fuzz_target!(|data: &[u8]| metadata::metadata(data));
