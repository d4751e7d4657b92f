//! What everything that reads foreign bytes must keep to, as functions of those bytes.
//!
//! A target is a module with `run(data)`: it reads `data` as a stranger's and asserts what must
//! hold whatever they are: that the outcome does not depend on how they were cut, that two ways to
//! read the same agree, that what was read can be written and read again, that bounds are kept. A
//! panic is a finding. `fuzz/libfuzzer` puts each under libFuzzer; `tests/it` runs each on the
//! corpus and on mutations of it, with the stable compiler.
//!
//! Always holds: a target is a function of `data` alone: no clock, no random number, nothing kept
//! from one call to the next.

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

/// All targets; each has a corpus of its name and a file of its name in `libfuzzer/fuzz_targets`.
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
