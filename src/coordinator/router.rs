//! Which core owns a record, guessed cheaply by the core that decoded it.
//!
//! As in the owner's table, series are followed: every entry remembers its successor, and the next
//! record's glance (its length and two words of it) is compared with the successor's. A glance can
//! lie; the owner verifies the bytes, and what is not its own comes back with the true owner, which
//! is then noted, and the request's chain is mended by all of its bytes. Otherwise only a miss
//! hashes the bytes, only an unknown hash parses.

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use m3_metric::batch::labels_in;
use m3_metric::{CoreId, Labels, Record};
use m3_shard::ShardMap;
use std::hash::BuildHasher;

/// Entries after which the router forgets everything and learns anew: 28 bytes each and some
/// more for the table.
const ENTRIES_MAX: usize = 4 << 20;
const NONE: u32 = u32::MAX;

/// What a followed record needs, and no more: a core runs through all of them every scrape.
struct Entry {
    glance: u32,
    next: u32,
    owner: u16,
}

/// What only a miss needs.
struct Identity {
    hash: u64,
    look: u32,
}

/// The owners that one core has learnt.
pub(super) struct Router {
    shards: ShardMap,
    entries: Vec<Entry>,
    identities: Vec<Identity>,
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
            identities: Vec::new(),
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
            previous = self.follow(previous, bytes, false);
            parts[usize::from(self.entries[previous as usize].owner)].push(*record);
        }
        parts
    }

    /// Notes the true owners of records that were sent to the wrong core, and mends the chain of
    /// the request they are of.
    pub(super) fn correct(
        &mut self,
        buffer: &[u8],
        owners: &[(Record, CoreId)],
        request: &[Record],
    ) {
        for (record, owner) in owners {
            let bytes = labels_in(buffer, record);
            let hash = self.seed.hash_one(bytes);
            let at = self.entry(hash, bytes);
            self.entries[at as usize].owner = owner.0;
        }
        let mut previous = NONE;
        for record in request {
            previous = self.follow(previous, labels_in(buffer, record), true);
        }
    }

    fn follow(&mut self, previous: u32, bytes: &[u8], carefully: bool) -> u32 {
        if let Some(entry) = self.entries.get(previous as usize)
            && let Some(guess) = self.entries.get(entry.next as usize)
            && guess.glance == glance(bytes)
            && (!carefully || self.identities[entry.next as usize].look == look(bytes))
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
        let known = self.by_hash.find(hash, |at| self.identities[*at as usize].hash == hash);
        if let Some(at) = known {
            return *at;
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.clear();
            self.identities.clear();
            self.by_hash.clear();
        }
        let at = u32::try_from(self.entries.len()).expect("entries are bounded");
        let owner = self.owner(bytes);
        self.entries.push(Entry { glance: glance(bytes), next: NONE, owner });
        self.identities.push(Identity { hash, look: look(bytes) });
        let identities = &self.identities;
        self.by_hash.insert_unique(hash, at, |at| identities[*at as usize].hash);
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

/// The length, the word at 24 bytes, where a metric's name is, and the last one. Splitting the body
/// has just touched the lines of both; any other line is in no near cache by now.
#[inline]
fn glance(bytes: &[u8]) -> u32 {
    let name = bytes.get(24..32).unwrap_or_default();
    let last = bytes.last_chunk::<8>().map_or(bytes, |last| last);
    fold([name, last].into_iter(), bytes.len())
}

/// All of the bytes, where a glance has lied.
#[inline]
fn look(bytes: &[u8]) -> u32 {
    fold(bytes.chunks(8), bytes.len())
}

#[inline]
fn fold<'a>(words: impl Iterator<Item = &'a [u8]>, len: usize) -> u32 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = words.fold(len as u64, |mixed, word| {
        let mut padded = [0; 8];
        padded[..word.len()].copy_from_slice(word);
        (mixed ^ u64::from_le_bytes(padded)).wrapping_mul(MIX).rotate_left(29)
    });
    (mixed.wrapping_mul(MIX) >> 32) as u32
}

#[cfg(test)]
mod tests;
