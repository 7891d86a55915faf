#![no_main]

#[allow(dead_code, reason = "the file has other targets too")]
#[path = "../src/coordinator.rs"]
mod coordinator;

libfuzzer_sys::fuzz_target!(|data: &[u8]| coordinator::coordinator(data));
