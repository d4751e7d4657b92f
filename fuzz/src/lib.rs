//! Fuzz targets for everything that reads foreign bytes.
//!
//! A target is a module with `run(data)`. It reads `data` as untrusted input and asserts what must
//! hold for all bytes: the result does not depend on how they were cut, two ways to read them
//! agree, what was read can be written and read again, limits are kept. A panic is a finding.
//! `fuzz/libfuzzer` runs the targets under libFuzzer; `tests/it` runs them on the corpus and on
//! mutations of it, with the stable compiler.
//!
//! Always holds: a target depends on `data` alone: no clock, no random numbers, no state between
//! calls.

pub mod admin;
pub mod api;
pub mod chunked;
pub mod commitlog;
pub mod cut;
pub mod http_head;
pub mod json_write;
pub mod multipart;
pub mod node;
pub mod promql;
pub mod promql_eval;
pub mod regex;
pub mod remote_read;
pub mod remote_write;
pub mod yaml_config;

/// A target by name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets. Each has a folder of its name in `corpus`, and a file in `libfuzzer/fuzz_targets`.
pub const TARGETS: &[Target] = &[
    ("admin", admin::run),
    ("api", api::run),
    ("chunked", chunked::run),
    ("commitlog", commitlog::run),
    ("http_head", http_head::run),
    ("json_write", json_write::run),
    ("multipart", multipart::run),
    ("node", node::run),
    ("promql", promql::run),
    ("promql_eval", promql_eval::run),
    ("regex", regex::run),
    ("remote_read", remote_read::run),
    ("remote_write", remote_write::run),
    ("yaml_config", yaml_config::run),
];
