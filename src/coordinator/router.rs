//! Which core owns a record, found by the core that decoded it.
//!
//! As in the owner's table, series are followed: every entry remembers its successor. Once the
//! owner has told where a series' label bytes are and they never move again, the next record's
//! bytes are compared with the successor's, and what goes to the owner is the series' ordinal and
//! the sample: the owner compares nothing, and reads nothing of the request.
//!
//! Until then the owner is guessed: the next record's glance (its length and two words of it) is
//! compared with the successor's. A glance can lie; the owner verifies the bytes, and what is not
//! its own comes back with the true owner, which is then noted, and the request's chain is mended
//! by all of its bytes. Otherwise only a miss hashes the bytes, only an unknown hash parses.
//!
//! Always holds: a record is called by an ordinal only after all of its bytes were compared.

use crate::message::Learnt;
use foldhash::quality::RandomState;
use hashbrown::HashTable;
use m3_metric::batch::labels_in;
use m3_metric::{CoreId, Labels, Record};
use m3_shard::arena::{FullPieces, Place};
use m3_shard::{SeriesSample, ShardMap};
use std::hash::BuildHasher;

/// Entries after which the router forgets everything and learns anew: 36 bytes each and some
/// more for the table.
const ENTRIES_MAX: usize = 4 << 20;
const NONE: u32 = u32::MAX;

/// What a followed record needs, and no more: a core runs through all of them every scrape.
struct Entry {
    next: u32,
    labels_len: u32,
    /// Of a known series, where its bytes are; else their glance.
    place_or_glance: u32,
    /// The ordinal of a known series.
    series: u32,
    owner: u16,
}

impl Entry {
    const fn is_known(&self) -> bool {
        self.series != NONE
    }
}

/// What only a miss needs.
struct Identity {
    hash: u64,
    look: u32,
}

/// The records of one core.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Samples of series that it is known to own.
    pub known: Vec<SeriesSample>,
    /// Records that it is guessed to own.
    pub records: Vec<Record>,
    /// How many full pieces of the core's label bytes are known.
    pub pieces_known: usize,
    /// The router's entry for each record.
    entries: Vec<u32>,
}

impl Part {
    /// Nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.records.is_empty()
    }
}

/// The owners that one core has learnt, of one namespace's series.
pub(super) struct Router {
    shards: ShardMap,
    entries: Vec<Entry>,
    identities: Vec<Identity>,
    by_hash: HashTable<u32>,
    seed: RandomState,
    /// The label bytes of each core.
    pieces: Vec<FullPieces>,
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
            pieces: vec![FullPieces::default(); usize::from(shards.core_count)],
        }
    }

    /// The records of each core, in their order.
    pub(super) fn split(&mut self, buffer: &[u8], records: &[Record]) -> Vec<Part> {
        let cores = usize::from(self.shards.core_count);
        let mut parts = self.parts(records.len() / cores + records.len() / 8 + 1);
        let mut previous = NONE;
        for record in records {
            previous = self.follow(previous, labels_in(buffer, record), false);
            let entry = &self.entries[previous as usize];
            let part = &mut parts[usize::from(entry.owner)];
            if entry.is_known() {
                let (ts_ns, bits) = (record.timestamp.0, record.value_bits);
                part.known.push(SeriesSample { series: entry.series, ts_ns, bits });
            } else {
                part.records.push(*record);
                part.entries.push(previous);
            }
        }
        parts
    }

    /// An empty part for each core, with room for `known` samples.
    fn parts(&self, known: usize) -> Vec<Part> {
        let part = |pieces: &FullPieces| Part {
            known: Vec::with_capacity(known),
            pieces_known: pieces.count(),
            ..Part::default()
        };
        self.pieces.iter().map(part).collect()
    }

    /// Notes what `owner` has told of the records of its part. Entries may have been forgotten
    /// since it was asked; bytes are compared anew, so that no entry becomes a wrong one.
    pub(super) fn learn(&mut self, owner: CoreId, buffer: &[u8], part: &Part, learnt: Learnt) {
        let pieces = &mut self.pieces[usize::from(owner.0)];
        pieces.extend(learnt.first_piece, learnt.pieces);
        for found in &learnt.found {
            let at = found.position as usize;
            let record = &part.records[at];
            let Some(entry) = self.entries.get_mut(part.entries[at] as usize) else { continue };
            // Labels that a sender did not put in order are other bytes than the series'.
            if pieces.block(found.place, record.labels_len) == Some(labels_in(buffer, record)) {
                *entry = Entry {
                    next: entry.next,
                    labels_len: record.labels_len,
                    place_or_glance: found.place.0,
                    series: found.series,
                    owner: owner.0,
                };
            }
        }
    }

    /// Notes the true owners of records that were sent to the wrong core, mends the chain of the
    /// request they are of, and gives the parts to send next.
    pub(super) fn correct(
        &mut self,
        buffer: &[u8],
        owners: &[(Record, CoreId)],
        request: &[Record],
    ) -> Vec<Part> {
        let mut parts = self.parts(0);
        for (record, owner) in owners {
            let at = self.entry(labels_in(buffer, record));
            let entry = &mut self.entries[at as usize];
            if !entry.is_known() {
                entry.owner = owner.0;
            }
            let part = &mut parts[usize::from(owner.0)];
            part.records.push(*record);
            part.entries.push(at);
        }
        let mut previous = NONE;
        for record in request {
            previous = self.follow(previous, labels_in(buffer, record), true);
        }
        parts
    }

    #[inline]
    fn follow(&mut self, previous: u32, bytes: &[u8], carefully: bool) -> u32 {
        if let Some(entry) = self.entries.get(previous as usize)
            && let Some(guess) = self.entries.get(entry.next as usize)
            && self.is_of(guess, bytes)
            && (!carefully
                || guess.is_known()
                || self.identities[entry.next as usize].look == look(bytes))
        {
            return entry.next;
        }
        let at = self.entry(bytes);
        if let Some(entry) = self.entries.get_mut(previous as usize) {
            entry.next = at;
        }
        at
    }

    /// Whether these are the bytes of `entry`: surely, if its series is known.
    #[inline(always)]
    fn is_of(&self, entry: &Entry, bytes: &[u8]) -> bool {
        if entry.labels_len as usize != bytes.len() {
            return false;
        }
        if !entry.is_known() {
            return entry.place_or_glance == glance(bytes);
        }
        let pieces = &self.pieces[usize::from(entry.owner)];
        pieces.block(Place(entry.place_or_glance), entry.labels_len) == Some(bytes)
    }

    /// The entry of these bytes, a new one if they are unknown.
    #[cold]
    fn entry(&mut self, bytes: &[u8]) -> u32 {
        let hash = self.seed.hash_one(bytes);
        let same = |at: &u32| {
            let (entry, identity) = (&self.entries[*at as usize], &self.identities[*at as usize]);
            identity.hash == hash && (!entry.is_known() || self.is_of(entry, bytes))
        };
        if let Some(at) = self.by_hash.find(hash, same) {
            return *at;
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.clear();
            self.identities.clear();
            self.by_hash.clear();
        }
        let at = u32::try_from(self.entries.len()).expect("entries are bounded");
        self.entries.push(Entry {
            next: NONE,
            labels_len: u32::try_from(bytes.len()).expect("a record's length is a u32"),
            place_or_glance: glance(bytes),
            series: NONE,
            owner: self.owner(bytes),
        });
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
