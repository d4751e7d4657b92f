//! Snappy blocks: how long they say they are, before memory is taken for them.

/// Why bytes are no block that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnappyError {
    /// They are no block.
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
/// It is no block, or over `limit`.
pub fn declared_len(body: &[u8], limit: usize) -> Result<usize, SnappyError> {
    if body.is_empty() {
        return Err(SnappyError::Corrupt);
    }
    let bytes = snap::raw::decompress_len(body).map_err(|_| SnappyError::Corrupt)?;
    if bytes > limit {
        return Err(SnappyError::TooLarge { bytes, limit });
    }
    // No snappy element makes more than 64 bytes out of three, so a short body that declares much
    // is corrupt, and is found out before memory is taken.
    if bytes as u64 * 3 > body.len() as u64 * 64 {
        return Err(SnappyError::Corrupt);
    }
    Ok(bytes)
}
