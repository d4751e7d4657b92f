//! Every target on every file of its corpus, and on mutations of them.
//!
//! `SEED` gives the mutations (it is printed), `M3RING_FUZZ_MUTATIONS` how many there are of each
//! target.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests own files and the clock"
)]

mod corpus;
mod mutator;
