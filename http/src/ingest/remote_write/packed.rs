//! Reads a body through a small window: time, value and fingerprint of every sample, no label
//! bytes.
//!
//! A decompressed request is larger than the near cache, and a node that knows all of its series
//! reads each byte only once. So snappy's elements (`format_description.txt` of snappy) are
//! decompressed into a window that stays in the cache; each series is read in place and overwritten
//! later. Only the usual form of a body is read this way. Any other, and a corrupt one, is left to
//! [`super::Decoder::decompress`] and its errors.
//!
//! Always holds: the result is the same as that of [`super::Mode::Fast`] for the same body.

use super::{record, split_tail};
use m3_metric::{FingerprintKey, WriteBatch, fingerprint};

/// How far back an element may refer: encoders compress in blocks of this size.
const HISTORY: usize = 64 << 10;
/// Bytes of the window. It is read up to [`FILL`], so that an element of [`HISTORY`] bytes fits.
const WINDOW: usize = 256 << 10;
const FILL: usize = WINDOW - HISTORY - 1024;
/// A longer series is left to the other decoder.
const SERIES_BYTES_MAX: usize = HISTORY - 16;
/// Elements are copied in words of this many bytes. Bytes copied beyond an element's end are
/// overwritten by the next element, or lie behind the last one.
const WORD: usize = 16;
/// The longest copy.
const COPY_MAX: usize = 64;

/// Reads bodies, one after the other, through the same window.
#[derive(Debug, Default)]
pub(super) struct PackedReader {
    window: Vec<u8>,
}

impl PackedReader {
    /// Reads the elements of a block of `declared` bytes into the batch's records and fingerprints,
    /// at most `samples_max`. `None` if any part of it is unusual.
    pub(super) fn read(
        &mut self,
        elements: &[u8],
        declared: usize,
        samples_max: usize,
        key: &FingerprintKey,
        batch: &mut WriteBatch,
    ) -> Option<()> {
        self.window.resize(WINDOW, 0);
        let mut pass = Pass {
            window: &mut self.window,
            elements,
            at: 0,
            filled: 0,
            read: 0,
            key,
            samples_max,
        };
        // Bytes before the window.
        let mut before = 0;
        loop {
            pass.fill()?;
            pass.series(batch)?;
            if before + pass.filled > declared {
                return None;
            }
            if pass.at == elements.len() {
                let is_whole = pass.read == pass.filled && before + pass.filled == declared;
                return is_whole.then_some(());
            }
            before += pass.slide();
        }
    }
}

struct Pass<'a> {
    window: &'a mut [u8],
    elements: &'a [u8],
    /// Where the next element begins.
    at: usize,
    /// How far the window is filled.
    filled: usize,
    /// How far it is read.
    read: usize,
    key: &'a FingerprintKey,
    samples_max: usize,
}

impl Pass<'_> {
    /// Decompresses until the window is full or the elements end.
    fn fill(&mut self) -> Option<()> {
        let (mut at, mut filled) = (self.at, self.filled);
        while filled < FILL
            && let Some(&tag) = self.elements.get(at)
        {
            let rest = &self.elements[at + 1..];
            let (used, len) = if tag & 3 == 0 {
                literal(tag, rest, &mut self.window[filled..])?
            } else {
                copy(tag, rest, self.window, filled)?
            };
            at += 1 + used;
            filled += len;
        }
        (self.at, self.filled) = (at, filled);
        Some(())
    }

    /// Reads the series that are complete in the window.
    fn series(&mut self, batch: &mut WriteBatch) -> Option<()> {
        let window = &self.window[..self.filled];
        while let Some((begin, len)) = header(&window[self.read..])? {
            let begin = self.read + begin;
            let Some(frame) = window.get(begin..begin + len) else { break };
            let (labels, timestamp, value_bits) = split_tail(frame)?;
            if batch.records.len() >= self.samples_max {
                return None;
            }
            batch.records.push(record(0, labels, timestamp, value_bits));
            batch.fingerprints.push(self.key.fingerprint(&frame[..labels])?);
            self.read = begin + len;
        }
        Some(())
    }

    /// Moves the unread bytes to the window's front and returns by how much.
    fn slide(&mut self) -> usize {
        let keep = self.read.min(self.filled.saturating_sub(HISTORY));
        self.window.copy_within(keep..self.filled, 0);
        self.filled -= keep;
        self.read -= keep;
        keep
    }
}

/// Parses the tag and length of the series at the front of `bytes`: returns where its content
/// begins, and its length. The inner value is `None` if there are too few bytes to tell.
#[inline(always)]
fn header(bytes: &[u8]) -> Option<Option<(usize, usize)>> {
    const TAG: u8 = 0x0a;
    let Some((&tag, rest)) = bytes.split_first() else { return Some(None) };
    if tag != TAG {
        return None;
    }
    let mut len = 0;
    for (place, &byte) in rest.iter().take(3).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return (len <= SERIES_BYTES_MAX).then_some(Some((place + 2, len)));
        }
    }
    if rest.len() < 3 { Some(None) } else { None }
}

/// The size of an element: bytes behind its tag, and bytes written.
type Step = (usize, usize);

/// Writes the literal that `tag` and the bytes behind it describe.
#[inline(always)]
fn literal(tag: u8, rest: &[u8], to: &mut [u8]) -> Option<Step> {
    let short = usize::from(tag >> 2) + 1;
    if short <= WORD
        && let Some(from) = rest.first_chunk::<WORD>()
    {
        *to.first_chunk_mut()? = *from;
        return Some((short, short));
    }
    long_literal(short, rest, to)
}

#[inline(never)]
fn long_literal(short: usize, rest: &[u8], to: &mut [u8]) -> Option<Step> {
    // From 61 on, the length less one follows the tag; the value is 60 plus its number of bytes.
    let extra = short.saturating_sub(60);
    let mut len = short;
    if extra > 0 {
        let mut word = [0; 8];
        word[..extra].copy_from_slice(rest.get(..extra)?);
        len = usize::try_from(u64::from_le_bytes(word)).ok()?.checked_add(1)?;
    }
    let from = rest[extra..].get(..len)?;
    to.get_mut(..len)?.copy_from_slice(from);
    Some((extra + len, len))
}

/// Writes the copy that `tag` and the bytes behind it describe.
#[inline(always)]
fn copy(tag: u8, rest: &[u8], window: &mut [u8], filled: usize) -> Option<Step> {
    let (used, len, offset) = match tag & 3 {
        1 => {
            let offset = usize::from(tag >> 5) << 8 | usize::from(*rest.first()?);
            (1, usize::from(tag >> 2 & 7) + 4, offset)
        }
        2 => {
            let offset = u16::from_le_bytes(*rest.first_chunk()?);
            (2, usize::from(tag >> 2) + 1, usize::from(offset))
        }
        // An offset beyond the window, which no encoder writes.
        _ => return None,
    };
    let from = filled.checked_sub(offset)?;
    if offset < WORD {
        near_copy(window.get_mut(from..filled + len)?, offset)?;
        return Some((used, len));
    }
    let span: &mut [u8] = window.get_mut(from..filled + COPY_MAX)?;
    let mut done = 0;
    while done < len {
        let word: [u8; WORD] = *span[done..].first_chunk()?;
        *span[offset + done..].first_chunk_mut()? = word;
        done += WORD;
    }
    Some((used, len))
}

/// A copy that reads its own output, less than a word behind: it repeats a few bytes.
#[inline(never)]
fn near_copy(span: &mut [u8], offset: usize) -> Option<()> {
    if offset == 0 {
        return None;
    }
    for at in offset..span.len() {
        span[at] = span[at - offset];
    }
    Some(())
}

const _: () = assert!(SERIES_BYTES_MAX < FILL && FILL + HISTORY + COPY_MAX <= WINDOW);
const _: () = assert!(fingerprint::BYTES_MAX < SERIES_BYTES_MAX);
