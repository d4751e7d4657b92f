//! Every label name and every pair of name and value, with the lists of their series.
//!
//! Pairs are stored in one slab under dense numbers. A hash table finds a pair's number; it is
//! split into parts, so that growing one part is quick. Inserting a series first tries the labels
//! of the series before it: the same names in the same order and, for each name, the same value. A
//! sender's next series differs in one or two labels, so only these are hashed.
//!
//! Always holds: a pair's number is in its name's [`Order`] exactly once. Every pair has at least
//! one series.

use crate::arena::{Arena, Text};
use crate::list::{List, Tails};
use crate::order::Order;
use crate::slab::Slab;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use m3_metric::labels::read_label;
use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher};

/// Parts of the table of pairs. With a hundred million pairs a part has 400 thousand, and grows
/// within a few milliseconds.
const TABLE_PARTS: usize = 256;

/// A label name.
pub(crate) struct Name {
    pub(crate) text: Text,
    /// The pair of the last series that had this name.
    last: u32,
    /// The series that have this name.
    pub(crate) present: List,
    /// The pairs of this name. A search may sort them.
    pub(crate) order: RefCell<Order>,
}

/// A pair of label name and value.
pub(crate) struct Pair {
    pub(crate) value: Text,
    pub(crate) list: List,
    name: u32,
}

/// A pair in the table. The hash is stored with it, so that growing reads no text.
#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    pair: u32,
}

/// Names, pairs and their texts.
pub(crate) struct Dictionary {
    arena: Arena,
    pub(crate) names: Vec<Name>,
    name_table: HashTable<u32>,
    pairs: Slab<Pair>,
    table: Vec<HashTable<Slot>>,
    hasher: RandomState,
    /// The names of the last series, in order.
    shape: Vec<u32>,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            arena: Arena::default(),
            names: Vec::new(),
            name_table: HashTable::new(),
            pairs: Slab::default(),
            table: (0..TABLE_PARTS).map(|_| HashTable::new()).collect(),
            hasher: RandomState::default(),
            shape: Vec::new(),
        }
    }
}

impl Dictionary {
    /// Adds series `ordinal` to the lists of its labels.
    pub(crate) fn insert(&mut self, tails: &mut Tails, ordinal: u32, canonical: &[u8]) {
        let mut rest = canonical;
        let mut position = 0;
        while !rest.is_empty() {
            let (name_text, value) = next_label(&mut rest);
            let name = self.name_at(position, name_text, ordinal);
            position += 1;
            let entry = &mut self.names[name as usize];
            tails.append(&mut entry.present, ordinal);
            let last = entry.last;
            if last != u32::MAX {
                let pair = self.pairs.at_mut(last);
                if self.arena.bytes(pair.value) == value {
                    tails.append(&mut pair.list, ordinal);
                    continue;
                }
            }
            self.insert_pair(tails, ordinal, name, value);
        }
    }

    /// The number of name `text`: most likely the name that the previous series had at this
    /// position.
    #[inline]
    fn name_at(&mut self, position: usize, text: &[u8], ordinal: u32) -> u32 {
        if let Some(&name) = self.shape.get(position)
            && self.arena.bytes(self.names[name as usize].text) == text
        {
            return name;
        }
        let name = self.find_name(text).unwrap_or_else(|| self.new_name(text, ordinal));
        match self.shape.get_mut(position) {
            Some(slot) => *slot = name,
            None => self.shape.push(name),
        }
        name
    }

    fn new_name(&mut self, text: &[u8], ordinal: u32) -> u32 {
        let number = u32::try_from(self.names.len()).expect("fewer names than ordinals");
        let text = self.arena.push(text);
        self.names.push(Name {
            text,
            last: u32::MAX,
            present: List::before(ordinal),
            order: RefCell::default(),
        });
        let (arena, names, hasher) = (&self.arena, &self.names, &self.hasher);
        let hash = |&n: &u32| hasher.hash_one(arena.bytes(names[n as usize].text));
        self.name_table.insert_unique(hash(&number), number, hash);
        number
    }

    /// Adds the series to a pair that is not the name's last one.
    fn insert_pair(&mut self, tails: &mut Tails, ordinal: u32, name: u32, value: &[u8]) {
        let (part, hash) = self.hash(name, value);
        let found = self.table[part].find(spread(hash), |slot| {
            slot.hash == hash && is_pair(&self.arena, self.pairs.at(slot.pair), name, value)
        });
        let pair = if let Some(slot) = found {
            tails.append(&mut self.pairs.at_mut(slot.pair).list, ordinal);
            slot.pair
        } else {
            let value = self.arena.push(value);
            let pair = self.pairs.push(Pair { value, list: List::one(ordinal), name });
            self.table[part].insert_unique(spread(hash), Slot { hash, pair }, |s| spread(s.hash));
            self.names[name as usize].order.get_mut().push(pair);
            pair
        };
        self.names[name as usize].last = pair;
    }

    /// The number of name `text`.
    pub(crate) fn find_name(&self, text: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        let is = |&n: &u32| self.arena.bytes(self.names[n as usize].text) == text;
        self.name_table.find(hash, is).copied()
    }

    /// The pair of name number `name` and `value`.
    pub(crate) fn find_pair(&self, name: u32, value: &[u8]) -> Option<&Pair> {
        let (part, hash) = self.hash(name, value);
        let slot = self.table[part].find(spread(hash), |slot| {
            slot.hash == hash && is_pair(&self.arena, self.pairs.at(slot.pair), name, value)
        })?;
        Some(self.pairs.at(slot.pair))
    }

    pub(crate) fn pair(&self, number: u32) -> &Pair {
        self.pairs.at(number)
    }

    /// The value of pair `number`.
    #[inline]
    pub(crate) fn value(&self, number: u32) -> &[u8] {
        self.arena.bytes(self.pairs.at(number).value)
    }

    pub(crate) fn bytes(&self, text: Text) -> &[u8] {
        self.arena.bytes(text)
    }

    pub(crate) fn str(&self, text: Text) -> &str {
        self.arena.str(text)
    }

    /// The part of the table for a pair, and its hash.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the low half and the top byte are meant")]
    fn hash(&self, name: u32, value: &[u8]) -> (usize, u32) {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(name);
        hasher.write(value);
        let hash = hasher.finish();
        ((hash >> 56) as usize % TABLE_PARTS, hash as u32)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let orders: usize = self.names.iter().map(|n| n.order.borrow().memory_bytes()).sum();
        let table: usize = self.table.iter().map(HashTable::allocation_size).sum();
        self.arena.memory_bytes()
            + self.pairs.memory_bytes()
            + table
            + self.table.capacity() * size_of::<HashTable<Slot>>()
            + self.names.capacity() * size_of::<Name>()
            + self.name_table.allocation_size()
            + orders
    }
}

fn is_pair(arena: &Arena, pair: &Pair, name: u32, value: &[u8]) -> bool {
    pair.name == name && arena.bytes(pair.value) == value
}

/// Spreads the 32 stored bits over the hash, because the table takes positions from its low bits
/// and tags from its top seven.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The first label of a canonical block, without checks that canonical bytes do not need.
#[inline]
pub(crate) fn next_label<'a>(rest: &mut &'a [u8]) -> (&'a [u8], &'a [u8]) {
    short_label(rest)
        .unwrap_or_else(|| read_label(rest).expect("an inserted series' block is canonical"))
}

/// As [`next_label`], for a label whose lengths take one byte each, as nearly all do.
#[inline]
fn short_label<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let &[0x0a, label_len, 0x0a, name_len, ref tail @ ..] = *rest else { return None };
    if label_len >= 0x80 || name_len >= 0x80 {
        return None;
    }
    let (name, tail) = tail.split_at_checked(usize::from(name_len))?;
    let &[0x12, value_len, ref tail @ ..] = tail else { return None };
    if value_len >= 0x80 || usize::from(label_len) != name.len() + usize::from(value_len) + 4 {
        return None;
    }
    let (value, tail) = tail.split_at_checked(usize::from(value_len))?;
    *rest = tail;
    Some((name, value))
}
