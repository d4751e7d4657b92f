//! `m3_fuzz::node` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| m3_fuzz::node::run(data));
