//! Memory for open streams: cells of a fixed size, linked per series, reused when a stream closes.
//!
//! A stream grows by a few bytes at a time, for hours. Cells need no allocation and waste half a
//! cell per stream on average. A growing vector would waste half of its memory and fragment the
//! heap.

/// Bytes of one cell: two cache lines.
const CELL_BYTES: usize = 128;
/// Bytes of the stream in a cell. The last byte counts them, and four bytes link to the next cell.
pub const CELL_PAYLOAD_BYTES: usize = CELL_BYTES - 5;
/// Cells in one piece of memory (1 MiB). Pieces never move.
const CELLS_PER_PIECE: usize = 8192;

/// The number of a cell, or [`NO_CELL`].
pub type CellId = u32;
/// No cell.
pub const NO_CELL: CellId = u32::MAX;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Cell {
    next: CellId,
    used: u8,
    payload: [u8; CELL_PAYLOAD_BYTES],
}

const _: () = assert!(size_of::<Cell>() == CELL_BYTES);

/// All cells of one namespace on one core.
#[derive(Default)]
pub struct Cells {
    /// Pieces of memory. A cell is first written when it is first taken, so a small namespace does
    /// not touch a whole piece.
    pieces: Vec<Vec<Cell>>,
    free: Vec<CellId>,
    fresh: u32,
}

impl Cells {
    fn at(&mut self, id: CellId) -> &mut Cell {
        &mut self.pieces[id as usize / CELLS_PER_PIECE][id as usize % CELLS_PER_PIECE]
    }

    fn take(&mut self) -> CellId {
        if let Some(id) = self.free.pop() {
            let cell = self.at(id);
            cell.next = NO_CELL;
            cell.used = 0;
            return id;
        }
        let id = self.fresh;
        assert!(id != NO_CELL, "cells are counted in u32");
        if (id as usize).is_multiple_of(CELLS_PER_PIECE) {
            self.pieces.push(Vec::with_capacity(CELLS_PER_PIECE));
        }
        let blank = Cell { next: NO_CELL, used: 0, payload: [0; CELL_PAYLOAD_BYTES] };
        self.pieces[id as usize / CELLS_PER_PIECE].push(blank);
        self.fresh += 1;
        id
    }

    /// Appends `bytes` to the stream whose last cell is `tail`. Returns the new last cell and, if
    /// the stream was empty, also its first.
    pub fn append(&mut self, tail: CellId, mut bytes: &[u8]) -> (CellId, Option<CellId>) {
        let mut first = None;
        let mut tail = tail;
        if tail == NO_CELL {
            tail = self.take();
            first = Some(tail);
        }
        loop {
            let cell = self.at(tail);
            let used = cell.used as usize;
            let count = bytes.len().min(CELL_PAYLOAD_BYTES - used);
            cell.payload[used..used + count].copy_from_slice(&bytes[..count]);
            cell.used += count as u8;
            bytes = &bytes[count..];
            if bytes.is_empty() {
                return (tail, first);
            }
            let next = self.take();
            self.at(tail).next = next;
            tail = next;
        }
    }

    /// Appends the stream that begins at `first` to `out`.
    pub fn copy_to(&self, first: CellId, out: &mut Vec<u8>) {
        let mut id = first;
        while id != NO_CELL {
            let cell = &self.pieces[id as usize / CELLS_PER_PIECE][id as usize % CELLS_PER_PIECE];
            out.extend_from_slice(&cell.payload[..cell.used as usize]);
            id = cell.next;
        }
    }

    /// Frees the cells of the stream that begins at `first`.
    pub fn release(&mut self, first: CellId) {
        let mut id = first;
        while id != NO_CELL {
            let next = self.at(id).next;
            self.free.push(id);
            id = next;
        }
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        (self.pieces.len() * CELLS_PER_PIECE * CELL_BYTES + self.free.capacity() * 4) as u64
    }
}
