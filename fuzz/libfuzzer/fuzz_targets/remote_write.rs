//! `m3_fuzz::remote_write` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| m3_fuzz::remote_write::run(data));
