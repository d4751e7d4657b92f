//! Chunked bodies: the result does not depend on how they are cut, and is the same as a naive
//! reader's.

use crate::cut::Cut;
use m3_http::wire::WireError;
use m3_http::wire::body::{CHUNK_EXTRAS_MAX, Chunked};

/// Limits of the body to try.
const LIMITS: [usize; 2] = [16, 1 << 20];

/// A body and the number of bytes read, or `None` if it has not ended.
type Read = Result<Option<(Vec<u8>, usize)>, WireError>;

/// Reads `data` as a chunked body and what follows it.
///
/// # Panics
/// If a promise of the reader is broken.
pub fn run(data: &[u8]) {
    for limit in LIMITS {
        let whole = read(data, Cut::Whole, limit);
        for cut in Cut::all(data) {
            assert_eq!(whole, read(data, cut, limit), "cut as {cut:?}");
        }
        let naive = naive(data);
        match &whole {
            Ok(Some((body, taken))) => {
                assert!(body.len() <= limit && *taken <= data.len());
                assert_eq!(naive, Some((body.clone(), *taken)));
            }
            Ok(None) => assert_eq!(naive, None),
            // The naive reader has no limits.
            Err(WireError::BodyTooLong { .. }) => {}
            Err(_) => assert!(naive.is_none() || data.len() > CHUNK_EXTRAS_MAX),
        }
    }
}

fn read(data: &[u8], cut: Cut, limit: usize) -> Read {
    let mut chunked = Chunked::default();
    let (mut out, mut at) = (Vec::new(), 0);
    for end in cut.ends(data.len()) {
        let (taken, done) = chunked.feed(&data[at..end], &mut out, limit)?;
        assert!(out.len() <= limit, "a body within its limit");
        at += taken;
        if done {
            let more = chunked.feed(b"GET / HTTP/1.1", &mut out, limit);
            assert_eq!(more, Ok((0, true)), "what follows is the next request's");
            return Ok(Some((out, at)));
        }
        assert_eq!(at, end, "all is taken until the body ends");
    }
    Ok(None)
}

/// Reads a body line by line, as RFC 9112 defines it.
fn naive(data: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line = line(data, &mut at)?;
        let digits = line.split(|byte| *byte == b';').next()?;
        if digits.len() > 15 || digits.first() == Some(&b'+') {
            return None;
        }
        let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        let end = at.checked_add(size)?;
        body.extend_from_slice(data.get(at..end)?);
        at = end;
        if !self::line(data, &mut at)?.is_empty() {
            return None;
        }
    }
    loop {
        let line = line(data, &mut at)?;
        match line.first() {
            None => return Some((body, at)),
            Some(b' ' | b'\t') => return None,
            Some(_) => {}
        }
    }
}

/// The line at `at`, which ends in CR LF and holds neither.
fn line<'a>(data: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let rest = data.get(*at..)?;
    let len = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    if rest.get(len..len + 2)? != b"\r\n" {
        return None;
    }
    *at += len + 2;
    Some(&rest[..len])
}
