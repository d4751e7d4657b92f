//! Aligned memory for direct writes.

use std::fmt;

/// The unit of direct writes: length, file offset and memory address are multiples of it. One page,
/// which fits every disk with sectors of up to 4 KiB.
pub const BLOCK_BYTES: usize = 4096;

/// A growing buffer whose bytes always begin at a multiple of [`BLOCK_BYTES`] in memory.
#[derive(Default)]
pub struct Blocks {
    /// The bytes, preceded by as much padding as the alignment needs.
    pub(super) memory: Vec<u8>,
    pub(super) begin: usize,
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Blocks {
    /// The number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.memory.len() - self.begin
    }

    /// Whether it has no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.begin..]
    }

    /// Appends `bytes`.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.memory.extend_from_slice(bytes);
    }

    /// Appends zeros or cuts bytes off until there are `len`.
    pub fn resize(&mut self, len: usize) {
        self.reserve(len.saturating_sub(self.len()));
        self.memory.resize(self.begin + len, 0);
    }

    /// Removes the first `count` bytes and moves the rest to the front.
    ///
    /// # Panics
    /// If it has fewer bytes.
    pub fn drop_front(&mut self, count: usize) {
        let kept = self.len() - count;
        self.memory.copy_within(self.begin + count.., self.begin);
        self.memory.truncate(self.begin + kept);
    }

    /// Makes room for `more` bytes, and for zeros up to the end of their block.
    fn reserve(&mut self, more: usize) {
        let len = (self.len() + more).next_multiple_of(BLOCK_BYTES);
        if self.memory.capacity() >= self.begin + len.max(1) {
            return;
        }
        let mut memory: Vec<u8> = Vec::with_capacity(len.next_power_of_two() + BLOCK_BYTES);
        let begin = memory.as_ptr().align_offset(BLOCK_BYTES);
        memory.resize(begin, 0);
        memory.extend_from_slice(self.bytes());
        *self = Self { memory, begin };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_begin_at_a_block_wherever_they_move() {
        let mut blocks = Blocks::default();
        let mut expected = Vec::new();
        for n in 0..200usize {
            let piece = vec![n as u8; n * 37 % 5000];
            blocks.extend(&piece);
            expected.extend_from_slice(&piece);
            if n % 7 == 0 {
                let gone = expected.len() / 3;
                blocks.drop_front(gone);
                expected.drain(..gone);
            }
            assert!(blocks.bytes() == expected, "after {n}");
            assert_eq!(blocks.bytes().as_ptr().align_offset(BLOCK_BYTES), 0, "after {n}");
        }
        let len = blocks.len();
        blocks.resize(len.next_multiple_of(BLOCK_BYTES));
        assert!(blocks.bytes()[..len] == expected && blocks.bytes()[len..].iter().all(|b| *b == 0));
        blocks.resize(3);
        assert!(blocks.bytes() == &expected[..3] && !blocks.is_empty());
        blocks.drop_front(3);
        assert!(blocks.is_empty() && blocks.memory.capacity() > 0);
    }
}
