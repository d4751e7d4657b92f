//! MurmurHash3, x86 32-bit variant: the hash by which M3 assigns a series to a shard.
//!
//! Computed once per new series. Formula: Austin Appleby's public-domain MurmurHash3_x86_32; M3
//! takes `hash % num_shards` with seed 0 unless `hashing.seed` says otherwise.

const C1: u32 = 0xcc9e_2d51;
const C2: u32 = 0x1b87_3593;

/// The 32-bit hash of `bytes` under `seed`.
#[must_use]
pub fn murmur3_32(seed: u32, bytes: &[u8]) -> u32 {
    let mut hash = seed;
    let (words, tail) = bytes.as_chunks::<4>();
    for word in words {
        hash ^= scramble(u32::from_le_bytes(*word));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let mut last = 0u32;
    for (i, byte) in tail.iter().enumerate() {
        last |= u32::from(*byte) << (8 * i);
    }
    if !tail.is_empty() {
        hash ^= scramble(last);
    }
    #[allow(clippy::cast_possible_truncation, reason = "the formula takes the length modulo 2^32")]
    let len = bytes.len() as u32;
    finalize(hash ^ len)
}

const fn scramble(word: u32) -> u32 {
    word.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2)
}

const fn finalize(mut hash: u32) -> u32 {
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::murmur3_32;

    /// Published vectors of the reference implementation (SMHasher).
    #[test]
    fn reference_vectors() {
        let vectors: [(u32, &[u8], u32); 8] = [
            (0, b"", 0),
            (1, b"", 0x514e_28b7),
            (0xffff_ffff, b"", 0x81f1_6f39),
            (0, b"\xff\xff\xff\xff", 0x7629_3b50),
            (0, b"\x21\x43\x65\x87", 0xf55b_516b),
            (0, b"\x21\x43\x65", 0x7e4a_8634),
            (0x9747_b28c, b"Hello, world!", 0x2488_4cba),
            (0x9747_b28c, b"The quick brown fox jumps over the lazy dog", 0x2fa8_26cd),
        ];
        for (seed, bytes, want) in vectors {
            assert_eq!(murmur3_32(seed, bytes), want, "seed {seed:#x} bytes {bytes:?}");
        }
    }
}
