//! The label bytes of a namespace in order of arrival. They never move, and are freed only with the
//! namespace.
//!
//! Senders repeat their series in the same order. So the bytes to compare next lie right after
//! those just compared, where the processor prefetches them.

/// Bytes of one piece of memory; a block never crosses pieces.
const PIECE_BYTES: usize = 128 << 10;
/// Number of smaller pieces, the first being the smallest, so that a small namespace takes little
/// memory.
const SMALL_PIECES: usize = 5;
/// Blocks begin at multiples of this, so a u32 can address 32 GiB.
const ALIGN: usize = 8;

/// The position of a block, in units of eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub u32);

/// The label bytes of one namespace on one core.
#[derive(Default)]
pub struct LabelArena {
    pieces: Vec<Vec<u8>>,
}

impl LabelArena {
    /// Stores `block` and returns its position.
    ///
    /// # Panics
    /// If the arena would exceed 32 GiB, or if the block is larger than a piece. Callers bound
    /// both.
    pub fn push(&mut self, block: &[u8]) -> Place {
        let padded = block.len().next_multiple_of(ALIGN);
        assert!(padded <= PIECE_BYTES, "a label block is bounded far below a piece");
        if self.pieces.last().is_none_or(|piece| piece.capacity() - piece.len() < padded) {
            let filled = PIECE_BYTES >> SMALL_PIECES.saturating_sub(self.pieces.len());
            self.pieces.push(Vec::with_capacity(filled.max(padded)));
        }
        let number = self.pieces.len() - 1;
        let piece = &mut self.pieces[number];
        let offset = piece.len();
        piece.extend_from_slice(block);
        piece.resize(offset + padded, 0);
        let place = (number * PIECE_BYTES + offset) / ALIGN;
        Place(u32::try_from(place).expect("32 GiB of labels on one core is over every limit"))
    }

    /// The `len` bytes at `place`.
    #[inline]
    #[must_use]
    pub fn block(&self, place: Place, len: u32) -> &[u8] {
        let at = place.0 as usize * ALIGN;
        let offset = at % PIECE_BYTES;
        &self.pieces[at / PIECE_BYTES][offset..offset + len as usize]
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.capacity() as u64).sum()
    }
}

#[cfg(test)]
mod tests;
