//! What the tests of all crates share: random numbers with a seed, directories that are removed
//! again, and what lies outside the repository (shared files and installed programs).
//!
//! It depends on no other crate of ours, so that every crate's tests can use it. Outside tests only
//! `fuzz` and `benches` may.
//!
//! Two kinds of the same things are elsewhere, because they are something else. The simulator has a
//! generator of its own (`io/src/sim/rng.rs`): a world's only source of chance, whose numbers are
//! part of what a seed means. And there are three HTTP clients: that of the integration tests
//! (`tests/it/harness.rs`) blocks on a real socket and reports what failed, that of the simulator
//! (`sim/src/client.rs`) runs on simulated sockets, and that of the load generator
//! (`perf/src/client.rs`) measures, so it sends prepared requests with as little work as it can.

#![allow(clippy::print_stdout, reason = "seeds and skipped tests are for people")]

pub mod outside;
mod random;
mod temp_dir;

pub use outside::{peer, shared};
pub use random::Random;
pub use temp_dir::TempDir;

/// A number from the environment, or `default`.
///
/// # Panics
///
/// If the variable is set to something else.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text:?}: a number is wanted"))
    })
}
