//! `m3_fuzz::promql_eval` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| m3_fuzz::promql_eval::run(data));
