//! Compresses answers with gzip.
//!
//! Always holds: an answer is compressed only if that makes it smaller.

use crate::message::{HeaderValue, Response};
use flate2::{Compress, Compression, FlushCompress, Status};

/// Answers below this many bytes are sent as they are.
pub const COMPRESS_BYTES_MIN: usize = 1024;
/// Bytes compressed before other tasks of the core may run.
const SLICE_BYTES: usize = 64 << 10;
/// The step in which a compressed answer grows.
const GROW_BYTES: usize = 64 << 10;

/// Compresses the body of `response` if that is worthwhile, and yields to other tasks between
/// slices.
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
    // The gzip frame is written by hand, because only the raw stream (with a window of 15 bits) can
    // be fed in slices.
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
