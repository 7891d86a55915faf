#![no_main]

#[allow(dead_code, reason = "the file has other targets too")]
#[path = "../src/storage.rs"]
mod storage;

libfuzzer_sys::fuzz_target!(|data: &[u8]| storage::index(data));
