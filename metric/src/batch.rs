//! A write batch: the samples of one request, with their labels still encoded.
//!
//! A batch is a buffer and a list of records that point into it. For remote write the buffer is the
//! decompressed body itself. So the labels of a known series need not be decoded: their bytes are
//! compared with the stored ones. A record's label bytes are therefore *unchecked* until the owner
//! finds them equal to a known series' canonical bytes, or parses them with
//! [`crate::Labels::parse`]. A batch that was read without label bytes has fingerprints instead.

use crate::{Fingerprint, Timestamp, ValueKind};

/// One sample on its way in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// Offset of the series' label fields in the batch's buffer.
    pub labels_offset: u32,
    /// Length of the label fields in bytes.
    pub labels_len: u32,
    /// When the sample was taken.
    pub timestamp: Timestamp,
    /// The sample's value, bit for bit.
    pub value_bits: u64,
}

/// The samples of one request.
#[derive(Debug, Default)]
pub struct WriteBatch {
    /// The bytes that hold the label fields of every record.
    pub buffer: Vec<u8>,
    /// The samples, in the order of the request.
    pub records: Vec<Record>,
    /// The fingerprints of the records' label bytes, if the bytes are not in the buffer.
    pub fingerprints: Vec<Fingerprint>,
    /// The kind of every value of the batch.
    pub kind: ValueKind,
}

impl WriteBatch {
    /// The label bytes of `record`.
    #[must_use]
    pub fn labels_of(&self, record: &Record) -> &[u8] {
        labels_in(&self.buffer, record)
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.clear_records();
    }

    /// Removes the records; the buffer keeps its bytes.
    pub fn clear_records(&mut self) {
        self.records.clear();
        self.fingerprints.clear();
    }
}

/// The label bytes of `record` in `buffer`.
#[must_use]
pub fn labels_in<'a>(buffer: &'a [u8], record: &Record) -> &'a [u8] {
    let start = record.labels_offset as usize;
    &buffer[start..start + record.labels_len as usize]
}
