//! The series of one namespace on one core, found by following the previous series.
//!
//! A sender repeats its series in the same order. So each series remembers its successor, and the
//! next record's label bytes are compared with those of the guess. A hit walks no labels, computes
//! no hash and does no lookup. After a miss the bytes are hashed and looked up in the table. They
//! are parsed only if they are not there either.
//!
//! Always holds: only equal canonical bytes identify a series. A hash merely selects what to
//! compare with.

use crate::arena::{LabelArena, Place};
use crate::series::{Cold, Hot, NO_SUCCESSOR};
use foldhash::quality::RandomState;
use hashbrown::HashTable;
use m3_metric::{SeriesOrdinal, ShardId, ValueKind};
use std::hash::BuildHasher;

/// Hot entries in one piece of memory (4 MiB). Pieces never move.
const PIECE: usize = 1 << 16;

/// All series of one namespace on one core.
#[derive(Default)]
pub struct SeriesTable {
    hot: Vec<Vec<Hot>>,
    cold: Vec<Vec<Cold>>,
    labels: LabelArena,
    by_hash: HashTable<(u32, u32)>,
    seed: RandomState,
    count: u32,
}

/// How the series of records were found. The speed of ingest rests on the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FindStats {
    /// By following the previous series.
    pub followed: u64,
    /// By hash and lookup.
    pub looked_up: u64,
    /// By parsing, because the bytes as sent were unknown.
    pub parsed: u64,
}

impl SeriesTable {
    /// The number of series.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The canonical label bytes of `series`.
    #[inline]
    #[must_use]
    pub fn labels(&self, series: u32) -> &[u8] {
        let hot = self.hot(series);
        self.labels.block(Place(hot.label_place), hot.label_len)
    }

    /// The hot state of `series`.
    #[inline]
    #[must_use]
    pub fn hot(&self, series: u32) -> &Hot {
        &self.hot[series as usize / PIECE][series as usize % PIECE]
    }

    /// The cold state of `series`.
    #[must_use]
    pub fn cold(&self, series: u32) -> &Cold {
        &self.cold[series as usize / PIECE][series as usize % PIECE]
    }

    /// Hot and cold state of `series`, mutable.
    #[inline]
    pub fn entry(&mut self, series: u32) -> (&mut Hot, &mut Cold) {
        let (piece, at) = (series as usize / PIECE, series as usize % PIECE);
        (&mut self.hot[piece][at], &mut self.cold[piece][at])
    }

    /// The successor of `previous`, if its labels are exactly `bytes`.
    #[inline]
    #[must_use]
    pub fn follow(&self, previous: u32, bytes: &[u8]) -> Option<u32> {
        if previous == NO_SUCCESSOR {
            return None;
        }
        let next = self.hot(previous).next;
        if next == NO_SUCCESSOR {
            return None;
        }
        let guess = self.hot(next);
        let hit = guess.label_len as usize == bytes.len()
            && self.labels.block(Place(guess.label_place), guess.label_len) == bytes;
        hit.then_some(next)
    }

    /// Remembers that `next` came after `previous`.
    #[inline]
    pub fn remember(&mut self, previous: u32, next: u32) {
        if previous != NO_SUCCESSOR {
            self.entry(previous).0.next = next;
        }
    }

    fn hash(&self, bytes: &[u8]) -> u32 {
        (self.seed.hash_one(bytes) >> 32) as u32
    }

    /// The series whose canonical labels are `bytes`.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<u32> {
        let hash = self.hash(bytes);
        let same = |entry: &(u32, u32)| entry.0 == hash && self.labels(entry.1) == bytes;
        self.by_hash.find(spread(hash), same).map(|entry| entry.1)
    }

    /// Adds a series, which must not be in the table.
    ///
    /// # Panics
    /// If it holds 2^32 - 1 series; a core runs out of memory long before.
    pub fn insert(&mut self, canonical: &[u8], shard: ShardId, kind: ValueKind) -> SeriesOrdinal {
        debug_assert!(self.find(canonical).is_none());
        let ordinal = self.count;
        assert!(ordinal != NO_SUCCESSOR, "series are counted in u32");
        let place = self.labels.push(canonical);
        let len = u32::try_from(canonical.len()).expect("label blocks are bounded");
        if (ordinal as usize).is_multiple_of(PIECE) {
            let first = if ordinal == 0 { 0 } else { PIECE };
            self.hot.push(Vec::with_capacity(first));
            self.cold.push(Vec::with_capacity(first));
        }
        let piece = ordinal as usize / PIECE;
        self.hot[piece].push(Hot::new(place.0, len));
        self.cold[piece].push(Cold::new(shard, kind));
        let hash = self.hash(canonical);
        self.by_hash.insert_unique(spread(hash), (hash, ordinal), |entry| spread(entry.0));
        self.count += 1;
        SeriesOrdinal(ordinal)
    }

    /// Bytes of memory of entries, labels and the hash table; streams are counted separately.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let entries: usize =
            self.hot.iter().map(|p| p.capacity() * size_of::<Hot>()).sum::<usize>()
                + self.cold.iter().map(|p| p.capacity() * size_of::<Cold>()).sum::<usize>();
        entries as u64 + self.labels.memory_bytes() + self.by_hash.allocation_size() as u64
    }
}

/// Spreads the 32 stored bits of a hash, so that both its index and its tag vary.
#[inline]
const fn spread(hash: u32) -> u64 {
    (hash as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
