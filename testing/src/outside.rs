//! What tests need from outside the repository: files that lie beside the checkout, and programs.
//!
//! On a developer's machine they may be missing: the test says `SKIPPED` and returns. They are
//! required where `CI` is `true` or `M3RING_REQUIRE_PEERS` is `1`, which `.ci/run` sets. There the
//! test fails and names what is missing: a check that silently did not run would be taken for one
//! that passed.

use std::path::{Path, PathBuf};
use std::process::Command;

#[cfg(test)]
mod tests;

/// The file or directory `name` of the shared test data: in `M3RING_SHARED`, or in `shared` beside
/// the checkout.
///
/// # Panics
///
/// If it is required and missing.
#[track_caller]
pub fn shared(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let root = std::env::var_os("M3RING_SHARED").map_or_else(beside, PathBuf::from);
    let path = root.join(name);
    let is_there = path.exists();
    let missing = || format!("{} is not there (M3RING_SHARED says where else)", path.display());
    have(is_there.then(|| path.clone()), missing, are_required())
}

/// The text of the shared file `name`, which zstd has compressed.
///
/// # Panics
///
/// If the file or the program `zstd` is required and missing, or if the file is damaged.
#[track_caller]
pub fn shared_text(name: &str) -> Option<String> {
    let (path, zstd) = (shared(name)?, peer("zstd")?);
    let output = Command::new(zstd).arg("-dc").arg(&path).output();
    let output = output.unwrap_or_else(|error| panic!("zstd {}: {error}", path.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "zstd {}: {said}", path.display());
    Some(String::from_utf8(output.stdout).expect("shared files are UTF-8"))
}

/// A real program that a test needs, found on PATH.
///
/// # Panics
///
/// If it is required and missing.
#[track_caller]
pub fn peer(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    have(found, || format!("the program {name} is not installed"), are_required())
}

fn are_required() -> bool {
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    is("CI", "true") || is("M3RING_REQUIRE_PEERS", "1")
}

#[track_caller]
fn have<T>(found: Option<T>, missing: impl FnOnce() -> String, is_required: bool) -> Option<T> {
    if found.is_none() {
        let missing = missing();
        assert!(!is_required, "{missing}, and CI=true or M3RING_REQUIRE_PEERS=1 requires it");
        println!("SKIPPED: {missing}");
    }
    found
}
