//! Finds which core owns a record, and its series' ordinal there, on the core that decoded the
//! record.
//!
//! As in the owner's table, every entry remembers its successor: the next record belongs to it if
//! its bytes have the successor's length and fingerprint. Once the owner has reported the series'
//! ordinal, only ordinal and sample are sent to it, so the owner compares no bytes and reads
//! nothing of the request. Otherwise the fingerprint is looked up in a hash table, and if it is
//! unknown, the labels are parsed and hashed to find the owner's shard.
//!
//! The fingerprint is compared instead of the bytes because those exceed every cache: comparing
//! them with the stored ones was the largest cost of a second core (docs/decisions/0011).
//!
//! Always holds: an entry's ordinal was reported by its owner for a record with exactly these
//! bytes.

use hashbrown::HashTable;
use m3_metric::batch::labels_in;
use m3_metric::{CoreId, Fingerprint, FingerprintKey, Labels, Record, WriteBatch};
use m3_shard::{KnownRecord, SeriesSample, ShardMap};
use std::sync::Arc;

/// Entries at which the router forgets everything and starts over. An entry takes 32 bytes and some
/// more in the table, a twentieth of what a core holds for a series.
const ENTRIES_MAX: usize = 16 << 20;
const NONE: u32 = u32::MAX;

struct Entry {
    fingerprint: Fingerprint,
    labels_len: u32,
    next: u32,
    /// The series' ordinal, once its owner has reported it.
    series: u32,
    owner: u16,
}

const _: () = assert!(size_of::<Entry>() == 32, "a core runs through all of them every scrape");

impl Entry {
    #[inline(always)]
    fn is_of(&self, fingerprint: Fingerprint, len: usize) -> bool {
        self.fingerprint == fingerprint && self.labels_len as usize == len
    }
}

/// The records of one core.
#[derive(Debug, Default)]
pub(super) struct OwnerShare {
    /// Samples of series whose ordinals are known.
    pub known: Vec<SeriesSample>,
    /// The other records.
    pub records: Vec<Record>,
    /// The router's entry for each record.
    entries: Vec<u32>,
}

impl OwnerShare {
    /// Whether the part is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.records.is_empty()
    }
}

/// The owners of one namespace's series, as far as one core has learned them.
pub(super) struct Router {
    shards: ShardMap,
    key: Arc<FingerprintKey>,
    entries: Vec<Entry>,
    by_hash: HashTable<u32>,
}

impl Router {
    /// An empty router.
    #[must_use]
    pub(super) fn new(shards: ShardMap, key: Arc<FingerprintKey>) -> Self {
        Self { shards, key, entries: Vec::new(), by_hash: HashTable::new() }
    }

    /// Empty parts with room for `count` records in all.
    fn parts(&self, count: usize) -> Vec<OwnerShare> {
        let cores = usize::from(self.shards.core_count);
        let room = count / cores + count / 8 + 1;
        let part = || OwnerShare { known: Vec::with_capacity(room), ..OwnerShare::default() };
        std::iter::repeat_with(part).take(cores).collect()
    }

    /// The samples for each core, from a batch that has fingerprints and no label bytes; `None` if
    /// any of its series is unknown.
    pub(super) fn split_known(&mut self, batch: &WriteBatch) -> Option<Vec<OwnerShare>> {
        let mut parts = self.parts(batch.records.len());
        let mut previous = NONE;
        for (record, fingerprint) in batch.records.iter().zip(&batch.fingerprints) {
            let len = record.labels_len as usize;
            previous = self.follow(previous, *fingerprint, len)?;
            let entry = &self.entries[previous as usize];
            if entry.series == NONE {
                return None;
            }
            parts[usize::from(entry.owner)].known.push(sample_of(entry.series, record));
        }
        Some(parts)
    }

    /// The records for each core, in their order.
    pub(super) fn split(&mut self, buffer: &[u8], records: &[Record]) -> Vec<OwnerShare> {
        let mut parts = self.parts(records.len());
        let mut previous = NONE;
        for record in records {
            let bytes = labels_in(buffer, record);
            previous = self.follow_or_add(previous, bytes);
            match self.entries.get(previous as usize) {
                Some(Entry { series, owner, .. }) if *series != NONE => {
                    parts[usize::from(*owner)].known.push(sample_of(*series, record));
                }
                entry => {
                    let owner = entry.map_or_else(|| self.owner(bytes), |entry| Some(entry.owner));
                    // Core 0 refuses bytes that are not labels.
                    let owner = owner.unwrap_or(CoreId(0).0);
                    let part = &mut parts[usize::from(owner)];
                    part.records.push(*record);
                    part.entries.push(previous);
                }
            }
        }
        parts
    }

    /// Records the ordinals that an owner reported for the records of its part. Meanwhile entries
    /// may have been forgotten and replaced by others, so the bytes are compared once more.
    pub(super) fn learn(&mut self, buffer: &[u8], part: &OwnerShare, told: &[KnownRecord]) {
        for KnownRecord { position, series } in told {
            let at = *position as usize;
            let bytes = labels_in(buffer, &part.records[at]);
            let fingerprint = self.key.fingerprint(bytes);
            if let Some(entry) = self.entries.get_mut(part.entries[at] as usize)
                && fingerprint.is_some_and(|print| entry.is_of(print, bytes.len()))
            {
                entry.series = *series;
            }
        }
    }

    /// The entry of the record that follows the one of entry `previous`, if it is known.
    #[inline(always)]
    fn follow(&mut self, previous: u32, fingerprint: Fingerprint, len: usize) -> Option<u32> {
        let next = self.entries.get(previous as usize).map_or(NONE, |entry| entry.next);
        if let Some(guess) = self.entries.get(next as usize)
            && guess.is_of(fingerprint, len)
        {
            return Some(next);
        }
        let at = self.find(fingerprint, len)?;
        self.remember(previous, at);
        Some(at)
    }

    #[cold]
    fn find(&self, fingerprint: Fingerprint, len: usize) -> Option<u32> {
        let same = |at: &u32| self.entries[*at as usize].is_of(fingerprint, len);
        self.by_hash.find(fingerprint.hash(), same).copied()
    }

    fn remember(&mut self, previous: u32, next: u32) {
        if let Some(entry) = self.entries.get_mut(previous as usize) {
            entry.next = next;
        }
    }

    /// As [`Self::follow`], but adds an entry if there is none. `NONE` if the bytes are too long
    /// for a fingerprint or are not labels.
    #[inline(always)]
    fn follow_or_add(&mut self, previous: u32, bytes: &[u8]) -> u32 {
        let Some(fingerprint) = self.key.fingerprint(bytes) else { return NONE };
        if let Some(at) = self.follow(previous, fingerprint, bytes.len()) {
            return at;
        }
        let at = self.add(fingerprint, bytes);
        self.remember(previous, at);
        at
    }

    /// Adds an entry for these bytes; `NONE` if they are not labels.
    #[cold]
    fn add(&mut self, fingerprint: Fingerprint, bytes: &[u8]) -> u32 {
        let Some(owner) = self.owner(bytes) else { return NONE };
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.clear();
            self.by_hash.clear();
        }
        let at = u32::try_from(self.entries.len()).expect("entries are bounded");
        self.entries.push(Entry {
            fingerprint,
            labels_len: u32::try_from(bytes.len()).expect("a record's length is a u32"),
            next: NONE,
            series: NONE,
            owner,
        });
        let entries = &self.entries;
        let hash = |at: &u32| entries[*at as usize].fingerprint.hash();
        self.by_hash.insert_unique(fingerprint.hash(), at, hash);
        at
    }

    /// The owner of the labels `bytes` by their shard; `None` if they are not labels.
    fn owner(&self, bytes: &[u8]) -> Option<u16> {
        let labels = Labels::parse(bytes).ok()?;
        Some(self.shards.owner(self.shards.shard_of(labels.as_bytes())).0)
    }
}

const fn sample_of(series: u32, record: &Record) -> SeriesSample {
    SeriesSample { series, ts_ns: record.timestamp.0, bits: record.value_bits }
}

#[cfg(test)]
mod tests;
