//! Label bytes in order of arrival, never moved and never freed while their namespace lives.
//!
//! Senders repeat their series in one order, so the bytes that are compared next lie next to the
//! ones just compared, and the processor's own prefetching works.
//!
//! Always holds: a piece that is full never changes again. So the other cores may hold it too, and
//! know a series by its bytes without keeping a copy of them.

use std::sync::Arc;

/// Bytes between the beginnings of two pieces; a block never crosses pieces.
const PIECE_BYTES: usize = 128 << 10;
/// Pieces that are smaller than that, the first one the most: a small namespace takes little.
const SMALL_PIECES: usize = 5;
/// Bytes of a piece that are filled: what counts its holders stands before them, and an allocator
/// rounds what is a little over a power of two up by a quarter.
const FILLED_BYTES: usize = PIECE_BYTES - 64;
/// Blocks begin at multiples of this, so that a u32 reaches 32 GiB.
const ALIGN: usize = 8;

/// Where a block lies, in units of eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub u32);

impl Place {
    /// The number of the piece, and where in it.
    const fn split(self) -> (usize, usize) {
        let at = self.0 as usize * ALIGN;
        (at / PIECE_BYTES, at % PIECE_BYTES)
    }
}

/// A piece that never changes again.
pub type FullPiece = Arc<[u8]>;

/// The full pieces of another core's arena, as far as they are known here.
#[derive(Clone, Debug, Default)]
pub struct FullPieces(Vec<FullPiece>);

impl FullPieces {
    /// How many are known.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes the pieces from number `first` on; those that are known already are the same, and
    /// pieces behind a gap are not taken.
    pub fn extend(&mut self, first: usize, pieces: Vec<FullPiece>) {
        if let Some(known) = self.count().checked_sub(first) {
            self.0.extend(pieces.into_iter().skip(known));
        }
    }

    /// The block of `len` bytes at `place`, if its piece is known.
    #[inline]
    #[must_use]
    pub fn block(&self, place: Place, len: u32) -> Option<&[u8]> {
        let (piece, offset) = place.split();
        self.0.get(piece)?.get(offset..offset + len as usize)
    }
}

/// The label bytes of one namespace on one core.
#[derive(Default)]
pub struct LabelArena {
    full: Vec<FullPiece>,
    /// The piece after them, which is being filled.
    open: Vec<u8>,
}

impl LabelArena {
    /// Stores `block` and says where.
    ///
    /// # Panics
    /// When the arena holds 32 GiB already, or a block is larger than a piece: callers bound both.
    pub fn push(&mut self, block: &[u8]) -> Place {
        let padded = block.len().next_multiple_of(ALIGN);
        assert!(padded <= PIECE_BYTES, "a label block is bounded far below a piece");
        if self.open.capacity() - self.open.len() < padded {
            if !self.open.is_empty() {
                self.full.push(self.open.as_slice().into());
            }
            let filled = FILLED_BYTES >> SMALL_PIECES.saturating_sub(self.full.len());
            self.open = Vec::with_capacity(filled.max(padded));
        }
        let offset = self.open.len();
        self.open.extend_from_slice(block);
        self.open.resize(offset + padded, 0);
        let place = (self.full.len() * PIECE_BYTES + offset) / ALIGN;
        Place(u32::try_from(place).expect("32 GiB of labels on one core is over every limit"))
    }

    /// The block of `len` bytes at `place`.
    #[inline]
    #[must_use]
    pub fn block(&self, place: Place, len: u32) -> &[u8] {
        let (number, offset) = place.split();
        let piece = self.full.get(number).map_or(self.open.as_slice(), |piece| piece);
        &piece[offset..offset + len as usize]
    }

    /// Whether the piece of `place` is full.
    #[inline]
    #[must_use]
    pub const fn is_full(&self, place: Place) -> bool {
        place.split().0 < self.full.len()
    }

    /// The full pieces from number `first` on.
    #[must_use]
    pub fn full_pieces(&self, first: usize) -> &[FullPiece] {
        self.full.get(first..).unwrap_or_default()
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let full: usize = self.full.iter().map(|piece| piece.len()).sum();
        (full + self.open.capacity()) as u64
    }
}

#[cfg(test)]
mod tests;
