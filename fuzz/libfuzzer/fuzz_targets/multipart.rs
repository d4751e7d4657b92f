//! `m3_fuzz::multipart` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| m3_fuzz::multipart::run(data));
