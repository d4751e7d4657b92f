//! Whole queries: text in, answer out, over a store in memory that is split into cores.

#![allow(clippy::unwrap_used, reason = "a test stops at what it does not expect")]
#![allow(clippy::print_stdout, reason = "pass counts are for people")]

mod answers;
mod extremes;
mod renamed;
mod script;
mod scripts;
mod store;

use std::path::PathBuf;

/// The folder of shared test data, if it is there.
fn shared() -> Option<PathBuf> {
    let given = std::env::var_os("M3RING_SHARED").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    [given, Some(beside)].into_iter().flatten().find(|path| path.is_dir())
}
