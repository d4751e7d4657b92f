//! Remote write v1: from a snappy block to records whose labels are not decoded yet.
//!
//! A body is a list of `TimeSeries` messages. Senders write a series' labels first and its sample
//! last, so the tail of a message tells whether it is `labels..., one sample`: the label fields
//! are then everything before it, and a record points at them. That is [`Mode::Fast`].
//!
//! The tail alone cannot prove it: a message may end in bytes that look like a sample but are the
//! end of a label. So a record of the fast path is *a claim*, which its owner checks: either the
//! span's bytes equal those of a known series, which were once parsed as whole label fields, or the
//! owner parses them strictly. If the span is whole label fields, what follows it is the sample and
//! the claim is true. If not, the owner asks for [`Mode::Strict`], which walks every field of every
//! message ([`crate::api::Api::decode_strictly`]).
//!
//! A node that knows series by their fingerprints reads a body through a small window first
//! (`remote_write/packed.rs`), and decompresses it only if some of it is new or unusual.
//!
//! Messages of another form (several samples, other orders, histograms, exemplars, unknown fields)
//! are each parsed strictly at once. Labels that are not contiguous are copied to the end of the
//! buffer, one after the other.
//!
//! Always holds: both modes give the same records, in the same order, for every body whose fast
//! records have spans of whole label fields. Nothing is allocated per sample.
//!
//! Format: `prometheus.WriteRequest` (field 1 timeseries, 3 metadata), `TimeSeries` (1 labels,
//! 2 samples, 3 exemplars, 4 histograms; M3's own 101, 102 and 1001 are skipped), `Sample`
//! (1 value, 2 timestamp in milliseconds).

use crate::api::{ApiError, ErrorKind};
use crate::message::Headers;
use crate::snappy::{self, SnappyError};
use m3_metric::labels::read_label;
use m3_metric::limits::BODY_DECODED_BYTES_MAX;
use m3_metric::{FingerprintKey, Record, Refused, Timestamp, WriteBatch, WriteOutcome};

mod packed;
mod strict;

/// Samples of one request; Prometheus sends 2,000. This bounds the records, which are larger than
/// the smallest sample on the wire.
pub const SAMPLES_PER_REQUEST_MAX: usize = 1 << 20;

/// Bounds of the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of a body after decompression; at most 1 GiB, so that offsets fit into 32 bits.
    pub decoded_bytes: usize,
    /// Samples of one request.
    pub samples: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { decoded_bytes: BODY_DECODED_BYTES_MAX, samples: SAMPLES_PER_REQUEST_MAX }
    }
}

/// How to split a body into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the tail of each message; records are claims.
    Fast,
    /// Field by field; every span is whole label fields.
    Strict,
}

/// Why a body is not a remote write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestError {
    /// The body is not a snappy block.
    Snappy,
    /// The block is larger than it may be.
    TooLarge {
        /// Bytes it declares.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// More samples than a request may have.
    TooManySamples {
        /// Samples allowed.
        limit: usize,
    },
    /// The protobuf is malformed.
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Where in the decompressed body.
        at: usize,
    },
}

impl std::fmt::Display for IngestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Snappy => f.write_str("snappy: corrupt input"),
            Self::TooLarge { bytes, limit } => {
                write!(f, "decompressed body too large: {bytes} bytes, at most {limit}")
            }
            Self::TooManySamples { limit } => {
                write!(f, "too many samples in one request: at most {limit}")
            }
            Self::Malformed { what, at } => {
                write!(f, "malformed remote write request: {what} at byte {at}")
            }
        }
    }
}

impl std::error::Error for IngestError {}

impl From<SnappyError> for IngestError {
    fn from(error: SnappyError) -> Self {
        match error {
            SnappyError::Corrupt => Self::Snappy,
            SnappyError::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
        }
    }
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        let kind = match error {
            IngestError::TooLarge { .. } | IngestError::TooManySamples { .. } => {
                ErrorKind::TooLarge
            }
            _ => ErrorKind::BadData,
        };
        Self::new(kind, error.to_string())
    }
}

/// What a body held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Float samples, each a record.
    pub samples: u64,
    /// Native histograms; they cannot be stored yet.
    pub histograms: u64,
    /// Exemplars, skipped.
    pub exemplars: u64,
    /// Metadata entries, skipped.
    pub metadata: u64,
    /// Float samples that no namespace could store, whatever its options; they have no records.
    pub refused: Refused,
}

impl Contents {
    /// The outcome so far: histograms are refused, since they are not stored.
    #[must_use]
    pub fn outcome(&self) -> WriteOutcome {
        let mut outcome = WriteOutcome { bad: self.refused.clone(), ..WriteOutcome::default() };
        if self.histograms > 0 {
            let why = format!(
                "native histograms are not supported yet: {} not stored; send classic histograms",
                self.histograms
            );
            outcome.bad.add(self.histograms, why);
        }
        outcome
    }
}

/// Decodes remote writes, one after the other, with reused memory.
#[derive(Debug)]
pub struct Decoder {
    limits: DecodeLimits,
    snappy: snap::raw::Decoder,
    /// Label fields that are not contiguous, until they are copied to the buffer's end.
    gathered: Vec<u8>,
    packed: packed::PackedReader,
}

impl Decoder {
    /// A decoder within `limits`.
    #[must_use]
    pub fn new(limits: DecodeLimits) -> Self {
        let decoded_bytes = limits.decoded_bytes.min(1 << 30);
        Self {
            limits: DecodeLimits { decoded_bytes, ..limits },
            snappy: snap::raw::Decoder::new(),
            gathered: Vec::new(),
            packed: packed::PackedReader::default(),
        }
    }

    /// Reads the samples of `body` and the fingerprints of their series into the batch, which then
    /// has no label bytes. Returns false if the body must be decompressed. The result is the same
    /// as that of [`Mode::Fast`].
    pub fn read_packed(
        &mut self,
        body: &[u8],
        key: &FingerprintKey,
        batch: &mut WriteBatch,
    ) -> bool {
        batch.clear_records();
        let varint = body.iter().take(5).position(|byte| *byte < 0x80);
        let declared = declared_len(body, self.limits.decoded_bytes);
        let (Some(last), Ok(declared)) = (varint, declared) else { return false };
        let (elements, most) = (&body[last + 1..], self.limits.samples);
        let read = self.packed.read(elements, declared, most, key, batch);
        if read.is_none() {
            batch.clear_records();
        }
        read.is_some()
    }

    /// Decompresses `body` into the batch's buffer and returns the length. Old bytes in the buffer
    /// are overwritten.
    ///
    /// # Errors
    /// The body is not a snappy block or is larger than allowed; the content of the batch is then
    /// unspecified.
    pub fn decompress(
        &mut self,
        body: &[u8],
        batch: &mut WriteBatch,
    ) -> Result<usize, IngestError> {
        batch.clear_records();
        let length = declared_len(body, self.limits.decoded_bytes)?;
        if batch.buffer.len() < length {
            batch.buffer.resize(length, 0);
        } else {
            batch.buffer.truncate(length);
        }
        match self.snappy.decompress(body, &mut batch.buffer) {
            Ok(written) if written == length => Ok(length),
            _ => Err(IngestError::Snappy),
        }
    }

    /// Splits the first `body_len` bytes of the batch's buffer into records.
    ///
    /// # Errors
    /// The body is malformed; nothing of it must be stored.
    pub fn split(
        &mut self,
        body_len: usize,
        batch: &mut WriteBatch,
        mode: Mode,
    ) -> Result<Contents, IngestError> {
        self.gathered.clear();
        let WriteBatch { buffer, records, .. } = batch;
        let mut walk = strict::Walk {
            body: &buffer[..body_len],
            at: 0,
            records,
            gathered: &mut self.gathered,
            contents: Contents::default(),
            last_refused: None,
            samples_max: self.limits.samples,
        };
        walk.request(mode)?;
        let contents = walk.finish();
        buffer.extend_from_slice(&self.gathered);
        Ok(Contents { samples: batch.records.len() as u64, ..contents })
    }
}

/// The length that a snappy block declares. It is checked before memory is allocated.
///
/// # Errors
/// The body is not a snappy block, or is over `limit`.
pub fn declared_len(body: &[u8], limit: usize) -> Result<usize, IngestError> {
    Ok(snappy::declared_len(body, limit)?)
}

/// Whether `span` is whole label fields. If so, the record of the fast path is true.
#[must_use]
pub fn is_label_fields(span: &[u8]) -> bool {
    let mut rest = span;
    while !rest.is_empty() {
        if read_label(&mut rest).is_err() {
            return false;
        }
    }
    true
}

/// The one sample at the end of `frame`, if it ends as senders write it. Returns the bytes of label
/// fields before it, its time, and its value.
#[inline]
fn split_tail(frame: &[u8]) -> Option<(usize, Timestamp, u64)> {
    const FULL: usize = 18;
    const ZERO: usize = 9;
    let len = frame.len();
    // A series without labels, or whose first field is another, is parsed strictly.
    if len <= ZERO || frame[0] != 0x0a {
        return None;
    }
    if len > FULL {
        let tail: &[u8; FULL] = frame.last_chunk()?;
        if tail[0] == 0x12 && tail[1] == 16 && tail[2] == 0x09 && tail[11] == 0x10 {
            let value = u64::from_le_bytes(*tail[3..].first_chunk()?);
            return Some((len - FULL, time_of(tail.last_chunk()?)?, value));
        }
    }
    let tail: &[u8; ZERO] = frame.last_chunk()?;
    if tail[0] == 0x12 && tail[1] == 7 && tail[2] == 0x10 {
        // Protobuf omits a value of zero; its bits are those of positive zero.
        return Some((len - ZERO, time_of(tail.last_chunk()?)?, 0));
    }
    None
}

/// A varint of exactly six bytes: any time in milliseconds between 1971 and 2109.
#[inline]
fn time_of(bytes: &[u8; 6]) -> Option<Timestamp> {
    let mut word = [0u8; 8];
    word[..6].copy_from_slice(bytes);
    let word = u64::from_le_bytes(word);
    const MORE: u64 = 0x0080_8080_8080;
    if word & 0x8080_8080_8080 != MORE || bytes[5] == 0 {
        return None;
    }
    let mut ms = 0;
    for (place, &byte) in bytes.iter().enumerate() {
        ms |= u64::from(byte & 0x7f) << (7 * place);
    }
    Timestamp::from_ms(ms.cast_signed())
}

/// A record of `labels` bytes at `offset`.
fn record(offset: usize, labels: usize, timestamp: Timestamp, value_bits: u64) -> Record {
    let narrow = |n: usize| u32::try_from(n).expect("bodies are bounded by 1 GiB");
    Record { labels_offset: narrow(offset), labels_len: narrow(labels), timestamp, value_bits }
}

/// Checks that the headers of a write announce a format that this decoder reads. A content type
/// without `proto=` means version 1, and so does a missing one: M3 ignores it, and `curl` sends its
/// own.
///
/// # Errors
/// 415, whose text names what is understood.
pub fn negotiate(headers: &Headers) -> Result<(), ApiError> {
    if let Some(encoding) = headers.filled("content-encoding")
        && !encoding.eq_ignore_ascii_case("snappy")
    {
        return Err(ApiError::new(
            ErrorKind::Unsupported,
            format!("unsupported Content-Encoding {encoding:?}: only snappy is understood"),
        ));
    }
    let content_type = headers.filled("content-type").unwrap_or_default();
    for parameter in content_type.split(';').skip(1) {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        if name.trim().eq_ignore_ascii_case("proto") && value != "prometheus.WriteRequest" {
            return Err(ApiError::new(
                ErrorKind::Unsupported,
                format!(
                    "unsupported remote write message {value:?}: only prometheus.WriteRequest \
                     (version 1) is understood"
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
