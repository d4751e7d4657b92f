//! `m3_fuzz::http_head` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| m3_fuzz::http_head::run(data));
