//! gzip both ways.
//!
//! Always holds: inflating stops at the limit, whatever the stream declares; an answer is
//! compressed only where it becomes smaller.

use crate::api::{ApiError, ErrorKind};
use crate::message::{HeaderValue, Request, Response};
use flate2::{Compress, Compression, FlushCompress, Status};
use std::io::Read;

/// Answers below this many bytes are sent as they are.
pub const COMPRESS_BYTES_MIN: usize = 1024;
/// Bytes compressed before other tasks of the core get their turn.
const SLICE_BYTES: usize = 64 << 10;
/// The smallest step in which an inflated body grows.
const GROW_BYTES: usize = 64 << 10;

/// Replaces a gzip-encoded body by its content, which the route takes up to `limit` bytes of.
///
/// # Errors
/// 415 for another encoding, 413 if the body or its content is over `limit` bytes, 400 if it is no
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
    // Remote read announces its snappy, which belongs to the message.
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
            // Doubling, but one byte over the limit at most: that byte tells it is exceeded.
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

/// Compresses the body of `response` if it is worth it, giving way between slices.
pub(super) async fn deflate_response(response: &mut Response) {
    if response.body.len() <= COMPRESS_BYTES_MIN || response.header("content-encoding").is_some() {
        return;
    }
    let Some(compressed) = deflate(&response.body).await else { return };
    if compressed.len() < response.body.len() {
        response.body = compressed;
        response.headers.push(("Content-Encoding", HeaderValue::Borrowed("gzip")));
        response.headers.push(("Vary", HeaderValue::Borrowed("Accept-Encoding")));
    }
}

async fn deflate(body: &[u8]) -> Option<Vec<u8>> {
    // The window of 15 bits and a gzip frame, written by hand because the raw stream can be fed in
    // slices.
    let mut stream = Compress::new(Compression::fast(), false);
    let mut crc = flate2::Crc::new();
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];
    for (index, slice) in body.chunks(SLICE_BYTES).enumerate() {
        if index > 0 {
            m3_io::yield_now().await;
        }
        crc.update(slice);
        push(&mut stream, slice, &mut out, FlushCompress::None)?;
    }
    push(&mut stream, &[], &mut out, FlushCompress::Finish)?;
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&crc.amount().to_le_bytes());
    Some(out)
}

fn push(
    stream: &mut Compress,
    mut slice: &[u8],
    out: &mut Vec<u8>,
    flush: FlushCompress,
) -> Option<()> {
    loop {
        out.reserve(GROW_BYTES);
        let before = stream.total_in();
        let status = stream.compress_vec(slice, out, flush).ok()?;
        let taken = usize::try_from(stream.total_in() - before).ok()?;
        slice = slice.get(taken..)?;
        let finished = match flush {
            FlushCompress::Finish => status == Status::StreamEnd,
            _ => slice.is_empty(),
        };
        if finished {
            return Some(());
        }
    }
}
