//! The payload of a frame: definitions of series, and samples of series.
//!
//! A sample is encoded relative to the previous one in its section, never to an earlier frame, so
//! that losing one frame does not change what another means.

use super::frame::FRAME_HEADER_BYTES;
use crate::series::SeriesSample;
use m3_metric::labels::{read_varint, write_varint};
use m3_metric::{NamespaceId, ValueKind};

const ENTRY_SERIES: u8 = 1;
const ENTRY_SAMPLES: u8 = 2;

const NEXT_SERIES: u8 = 1 << 3;
const SAME_TIME: u8 = 1 << 4;
const TIME_IN_MS: u8 = 1 << 5;

/// A payload under construction. Series are written at once; samples gather in an open section.
///
/// The buffer begins with room for the frame's header, so that a frame can be written as a single
/// buffer.
#[derive(Debug)]
pub struct Payload {
    bytes: Vec<u8>,
    section: Vec<u8>,
    section_count: u32,
    last: Option<SeriesSample>,
}

impl Default for Payload {
    fn default() -> Self {
        let bytes = vec![0; FRAME_HEADER_BYTES];
        Self { bytes, section: Vec::new(), section_count: 0, last: None }
    }
}

impl Payload {
    /// Bytes gathered so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - FRAME_HEADER_BYTES + self.section.len()
    }

    /// Whether nothing has been appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the labels of `series`.
    pub fn series(
        &mut self,
        namespace: NamespaceId,
        series: u32,
        shard: u32,
        kind: ValueKind,
        canonical: &[u8],
    ) {
        self.bytes.push(ENTRY_SERIES);
        write_varint(&mut self.bytes, u64::from(namespace.0));
        write_varint(&mut self.bytes, u64::from(series));
        write_varint(&mut self.bytes, u64::from(shard));
        self.bytes.push(kind as u8);
        write_varint(&mut self.bytes, canonical.len() as u64);
        self.bytes.extend_from_slice(canonical);
    }

    /// Adds a sample to the open section.
    #[inline]
    pub fn sample(&mut self, sample: SeriesSample) {
        let last = self.last.unwrap_or(SeriesSample { series: u32::MAX, ts_ns: 0, bits: 0 });
        self.last = Some(sample);
        self.section_count += 1;
        let at = self.section.len();
        self.section.push(0);
        let (class, count) = value_class(sample.bits, last.bits);
        let mut control = class;
        if sample.series == last.series.wrapping_add(1) {
            control |= NEXT_SERIES;
        } else {
            let change = i64::from(sample.series) - i64::from(last.series);
            write_varint(&mut self.section, zigzag(change));
        }
        if sample.ts_ns == last.ts_ns {
            control |= SAME_TIME;
        } else {
            let change = sample.ts_ns.wrapping_sub(last.ts_ns);
            if change % 1_000_000 == 0 {
                control |= TIME_IN_MS;
                write_varint(&mut self.section, zigzag(change / 1_000_000));
            } else {
                write_varint(&mut self.section, zigzag(change));
            }
        }
        self.section.extend_from_slice(&value_bytes(class, sample.bits)[..count]);
        self.section[at] = control;
    }

    /// Closes the section; its samples belong to `namespace`.
    pub fn end_section(&mut self, namespace: NamespaceId) {
        if self.section_count == 0 {
            return;
        }
        self.bytes.push(ENTRY_SAMPLES);
        write_varint(&mut self.bytes, u64::from(namespace.0));
        write_varint(&mut self.bytes, u64::from(self.section_count));
        write_varint(&mut self.bytes, self.section.len() as u64);
        self.bytes.extend_from_slice(&self.section);
        self.section.clear();
        self.section_count = 0;
        self.last = None;
    }

    /// Returns the finished payload, preceded by room for a frame's header. `empty` is cleared and
    /// becomes the buffer for the next payload.
    ///
    /// # Panics
    /// If a section is open.
    pub fn take(&mut self, mut empty: Vec<u8>) -> Vec<u8> {
        assert!(self.section_count == 0, "a request ends its section before it lets go");
        empty.clear();
        empty.resize(FRAME_HEADER_BYTES, 0);
        std::mem::replace(&mut self.bytes, empty)
    }
}

const fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ (value >> 63)) as u64
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Value classes. 0: +0.0. 1..=4: an integer of 1, 2, 4, 6 bytes. 5: the high four bytes of a float
/// whose low four are zero. 6: all eight bytes. 7: the same as the previous sample in this section.
#[inline]
fn value_class(bits: u64, last: u64) -> (u8, usize) {
    if bits == 0 {
        return (0, 0);
    }
    if bits == last {
        return (7, 0);
    }
    let value = f64::from_bits(bits);
    let whole = value as i64;
    if (whole as f64).to_bits() == bits {
        if whole as i8 as i64 == whole {
            return (1, 1);
        }
        if whole as i16 as i64 == whole {
            return (2, 2);
        }
        if whole as i32 as i64 == whole {
            return (3, 4);
        }
        if whole.unsigned_abs() < 1 << 47 {
            return (4, 6);
        }
    }
    if bits.trailing_zeros() >= 32 { (5, 4) } else { (6, 8) }
}

#[inline]
const fn value_bytes(class: u8, bits: u64) -> [u8; 8] {
    match class {
        1..=4 => (f64::from_bits(bits) as i64).to_le_bytes(),
        5 => (bits >> 32).to_le_bytes(),
        _ => bits.to_le_bytes(),
    }
}

/// A payload with a correct checksum that cannot be decoded: another version or a bug wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEntry(pub &'static str);

/// One entry of a payload.
#[derive(Debug)]
pub enum Entry<'a> {
    /// From here on, `series` stands for a series in this run's log.
    Series {
        /// Its namespace.
        namespace: NamespaceId,
        /// Its ordinal in this run's log.
        series: u32,
        /// Its virtual shard.
        shard: u32,
        /// The kind of its values.
        kind: ValueKind,
        /// Its canonical labels.
        labels: &'a [u8],
    },
    /// Samples of one namespace.
    Samples {
        /// The namespace.
        namespace: NamespaceId,
        /// The samples.
        samples: Samples<'a>,
    },
}

/// Decodes the entries of a payload.
pub struct Entries<'a>(pub &'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, BadEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = read_entry(&mut self.0);
        if entry.is_err() {
            self.0 = &[];
        }
        Some(entry)
    }
}

fn read_entry<'a>(rest: &mut &'a [u8]) -> Result<Entry<'a>, BadEntry> {
    let kind = byte(rest)?;
    let namespace = NamespaceId(number(rest)?);
    match kind {
        ENTRY_SERIES => {
            let series = number(rest)?;
            let shard = number(rest)?;
            let kind = ValueKind::from_code(byte(rest)?).ok_or(BadEntry("unknown value kind"))?;
            let len = number(rest)? as usize;
            let (labels, tail) = rest.split_at_checked(len).ok_or(BadEntry("labels past end"))?;
            *rest = tail;
            Ok(Entry::Series { namespace, series, shard, kind, labels })
        }
        ENTRY_SAMPLES => {
            let count = number(rest)?;
            let len = number(rest)? as usize;
            let (bytes, tail) = rest.split_at_checked(len).ok_or(BadEntry("samples past end"))?;
            *rest = tail;
            let last = SeriesSample { series: u32::MAX, ts_ns: 0, bits: 0 };
            Ok(Entry::Samples { namespace, samples: Samples { bytes, count, last } })
        }
        _ => Err(BadEntry("unknown entry")),
    }
}

/// The samples of one section.
#[derive(Debug)]
pub struct Samples<'a> {
    bytes: &'a [u8],
    count: u32,
    last: SeriesSample,
}

impl Samples<'_> {
    /// The number of samples left.
    #[must_use]
    pub const fn remaining(&self) -> u32 {
        self.count
    }

    fn read(&mut self) -> Result<SeriesSample, BadEntry> {
        let control = byte(&mut self.bytes)?;
        let mut sample = self.last;
        if control & NEXT_SERIES != 0 {
            sample.series = sample.series.wrapping_add(1);
        } else {
            let change = unzigzag(varint(&mut self.bytes)?);
            let series = i64::from(sample.series).saturating_add(change);
            sample.series = u32::try_from(series).map_err(|_| BadEntry("series out of range"))?;
        }
        if control & SAME_TIME == 0 {
            let change = unzigzag(varint(&mut self.bytes)?);
            let scale = if control & TIME_IN_MS == 0 { 1 } else { 1_000_000 };
            sample.ts_ns = sample.ts_ns.wrapping_add(change.wrapping_mul(scale));
        }
        sample.bits = self.read_value(control & 7)?;
        self.last = sample;
        Ok(sample)
    }

    fn read_value(&mut self, class: u8) -> Result<u64, BadEntry> {
        let count = match class {
            0 => return Ok(0),
            7 => return Ok(self.last.bits),
            1 => 1,
            2 => 2,
            3 | 5 => 4,
            4 => 6,
            _ => 8,
        };
        let (head, tail) = self.bytes.split_at_checked(count).ok_or(BadEntry("value past end"))?;
        let mut word = [0u8; 8];
        word[..count].copy_from_slice(head);
        self.bytes = tail;
        let word = u64::from_le_bytes(word);
        Ok(match class {
            1..=4 => {
                let unused = 64 - 8 * count as u32;
                ((((word << unused) as i64) >> unused) as f64).to_bits()
            }
            5 => word << 32,
            _ => word,
        })
    }
}

impl Iterator for Samples<'_> {
    type Item = Result<SeriesSample, BadEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.count == 0 {
            return (!std::mem::take(&mut self.bytes).is_empty())
                .then_some(Err(BadEntry("bytes after the last sample")));
        }
        self.count -= 1;
        let sample = self.read();
        if sample.is_err() {
            self.count = 0;
            self.bytes = &[];
        }
        Some(sample)
    }
}

fn byte(rest: &mut &[u8]) -> Result<u8, BadEntry> {
    let (&first, tail) = rest.split_first().ok_or(BadEntry("entry past end"))?;
    *rest = tail;
    Ok(first)
}

fn varint(rest: &mut &[u8]) -> Result<u64, BadEntry> {
    read_varint(rest).map_err(|_| BadEntry("number past end"))
}

fn number(rest: &mut &[u8]) -> Result<u32, BadEntry> {
    u32::try_from(varint(rest)?).map_err(|_| BadEntry("number over 32 bits"))
}

#[cfg(test)]
mod tests;
