//! A small mutator for the stable compiler: without feedback, but repeatable from its seed.

use m3_metric::labels::write_varint;
use m3_testing::Random;

/// Creates inputs from others, or from nothing.
pub(crate) struct Mutator(Random);

/// Bytes that have a meaning for readers.
const PARTS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\0",
    b"\xff",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b"(",
    b")",
    b":",
    b",",
    b"0",
    b"-1",
    b"1e9",
    b"\\",
    b"%",
    b"%2F",
    b"${",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\x0a",
    b"\x12\x10\x09",
    b"\xc3\xa9",
    b"&",
    b"*",
    b"- ",
    b"#",
    b"null",
    b"9223372036854775807",
];

/// The sample 1.5 at 10 ms in remote write.
const SAMPLE: &[u8] = b"\x09\0\0\0\0\0\0\xf8?\x10\x0a";

impl Mutator {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Random::from_seed(seed))
    }

    fn next(&mut self) -> u64 {
        self.0.next()
    }

    /// 0 also where nothing is below the bound: of no bytes, the first is as good as any.
    fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound.max(1))
    }

    /// One of `seeds`, changed in a few places; at most `len_max` bytes.
    pub(crate) fn make(&mut self, seeds: &[Vec<u8>], len_max: usize) -> Vec<u8> {
        let mut data = seeds[self.below(seeds.len())].clone();
        data.truncate(len_max);
        for _ in 0..=self.below(4) {
            self.change(&mut data, seeds);
        }
        data.truncate(len_max);
        data
    }

    /// A protobuf message of any length. Most of its fields have the numbers, wire types and depth
    /// of remote write and read. Mutations of whole messages seldom keep their lengths correct.
    pub(crate) fn message(&mut self, depth: usize) -> Vec<u8> {
        let mut message = Vec::new();
        for _ in 0..self.below(5) {
            let number = [1, 1, 1, 1, 2, 2, 2, 3, 4, 16][self.below(10)];
            let wire = [2, 2, 2, 2, 2, 2, 2, 0, 1, 5][self.below(10)];
            write_varint(&mut message, number << 3 | wire);
            match wire {
                0 => write_varint(&mut message, self.next() >> self.below(64)),
                1 => message.extend(((self.next() >> 40) as f64).to_le_bytes()),
                5 => message.extend((self.next() as u32).to_le_bytes()),
                _ => {
                    let inner = self.inner(depth);
                    write_varint(&mut message, inner.len() as u64);
                    message.extend(inner);
                }
            }
        }
        message
    }

    fn inner(&mut self, depth: usize) -> Vec<u8> {
        match self.below(8) {
            0 => PARTS[self.below(PARTS.len())].to_vec(),
            1 => vec![b'a'; self.below(4)],
            2 | 3 => SAMPLE.to_vec(),
            _ if depth == 0 => b"__name__"[self.below(8)..].to_vec(),
            _ => self.message(depth - 1),
        }
    }

    fn change(&mut self, data: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let (a, b) = (self.below(data.len() + 1), self.below(data.len() + 1));
        let (from, to) = (a.min(b), a.max(b));
        match self.below(8) {
            0 if from < data.len() => data[from] ^= 1 << self.below(8),
            1 if from < data.len() => data[from] = self.next() as u8,
            2 if from < data.len() => {
                let step = self.below(8) as u8;
                data[from] = data[from].wrapping_add(step).wrapping_sub(4);
            }
            3 if to - from < 32 => drop(data.drain(from..to)),
            4 if from > data.len() / 2 => data.truncate(from),
            5 => {
                let other = &seeds[self.below(seeds.len())];
                let (c, d) = (self.below(other.len() + 1), self.below(other.len() + 1));
                data.splice(from..to.min(from + 8), other[c.min(d)..c.max(d)].iter().copied());
            }
            6 => {
                let piece = data[from..to].to_vec();
                data.splice(a..a, piece);
            }
            _ => {
                let part = PARTS[self.below(PARTS.len())];
                let times = 1 + self.below(3) * self.below(2);
                data.splice(from..from, part.repeat(times));
            }
        }
    }
}
