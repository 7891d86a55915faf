#![no_main]

#[allow(dead_code, reason = "the file has other targets too")]
#[path = "../src/wire.rs"]
mod wire;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire::request(data));
