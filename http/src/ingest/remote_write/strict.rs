//! The walk over a body, field by field.

use super::{Found, IngestError, Mode, is_label_fields, record, split_tail};
use crate::proto::{Field, Reader, Value};
use m3_metric::Record;
use m3_metric::limits::LABEL_BLOCK_BYTES_MAX;

/// A body on its way into records.
pub(super) struct Walk<'a> {
    /// The decompressed body.
    pub(super) body: &'a [u8],
    /// Where the walk is.
    pub(super) at: usize,
    /// What came out so far.
    pub(super) records: &'a mut Vec<Record>,
    /// Label fields that did not stand together.
    pub(super) gathered: &'a mut Vec<u8>,
    /// What was seen so far.
    pub(super) found: Found,
    /// How many records there may be.
    pub(super) samples_max: usize,
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
                (3, Value::Bytes(_)) => self.found.metadata += 1,
                (1 | 3, _) => return Err(self.malformed("wrong wire type")),
                _ => {}
            }
        }
    }

    #[inline]
    fn series(&mut self, start: usize, frame: &[u8], mode: Mode) -> Result<(), IngestError> {
        if mode == Mode::Fast
            && let Some((labels, ms, value_bits)) = split_tail(frame)
            // Longer than labels can be: many samples, or an attack that nobody is to hash.
            && labels <= LABEL_BLOCK_BYTES_MAX
        {
            return self.push(record(start, labels, ms, value_bits)?);
        }
        self.series_strictly(start, frame)
    }

    fn push(&mut self, record: Record) -> Result<(), IngestError> {
        if self.records.len() >= self.samples_max {
            return Err(IngestError::TooManySamples { limit: self.samples_max });
        }
        self.records.push(record);
        Ok(())
    }

    /// Two passes: one to find where the labels are, one for the samples, which may stand before.
    fn series_strictly(&mut self, start: usize, frame: &[u8]) -> Result<(), IngestError> {
        let (offset, labels) = self.labels(start, frame)?;
        let mut reader = Reader::new(frame);
        while let Some(field) = reader.next().map_err(|what| self.malformed(what))? {
            match (field.number, field.value) {
                (2, Value::Bytes(sample)) => {
                    let (ms, value_bits) = self.sample(sample)?;
                    if labels > LABEL_BLOCK_BYTES_MAX {
                        self.found.oversized += 1;
                        self.found.oversized_bytes = labels;
                        continue;
                    }
                    self.push(record(offset, labels, ms, value_bits)?)?;
                }
                (3, Value::Bytes(_)) => self.found.exemplars += 1,
                (4, Value::Bytes(_)) => self.found.histograms += 1,
                (1..=4, value) if !matches!(value, Value::Bytes(_)) => {
                    return Err(self.malformed("wrong wire type"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where the label fields of `frame` are: in the body if they stand together there, otherwise
    /// copied together behind it.
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
        // A label that is no message at all spoils the request; one that breaks a rule spoils only
        // its series, and the owner says so.
        let (offset, labels) =
            if together { (start + first, end - first) } else { self.gather(frame)? };
        let span = match offset.checked_sub(self.body.len()) {
            Some(gathered) if !together => &self.gathered[gathered..],
            _ => &self.body[offset..offset + labels],
        };
        if labels > LABEL_BLOCK_BYTES_MAX || is_label_fields(span) {
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
