#![no_main]

#[allow(dead_code, reason = "the file has other targets too")]
#[path = "../src/group.rs"]
mod group;

libfuzzer_sys::fuzz_target!(|data: &[u8]| group::group(data));
