//! Decides whether a body is read by fingerprints or decoded at once.

use std::cell::Cell;

/// Decides whether reading bodies by fingerprints is worthwhile. It is not if the sender's series
/// are all new or its bodies are unusual, because then every body is read twice.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// Bodies that are decoded at once before the next attempt.
    left: Cell<u32>,
    /// How many there were after the last failure.
    last: Cell<u32>,
}

/// Most bodies between two attempts.
const BACKOFF_MAX: u32 = 16;

impl Backoff {
    pub(super) fn may_try(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left == 0
    }

    pub(super) fn failed(&self) {
        let next = (self.last.get() * 2).clamp(1, BACKOFF_MAX);
        self.last.set(next);
        self.left.set(next);
    }

    pub(super) fn succeeded(&self) {
        self.last.set(0);
    }
}
