//! `m3_fuzz::commitlog` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| m3_fuzz::commitlog::run(data));
