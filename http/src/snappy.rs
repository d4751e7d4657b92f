//! Snappy blocks: their declared length, before memory is allocated for it.

/// Why bytes are not an acceptable block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnappyError {
    /// They are not a block.
    Corrupt,
    /// The block is larger than it may be.
    TooLarge {
        /// Bytes it declares.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// The length that a block declares.
///
/// # Errors
/// It is not a block, or is over `limit`.
pub fn declared_len(body: &[u8], limit: usize) -> Result<usize, SnappyError> {
    if body.is_empty() {
        return Err(SnappyError::Corrupt);
    }
    let bytes = snap::raw::decompress_len(body).map_err(|_| SnappyError::Corrupt)?;
    if bytes > limit {
        return Err(SnappyError::TooLarge { bytes, limit });
    }
    // No snappy element turns three bytes into more than 64. So a short body that declares a large
    // length is corrupt, which is found before memory is allocated.
    if bytes as u64 * 3 > body.len() as u64 * 64 {
        return Err(SnappyError::Corrupt);
    }
    Ok(bytes)
}
