//! Which core owns a record, guessed cheaply by the core that decoded it.
//!
//! As in the owner's table, series are followed: every entry remembers its successor, and the next
//! record's glance (its length and two words of it) is compared with the successor's. A glance can
//! lie; the owner verifies the bytes, and what is not its own comes back with the true owner, which
//! is then noted, and for some requests more words are looked at, so that the chain is mended. Only
//! a miss hashes the whole bytes, only an unknown hash parses.

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use m3_metric::batch::labels_in;
use m3_metric::{CoreId, Labels, Record};
use m3_shard::ShardMap;
use std::hash::BuildHasher;
use std::ops::RangeInclusive;

/// Entries after which the router forgets everything and learns anew: 24 bytes each and as much
/// again for the table.
const ENTRIES_MAX: usize = 4 << 20;
const NONE: u32 = u32::MAX;
/// Requests that are looked at closely after a record has come back.
const CAREFUL_REQUESTS: u32 = 64;

struct Entry {
    glance: u32,
    look: u32,
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
    /// Requests from now on that are looked at closely.
    careful: u32,
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
            careful: 0,
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
        self.careful = self.careful.saturating_sub(1);
        parts
    }

    /// Notes the true owners of records that were sent to the wrong core.
    pub(super) fn correct(&mut self, buffer: &[u8], owners: &[(Record, CoreId)]) {
        self.careful = CAREFUL_REQUESTS;
        for (record, owner) in owners {
            let bytes = labels_in(buffer, record);
            let hash = self.seed.hash_one(bytes);
            let at = self.entry(hash, bytes);
            self.entries[at as usize].owner = owner.0;
        }
    }

    fn follow(&mut self, previous: u32, bytes: &[u8]) -> u32 {
        if let Some(entry) = self.entries.get(previous as usize)
            && let Some(guess) = self.entries.get(entry.next as usize)
            && guess.glance == glance(bytes)
            && (self.careful == 0 || guess.look == look(bytes))
        {
            return entry.next;
        }
        let hash = self.seed.hash_one(bytes);
        let at = self.entry(hash, bytes);
        if let Some(entry) = self.entries.get_mut(previous as usize) {
            entry.next = at;
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
        let (glance, look) = (glance(bytes), look(bytes));
        self.entries.push(Entry { glance, look, hash, next: NONE, owner });
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

/// Two words within the bytes: each may be a line of memory that is in no cache.
#[inline]
fn glance(bytes: &[u8]) -> u32 {
    sample(bytes, 1..=2, 3)
}

/// The first word, the last and seven between, where a glance has lied.
#[inline]
fn look(bytes: &[u8]) -> u32 {
    sample(bytes, 0..=8, 8)
}

/// The length and the words of eight bytes at `places` of `steps` even steps, mixed.
#[inline]
fn sample(bytes: &[u8], places: RangeInclusive<usize>, steps: usize) -> u32 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |mixed: u64, word: u64| (mixed ^ word).wrapping_mul(MIX).rotate_left(29);
    let len = bytes.len() as u64;
    let mixed = if bytes.len() < 8 {
        bytes.iter().fold(len, |mixed, byte| mix(mixed, u64::from(*byte)))
    } else {
        let last = bytes.len() - 8;
        places.fold(len, |mixed, place| {
            let at = last * place / steps;
            let word: [u8; 8] = bytes[at..at + 8].try_into().expect("eight bytes");
            mix(mixed, u64::from_le_bytes(word))
        })
    };
    (mixed.wrapping_mul(MIX) >> 32) as u32
}

#[cfg(test)]
mod tests;
