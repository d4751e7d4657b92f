//! Bodies that are encoded with gzip.
//!
//! Always holds: inflating stops at the limit, whatever the stream declares.

use super::{ApiError, ErrorKind};
use crate::message::Request;
use std::io::Read;

/// The smallest step in which an inflated body grows.
const GROW_BYTES: usize = 64 << 10;

/// Replaces a gzip-encoded body by its content; the route accepts up to `limit` bytes of it.
///
/// # Errors
/// 415 for another encoding, 413 if the body or its content is over `limit` bytes, 400 if it is not
/// gzip.
pub fn inflate_request(request: &mut Request, limit: usize) -> Result<(), ApiError> {
    if request.body.len() > limit {
        let len = request.body.len();
        return Err(ApiError::new(
            ErrorKind::TooLarge,
            format!("request body too large: {len} bytes, at most {limit} on this route"),
        ));
    }
    let Some(encoding) = request.headers.filled("content-encoding") else { return Ok(()) };
    if request.body.is_empty() || encoding.eq_ignore_ascii_case("identity") {
        return Ok(());
    }
    // Remote read names snappy as its encoding, but the message itself is a snappy block.
    if encoding.eq_ignore_ascii_case("snappy") {
        return Ok(());
    }
    if !encoding.eq_ignore_ascii_case("gzip") && !encoding.eq_ignore_ascii_case("x-gzip") {
        return Err(ApiError::new(
            ErrorKind::Unsupported,
            format!("unsupported Content-Encoding {encoding:?}: only gzip is understood"),
        ));
    }
    request.body = inflate(&request.body, limit)?;
    Ok(())
}

/// The content of the gzip stream `bytes`.
///
/// # Errors
/// As [`inflate_request`].
pub fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut out = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(bytes);
    let bad = |e: std::io::Error| ApiError::bad_data(format!("gzip: corrupt input: {e}"));
    let mut filled = 0;
    loop {
        if filled == out.len() {
            if filled > limit {
                break;
            }
            // It doubles, but to at most one byte over the limit: that byte shows that the limit is
            // exceeded.
            let grown = (filled * 2).max(GROW_BYTES).min(limit.saturating_add(1));
            out.resize(grown, 0);
        }
        match decoder.read(&mut out[filled..]).map_err(bad)? {
            0 => {
                out.truncate(filled);
                return Ok(out);
            }
            read => filled += read,
        }
    }
    Err(ApiError::new(
        ErrorKind::TooLarge,
        format!("decompressed body too large: at most {limit} bytes"),
    ))
}

#[cfg(test)]
mod tests;
