#![no_main]

#[allow(dead_code, reason = "the file has other targets too")]
#[path = "../src/records.rs"]
mod records;

libfuzzer_sys::fuzz_target!(|data: &[u8]| records::lz4(data));
