//! `m3_fuzz::yaml_config` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| m3_fuzz::yaml_config::run(data));
