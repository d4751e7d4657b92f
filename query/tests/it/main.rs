//! Whole queries: text in, answer out, over a store in memory that is split into cores.

#![allow(clippy::unwrap_used, reason = "a test stops at what it does not expect")]
#![allow(clippy::print_stdout, reason = "pass counts are for people")]

mod answers;
mod chains;
mod extremes;
mod renamed;
mod script;
mod scripts;
mod store;
