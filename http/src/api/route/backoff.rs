//! When a body is read by fingerprints and when it is decoded at once.

use std::cell::Cell;

/// Whether it is worth while to read bodies by fingerprints: not for a sender whose series are all
/// new or whose bodies are unusual, for then everything is read twice.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// Bodies that are decoded at once before the next attempt.
    left: Cell<u32>,
    /// How many there were the last time.
    last: Cell<u32>,
}

/// Bodies between two attempts at most.
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
