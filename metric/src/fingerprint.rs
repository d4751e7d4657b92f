//! A keyed 128-bit fingerprint: tells whether two label blocks are equal without keeping either.
//!
//! It is NH of UMAC (Black, Halevi, Krawczyk, Krovetz and Rogaway, 1999) over 64-bit words: each
//! pair of words is added to its pair of key words, the sums are multiplied, and the products are
//! added up. For any two different byte strings of equal length, at most one key in 2^64 gives
//! equal fingerprints. The key is drawn at the start and fingerprints never leave the process, so
//! nobody can search for collisions.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Most bytes that can have a fingerprint. The key is one chunk longer.
pub const BYTES_MAX: usize = KEY_CHUNKS * CHUNK - CHUNK;
const CHUNK: usize = 32;
const KEY_CHUNKS: usize = 128;

/// The fingerprint of a byte string. Equal lengths and fingerprints mean equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u64; 2]);

impl Fingerprint {
    /// A hash of the bytes.
    #[must_use]
    pub const fn hash(self) -> u64 {
        // It is a sum of products, whose upper half depends on all bits of the words.
        self.0[1].wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.0[0]
    }
}

/// The key of fingerprints. Fingerprints with different keys are unrelated.
pub struct FingerprintKey(Box<[[u64; 4]; KEY_CHUNKS]>);

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(secret)")
    }
}

impl FingerprintKey {
    /// A secret key: the standard library's keyed hash of the numbers from 0.
    #[must_use]
    pub fn random() -> Self {
        let source = RandomState::new();
        let word = |chunk: usize, at: usize| source.hash_one(chunk * 4 + at);
        Self(Box::new(std::array::from_fn(|chunk| std::array::from_fn(|at| word(chunk, at)))))
    }

    /// The fingerprint of `bytes`, or `None` if they are longer than [`BYTES_MAX`].
    #[inline(always)]
    #[must_use]
    pub fn fingerprint(&self, bytes: &[u8]) -> Option<Fingerprint> {
        if bytes.len() > BYTES_MAX {
            return None;
        }
        let (mut left, mut right) = (0, 0);
        let mut add = |bytes: &[u8; CHUNK], key: &[u64; 4]| {
            left = product(bytes, key, 0).wrapping_add(left);
            right = product(bytes, key, 2).wrapping_add(right);
        };
        // The rest after whole chunks is hashed together with the bytes before it, with a key of
        // its own.
        let mut padded = [0; CHUNK];
        let last = bytes.last_chunk().unwrap_or_else(|| {
            padded[..bytes.len()].copy_from_slice(bytes);
            &padded
        });
        add(last, &self.0[0]);
        for (chunk, key) in bytes.as_chunks().0.iter().zip(&self.0[1..]) {
            add(chunk, key);
        }
        let sum = left.wrapping_add(right);
        Some(Fingerprint([low(sum), low(sum >> 64)]))
    }
}

#[inline(always)]
fn product(bytes: &[u8; CHUNK], key: &[u64; 4], at: usize) -> u128 {
    let sum = |at: usize| {
        let word = bytes[at * 8..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        u128::from(word.wrapping_add(key[at]))
    };
    sum(at) * sum(at + 1)
}

#[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn low(wide: u128) -> u64 {
    wide as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_bit_counts_at_every_length() {
        let key = FingerprintKey::random();
        for len in [0, 1, 8, 31, 32, 33, 63, 64, 65, 100, 402, BYTES_MAX] {
            let mut bytes: Vec<u8> = (0..len).map(|at| (at * 37) as u8).collect();
            let mut seen = HashSet::new();
            let whole = key.fingerprint(&bytes).unwrap();
            assert_eq!(key.fingerprint(&bytes.clone()), Some(whole));
            seen.insert(whole.0);
            for bit in 0..len * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    seen.insert(key.fingerprint(&bytes).unwrap().0),
                    "bit {bit} of {len} bytes"
                );
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn words_that_trade_places_are_other_bytes() {
        let key = FingerprintKey::random();
        let bytes: Vec<u8> = (0..100u8).collect();
        let mut other = bytes.clone();
        other[..32].copy_from_slice(&bytes[32..64]);
        other[32..64].copy_from_slice(&bytes[..32]);
        assert_ne!(key.fingerprint(&bytes), key.fingerprint(&other));
        other.copy_from_slice(&bytes);
        other[..8].copy_from_slice(&bytes[8..16]);
        other[8..16].copy_from_slice(&bytes[..8]);
        assert_ne!(key.fingerprint(&bytes), key.fingerprint(&other));
    }

    #[test]
    fn keys_differ_and_long_bytes_have_none() {
        let bytes = [7; 402];
        assert_ne!(
            FingerprintKey::random().fingerprint(&bytes),
            FingerprintKey::random().fingerprint(&bytes)
        );
        assert_eq!(FingerprintKey::random().fingerprint(&[0; BYTES_MAX + 1]), None);
    }
}
