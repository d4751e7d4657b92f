//! Which core owns a record, guessed cheaply by the core that decoded it.
//!
//! As in the owner's table, series are followed: every entry remembers its successor, and the next
//! record's fingerprint (its length and a few sampled words) is compared with the successor's. A
//! fingerprint can lie; the owner verifies the bytes, and what is not its own comes back with the
//! true owner, which is then noted. Only a miss hashes the whole bytes, only an unknown hash
//! parses.

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use m3_metric::batch::labels_in;
use m3_metric::{CoreId, Labels, Record};
use m3_shard::ShardMap;
use std::hash::BuildHasher;

/// Entries after which the router forgets everything and learns anew: 24 bytes each and as much
/// again for the table.
const ENTRIES_MAX: usize = 4 << 20;
const NONE: u32 = u32::MAX;
/// Words of eight bytes that a fingerprint looks at.
const SAMPLED_WORDS: usize = 8;

struct Entry {
    fingerprint: u64,
    hash: u64,
    next: u32,
    owner: u16,
}

/// The owners that one core has learnt.
pub(super) struct Router {
    shards: ShardMap,
    entries: Vec<Entry>,
    by_hash: HashTable<u32>,
    seed: RandomState,
}

impl Router {
    /// A router that knows nothing.
    #[must_use]
    pub(super) fn new(shards: ShardMap) -> Self {
        Self {
            shards,
            entries: Vec::new(),
            by_hash: HashTable::new(),
            seed: RandomState::default(),
        }
    }

    /// The records of each core, in their order.
    pub(super) fn split(&mut self, buffer: &[u8], records: &[Record]) -> Vec<Vec<Record>> {
        let cores = usize::from(self.shards.core_count);
        let share = records.len() / cores + records.len() / 8 + 1;
        let mut parts: Vec<_> = (0..cores).map(|_| Vec::with_capacity(share)).collect();
        let mut previous = NONE;
        for record in records {
            let bytes = labels_in(buffer, record);
            previous = self.follow(previous, bytes);
            parts[usize::from(self.entries[previous as usize].owner)].push(*record);
        }
        parts
    }

    /// Notes the true owners of records that were sent to the wrong core.
    pub(super) fn correct(&mut self, buffer: &[u8], owners: &[(Record, CoreId)]) {
        for (record, owner) in owners {
            let bytes = labels_in(buffer, record);
            let hash = self.seed.hash_one(bytes);
            let at = self.entry(hash, bytes);
            self.entries[at as usize].owner = owner.0;
        }
    }

    fn follow(&mut self, previous: u32, bytes: &[u8]) -> u32 {
        let fingerprint = fingerprint(bytes);
        if previous != NONE {
            let next = self.entries[previous as usize].next;
            if next != NONE && self.entries[next as usize].fingerprint == fingerprint {
                return next;
            }
        }
        let hash = self.seed.hash_one(bytes);
        let at = self.entry(hash, bytes);
        if previous != NONE && (previous as usize) < self.entries.len() {
            self.entries[previous as usize].next = at;
        }
        at
    }

    fn entry(&mut self, hash: u64, bytes: &[u8]) -> u32 {
        let known = self.by_hash.find(hash, |at| self.entries[*at as usize].hash == hash);
        if let Some(at) = known {
            return *at;
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.clear();
            self.by_hash.clear();
        }
        let at = u32::try_from(self.entries.len()).expect("entries are bounded");
        let owner = self.owner(bytes);
        self.entries.push(Entry { fingerprint: fingerprint(bytes), hash, next: NONE, owner });
        let entries = &self.entries;
        self.by_hash.insert_unique(hash, at, |at| entries[*at as usize].hash);
        at
    }

    /// The owner by the rule; bytes that are no labels go to core 0, which refuses them.
    fn owner(&self, bytes: &[u8]) -> u16 {
        match Labels::parse(bytes) {
            Ok(labels) => self.shards.owner(self.shards.shard_of(labels.as_bytes())).0,
            Err(_) => 0,
        }
    }
}

/// The length and words spread over the bytes, mixed.
fn fingerprint(bytes: &[u8]) -> u64 {
    let mut mixed = bytes.len() as u64;
    let word_at = |at: usize| {
        let word: [u8; 8] = bytes[at..at + 8].try_into().expect("eight bytes");
        u64::from_le_bytes(word)
    };
    if bytes.len() < 8 {
        for byte in bytes {
            mixed = (mixed ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        return mixed;
    }
    let last = bytes.len() - 8;
    for i in 0..SAMPLED_WORDS {
        let word = word_at(last * i / (SAMPLED_WORDS - 1));
        mixed = (mixed ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    mixed
}

#[cfg(test)]
mod tests;
