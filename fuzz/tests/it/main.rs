//! Every target on every file of its corpus, and on mutations of them.
//!
//! `SEED` determines the mutations (it is printed), `M3RING_FUZZ_MUTATIONS` their number per
//! target.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests own files and the clock"
)]

mod corpus;
mod mutator;
