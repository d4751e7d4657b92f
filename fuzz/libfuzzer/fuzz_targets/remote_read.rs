//! `m3_fuzz::remote_read` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| m3_fuzz::remote_read::run(data));
