//! The bytes of label names and values, each stored once, in order of arrival.
//!
//! Chunks have a fixed size and never move. So growing copies nothing, and a scan over values in
//! order of arrival reads memory forward.
//!
//! Always holds: a text lies within one chunk.

use m3_metric::limits::LABEL_LITERAL_BYTES_MAX;

/// Bytes of a chunk. At most one text of space is wasted at its end.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK_SHIFT: u32 = CHUNK_BYTES.trailing_zeros();

/// The position of a text: 28 bits of chunk, 20 bits of offset, 16 bits of length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text(u64);

/// The chunks.
#[derive(Default)]
pub(crate) struct Arena {
    chunks: Vec<Vec<u8>>,
}

impl Arena {
    /// Stores `bytes`, at most [`LABEL_LITERAL_BYTES_MAX`] of them.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Text {
        assert!(bytes.len() <= LABEL_LITERAL_BYTES_MAX, "a canonical block's literals are bounded");
        if self.chunks.last().is_none_or(|chunk| chunk.len() + bytes.len() > CHUNK_BYTES) {
            self.chunks.push(Vec::with_capacity(CHUNK_BYTES));
        }
        let index = self.chunks.len() - 1;
        let chunk = &mut self.chunks[index];
        let offset = ((index as u64) << CHUNK_SHIFT) | chunk.len() as u64;
        chunk.extend_from_slice(bytes);
        Text(offset << 16 | bytes.len() as u64)
    }

    /// The bytes of `text`.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "28, 20 and 16 bits are meant")]
    pub(crate) fn bytes(&self, text: Text) -> &[u8] {
        let chunk = &self.chunks[(text.0 >> (16 + CHUNK_SHIFT)) as usize];
        let start = (text.0 >> 16) as usize & (CHUNK_BYTES - 1);
        &chunk[start..start + (text.0 & 0xffff) as usize]
    }

    /// The bytes of `text` as a string.
    pub(crate) fn str(&self, text: Text) -> &str {
        std::str::from_utf8(self.bytes(text)).expect("a canonical block is UTF-8")
    }

    /// Bytes taken from the allocator.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.chunks.len() * CHUNK_BYTES + self.chunks.capacity() * size_of::<Vec<u8>>()
    }
}
