//! The index of one core and namespace: finds the series that match a set of matchers. In memory.
//!
//! A dictionary numbers every distinct pair of label name and value. Each pair has a list of the
//! ordinals of its series, and each name has a list of the series that have it. A search turns
//! every matcher into lists. It intersects the positive ones, the most selective first, and
//! subtracts the negative ones at the end.
//!
//! Suggested reading order: [`Index`], `dictionary`, `list`, [`Matchers`], `pattern`, `dialect`,
//! `search`, `listing`.
//!
//! Always holds: ordinals are dense, so "all series" needs no list. They arrive in ascending order,
//! so lists only grow at their end. Nothing here does I/O or is shared between threads. What is
//! sorted lazily is behind a `RefCell`.

mod arena;
mod dialect;
mod dictionary;
mod error;
mod list;
mod listing;
mod matchers;
mod order;
mod pattern;
mod postings;
mod search;
mod slab;

pub use error::IndexError;
pub use matchers::{MATCHERS_MAX, Matchers};
pub use pattern::{
    LITERAL_SET_BYTES_MAX, LITERAL_SET_MAX, PATTERN_BYTES_MAX, PATTERN_COMPILED_BYTES_MAX,
};
pub use postings::Postings;

use dictionary::Dictionary;
use list::Tails;
use m3_metric::SeriesOrdinal;

/// The index of one core and namespace.
#[derive(Default)]
pub struct Index {
    dictionary: Dictionary,
    tails: Tails,
    /// One more than the last ordinal.
    count: u32,
}

impl Index {
    /// An index without series.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a series. Ordinals come densely from 0, each once.
    ///
    /// # Panics
    /// If `ordinal` is not the number of series so far, or `canonical_labels` is not a canonical
    /// block (see [`m3_metric::labels`]).
    pub fn insert(&mut self, ordinal: SeriesOrdinal, canonical_labels: &[u8]) {
        assert_eq!(ordinal.0, self.count, "a series' ordinal is the number of series before it");
        self.count += 1;
        self.dictionary.insert(&mut self.tails, ordinal.0, canonical_labels);
    }

    /// The number of series.
    #[must_use]
    pub fn series_count(&self) -> u64 {
        u64::from(self.count)
    }

    /// Bytes of memory of the index: exact for texts and tables, estimated for bitmaps.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        (self.dictionary.memory_bytes() + self.tails.memory_bytes()) as u64
    }
}

#[cfg(test)]
mod tests;
