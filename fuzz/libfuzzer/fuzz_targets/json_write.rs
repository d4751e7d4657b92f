//! `m3_fuzz::json_write` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| m3_fuzz::json_write::run(data));
