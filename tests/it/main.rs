//! The integration tests: a real node, used through its API as its users do.
//!
//! Every test starts its own node on free ports and in its own directory, so all run at once.
//! Environment variables control them: `SEED` (random tests), `M3RING_CRASH_CYCLES` and
//! `M3RING_POWER_CUTS` (how often a node or its disk is killed), `M3RING_E2E_SECONDS` (how long a
//! real Prometheus writes), `M3RING_HOSTILE_SCALE` (the size of attacks), `M3RING_BIN` (another
//! build of the node), `M3RING_REQUIRE_PEERS=1` (a missing program or shared file is a failure,
//! not a skip), `M3RING_KEEP=1` (keep data directories).
#![allow(
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "tests stand outside the node: they own threads, files and the clock, and nobody links them"
)]

mod answers;
mod crash;
mod door;
mod edges;
mod harness;
mod hostile;
mod ledger;
mod limits;
mod powercut;
mod prometheus;
mod queries;
mod readme;
mod recorded;
mod similar;
mod start;
mod stop;
mod tidy;
mod writes;
