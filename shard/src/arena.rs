//! Label bytes in order of arrival, never moved and never freed while their namespace lives.
//!
//! Senders repeat their series in one order, so the bytes that are compared next lie next to the
//! ones just compared, and the processor's own prefetching works.

/// Bytes between the beginnings of two pieces; a block never crosses pieces.
const PIECE_BYTES: usize = 128 << 10;
/// Pieces that are smaller than that, the first one the most: a small namespace takes little.
const SMALL_PIECES: usize = 5;
/// Blocks begin at multiples of this, so that a u32 reaches 32 GiB.
const ALIGN: usize = 8;

/// Where a block lies, in units of eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub u32);

/// The label bytes of one namespace on one core.
#[derive(Default)]
pub struct LabelArena {
    pieces: Vec<Vec<u8>>,
}

impl LabelArena {
    /// Stores `block` and says where.
    ///
    /// # Panics
    /// When the arena holds 32 GiB already, or a block is larger than a piece: callers bound both.
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

    /// The block of `len` bytes at `place`.
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
