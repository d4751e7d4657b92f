//! A vector in chunks. Growing copies at most the first chunk and wastes at most one chunk.
//!
//! A plain vector of a million records copies tens of megabytes when it doubles, which stalls the
//! core for milliseconds, and a quarter of it is unused on average.

const CHUNK_SHIFT: u32 = 12;
/// Records of one chunk.
const CHUNK: usize = 1 << CHUNK_SHIFT;

/// Records with dense numbers from 0.
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    len: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    /// Stores `record` and returns its number.
    pub(crate) fn push(&mut self, record: T) -> u32 {
        if (self.len as usize).is_multiple_of(CHUNK) {
            // The first chunk grows as needed, since most indexes are small.
            let room = if self.chunks.is_empty() { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(room));
        }
        self.chunks[self.len as usize >> CHUNK_SHIFT].push(record);
        self.len += 1;
        self.len - 1
    }

    #[inline]
    pub(crate) fn at(&self, number: u32) -> &T {
        &self.chunks[number as usize >> CHUNK_SHIFT][number as usize % CHUNK]
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, number: u32) -> &mut T {
        &mut self.chunks[number as usize >> CHUNK_SHIFT][number as usize % CHUNK]
    }

    /// Bytes taken from the allocator, without memory that the records own themselves.
    pub(crate) fn memory_bytes(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1) * CHUNK;
        let records = match self.chunks.first() {
            Some(first) if full == 0 => first.capacity(),
            _ => full + if full == 0 { 0 } else { CHUNK },
        };
        records * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }
}
