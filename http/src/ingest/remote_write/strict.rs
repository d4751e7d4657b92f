//! Walks a body field by field.

use super::{Contents, IngestError, Mode, is_label_fields, record, split_tail};
use crate::proto::{Field, Reader, Value};
use m3_metric::limits::LABEL_BLOCK_BYTES_MAX;
use m3_metric::{Labels, Record, Timestamp};

/// The state of a walk: a body and what was found in it.
pub(super) struct Walk<'a> {
    /// The decompressed body.
    pub(super) body: &'a [u8],
    /// Where the walk is.
    pub(super) at: usize,
    /// The records so far.
    pub(super) records: &'a mut Vec<Record>,
    /// Label fields that are not contiguous in the body.
    pub(super) gathered: &'a mut Vec<u8>,
    /// What was seen so far.
    pub(super) contents: Contents,
    /// The last of the samples that no namespace could store.
    pub(super) last_refused: Option<RefusedSample>,
    /// Most samples that are accepted.
    pub(super) samples_max: usize,
}

/// A sample that no namespace could store: its labels are too long, or its time out of range.
pub(super) struct RefusedSample {
    offset: usize,
    labels: usize,
    ms: i64,
}

impl Walk<'_> {
    /// Walks the whole request.
    pub(super) fn request(&mut self, mode: Mode) -> Result<(), IngestError> {
        let body = self.body;
        let mut reader = Reader::new(body);
        loop {
            self.at = reader.position();
            let Some(field) = reader.next().map_err(|what| self.malformed(what))? else {
                return Ok(());
            };
            match (field.number, field.value) {
                (1, Value::Bytes(frame)) => {
                    let start = reader.position() - frame.len();
                    self.series(start, frame, mode)?;
                }
                (3, Value::Bytes(_)) => self.contents.metadata += 1,
                (1 | 3, _) => return Err(self.malformed("wrong wire type")),
                _ => {}
            }
        }
    }

    /// Returns what the body held. Only the last refused sample gets an error text: a text for each
    /// would take longer than storing the samples.
    pub(super) fn finish(mut self) -> Contents {
        if let Some(RefusedSample { offset, labels: len, ms }) = self.last_refused {
            self.contents.refused.last = Some(match Labels::parse(self.span(offset, len)) {
                Ok(labels) => format!(
                    "timestamp out of range: id={}, timestamp_unix_millis={ms}; years 1677 to \
                     2262 can be stored, and remote write sends milliseconds",
                    labels.quoted_id()
                ),
                Err(why) => why.to_string(),
            });
        }
        self.contents
    }

    /// The `len` label bytes at `offset` of the body followed by the gathered bytes.
    fn span(&self, offset: usize, len: usize) -> &[u8] {
        match offset.checked_sub(self.body.len()) {
            // An empty span at the body's very end could be in either.
            Some(at) if len > 0 => &self.gathered[at..at + len],
            _ => &self.body[offset..offset + len],
        }
    }

    #[inline]
    fn series(&mut self, start: usize, frame: &[u8], mode: Mode) -> Result<(), IngestError> {
        if mode == Mode::Fast
            && let Some((labels, timestamp, value_bits)) = split_tail(frame)
            // Longer than labels can be: many samples, or an attack whose bytes should not be
            // hashed.
            && labels <= LABEL_BLOCK_BYTES_MAX
        {
            return self.push(record(start, labels, timestamp, value_bits));
        }
        self.series_strictly(start, frame)
    }

    fn push(&mut self, record: Record) -> Result<(), IngestError> {
        self.claim_one()?;
        self.records.push(record);
        Ok(())
    }

    /// Checks that the request may have one more sample besides the records and the refused
    /// samples.
    fn claim_one(&self) -> Result<(), IngestError> {
        let seen = self.contents.refused.count.saturating_add(self.records.len() as u64);
        if seen < self.samples_max as u64 {
            return Ok(());
        }
        Err(IngestError::TooManySamples { limit: self.samples_max })
    }

    /// Makes two passes, one to find the labels and one for the samples, which may precede the
    /// labels.
    fn series_strictly(&mut self, start: usize, frame: &[u8]) -> Result<(), IngestError> {
        let (offset, labels) = self.labels(start, frame)?;
        let mut reader = Reader::new(frame);
        while let Some(field) = reader.next().map_err(|what| self.malformed(what))? {
            match (field.number, field.value) {
                (2, Value::Bytes(sample)) => {
                    let (ms, value_bits) = self.sample(sample)?;
                    self.claim_one()?;
                    match Timestamp::from_ms(ms) {
                        Some(timestamp) if labels <= LABEL_BLOCK_BYTES_MAX => {
                            self.records.push(record(offset, labels, timestamp, value_bits));
                        }
                        _ => {
                            self.contents.refused.count += 1;
                            self.last_refused = Some(RefusedSample { offset, labels, ms });
                        }
                    }
                }
                (3, Value::Bytes(_)) => self.contents.exemplars += 1,
                (4, Value::Bytes(_)) => self.contents.histograms += 1,
                (1..=4, value) if !matches!(value, Value::Bytes(_)) => {
                    return Err(self.malformed("wrong wire type"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The position of the label fields of `frame`: in the body if they are contiguous there,
    /// otherwise in the copy behind it.
    fn labels(&mut self, start: usize, frame: &[u8]) -> Result<(usize, usize), IngestError> {
        let (mut first, mut end, mut together) = (0, 0, true);
        let mut reader = Reader::new(frame);
        loop {
            let before = reader.position();
            let Some(field) = reader.next().map_err(|what| self.malformed(what))? else { break };
            let Field { number: 1, value: Value::Bytes(_) } = field else { continue };
            let plain_tag = frame[before] == 0x0a;
            if end == 0 {
                (first, together) = (before, plain_tag);
            } else {
                together = together && plain_tag && end == before;
            }
            end = reader.position();
        }
        // Bytes that are not a label message make the request malformed. A label that breaks a rule
        // affects only its series, and the owner refuses that one.
        let (offset, labels) =
            if together { (start + first, end - first) } else { self.gather(frame)? };
        if labels > LABEL_BLOCK_BYTES_MAX || is_label_fields(self.span(offset, labels)) {
            Ok((offset, labels))
        } else {
            Err(self.malformed("a label is no label message"))
        }
    }

    fn gather(&mut self, frame: &[u8]) -> Result<(usize, usize), IngestError> {
        let start = self.gathered.len();
        let mut reader = Reader::new(frame);
        while let Some(field) = reader.next().map_err(|what| self.malformed(what))? {
            if let Field { number: 1, value: Value::Bytes(label) } = field {
                self.gathered.push(0x0a);
                m3_metric::labels::write_varint(self.gathered, label.len() as u64);
                self.gathered.extend_from_slice(label);
            }
        }
        Ok((self.body.len() + start, self.gathered.len() - start))
    }

    fn sample(&self, sample: &[u8]) -> Result<(i64, u64), IngestError> {
        let (mut ms, mut value_bits) = (0, 0);
        let mut reader = Reader::new(sample);
        while let Some(field) = reader.next().map_err(|what| self.malformed(what))? {
            match (field.number, field.value) {
                (1, Value::Fixed64(bits)) => value_bits = bits,
                (2, Value::Varint(varint)) => ms = varint.cast_signed(),
                (1 | 2, _) => return Err(self.malformed("wrong wire type in a sample")),
                _ => {}
            }
        }
        Ok((ms, value_bits))
    }

    fn malformed(&self, what: &'static str) -> IngestError {
        IngestError::Malformed { what, at: self.at }
    }
}
