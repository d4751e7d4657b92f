//! Labels: a series' identity, as one block of bytes.
//!
//! The block is the label fields of a remote-write `TimeSeries` message, exactly as they stand on
//! the wire: for each label `0A <len> 0A <name len> <name> 12 <value len> <value>`, lengths as
//! protobuf varints. It is *canonical* when names ascend bytewise without repetition, no name or
//! value is empty, all are UTF-8 and every length has its shortest form. A well-behaved sender's
//! bytes are canonical already, so identity is byte equality and nothing is decoded for a known
//! series.
//!
//! Always holds: a [`Labels`] is canonical. Two `Labels` are equal if and only if their bytes are.
//!
//! Format: the `Label` and `TimeSeries` messages of Prometheus' remote write 1.0
//! (fields 1 and 2 of `Label`, field 1 of `TimeSeries`).

mod id;

pub use id::{QUOTED_ID_VERSION, quoted_id};

use crate::limits::{LABEL_BLOCK_BYTES_MAX, LABEL_LITERAL_BYTES_MAX, LABELS_PER_SERIES_MAX};
use std::cmp::Ordering;
use std::fmt;

/// The label that names the metric.
pub const METRIC_NAME: &str = "__name__";

/// Why a block of label bytes is no series' identity. The texts are M3's where M3 has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelError {
    /// The bytes are not label fields.
    Malformed(&'static str),
    /// A name or a value is not UTF-8.
    NotUtf8,
    /// A label without a name.
    NameEmpty {
        /// The label's position.
        index: usize,
    },
    /// A label without a value.
    ValueEmpty {
        /// The label's position.
        index: usize,
        /// The label's name.
        name: String,
    },
    /// Two labels of one name.
    Duplicate {
        /// The name.
        name: String,
        /// All labels, as `name=value` pairs.
        labels: String,
    },
    /// A name or a value over the limit.
    LiteralTooLong {
        /// Bytes of the name.
        name_bytes: usize,
        /// Bytes of the value.
        value_bytes: usize,
        /// Bytes allowed of the one that is too long.
        max: usize,
    },
    /// More labels than a series may have.
    TooMany {
        /// How many were seen.
        count: usize,
        /// How many may be.
        max: usize,
    },
    /// The whole block is over the limit.
    BlockTooLong {
        /// Bytes of the block.
        bytes: usize,
    },
    /// No label at all.
    None,
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "malformed labels: {what}"),
            Self::NotUtf8 => f.write_str("label names and values must be UTF-8"),
            Self::NameEmpty { index } => write!(f, "tag name empty: index={index}"),
            Self::ValueEmpty { index, name } => {
                write!(f, "tag value empty: index={index}, name={name}")
            }
            Self::Duplicate { name, labels } => {
                write!(f, "tags duplicate: '{name}' appears more than once in '{labels}'")
            }
            Self::LiteralTooLong { name_bytes, value_bytes, max } => write!(
                f,
                "label literal is too long: nameLength={name_bytes}, valueLength={value_bytes}, \
                 maxLength={max}"
            ),
            Self::TooMany { count, max } => {
                write!(f, "too many labels: count={count}, max={max}")
            }
            Self::BlockTooLong { bytes } => {
                write!(f, "labels too long: bytes={bytes}, max={LABEL_BLOCK_BYTES_MAX}")
            }
            Self::None => f.write_str("no tags"),
        }
    }
}

impl std::error::Error for LabelError {}

/// What a node takes of a new series, within what a [`Labels`] can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelLimits {
    /// Labels of a series.
    pub count: usize,
    /// Bytes of a label's name.
    pub name_bytes: usize,
    /// Bytes of a label's value.
    pub value_bytes: usize,
}

impl Default for LabelLimits {
    fn default() -> Self {
        let (name_bytes, value_bytes) = (LABEL_LITERAL_BYTES_MAX, LABEL_LITERAL_BYTES_MAX);
        Self { count: LABELS_PER_SERIES_MAX, name_bytes, value_bytes }
    }
}

impl LabelLimits {
    /// Checks the canonical block of a series.
    ///
    /// # Errors
    /// The first limit that it is over.
    pub fn check(&self, canonical: &[u8]) -> Result<(), LabelError> {
        // What every block keeps needs no look.
        if *self == Self::default() {
            return Ok(());
        }
        let mut count = 0;
        for (name, value) in iter_canonical(canonical) {
            count += 1;
            let over_name = (name.len() > self.name_bytes).then_some(self.name_bytes);
            let over_value = (value.len() > self.value_bytes).then_some(self.value_bytes);
            if let Some(max) = over_name.or(over_value) {
                let (name_bytes, value_bytes) = (name.len(), value.len());
                return Err(LabelError::LiteralTooLong { name_bytes, value_bytes, max });
            }
        }
        if count > self.count {
            return Err(LabelError::TooMany { count, max: self.count });
        }
        Ok(())
    }
}

/// A series' labels, canonical.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Labels(Box<[u8]>);

impl Labels {
    /// The labels whose canonical block is `bytes`, which another `Labels` gave out.
    ///
    /// # Panics
    /// Iterating panics if the bytes are not a canonical block.
    #[must_use]
    pub fn from_canonical(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Reads label fields as a sender wrote them, in any order, and makes them canonical.
    ///
    /// # Errors
    /// The first rule that the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<Self, LabelError> {
        // Refused before anything is copied: a block over the limit may be a body of label bytes.
        if bytes.len() > LABEL_BLOCK_BYTES_MAX {
            return Err(LabelError::BlockTooLong { bytes: bytes.len() });
        }
        let mut builder = LabelsBuilder::default();
        let mut rest = bytes;
        let mut index = 0;
        while !rest.is_empty() {
            if index == LABELS_PER_SERIES_MAX {
                return Err(LabelError::TooMany { count: index + 1, max: LABELS_PER_SERIES_MAX });
            }
            let (name, value) = read_label(&mut rest)?;
            let name = std::str::from_utf8(name).map_err(|_| LabelError::NotUtf8)?;
            let value = std::str::from_utf8(value).map_err(|_| LabelError::NotUtf8)?;
            check_label(index, name, value)?;
            builder.pairs.push((name.to_owned(), value.to_owned()));
            index += 1;
        }
        builder.finish_checked()
    }

    /// Labels from pairs in any order, by the rules of a write.
    ///
    /// # Errors
    /// The first rule that the pairs break.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, LabelError> {
        let mut builder = LabelsBuilder::default();
        for (index, (name, value)) in pairs.into_iter().enumerate() {
            check_label(index, name, value)?;
            builder.pairs.push((name.to_owned(), value.to_owned()));
        }
        builder.finish_checked()
    }

    /// The canonical block.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Names and values, names ascending.
    #[must_use]
    pub fn iter(&self) -> LabelsIter<'_> {
        iter_canonical(&self.0)
    }

    /// The value of label `name`, if the series has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A builder that starts from these labels.
    #[must_use]
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    /// Only the labels for which `keep` holds. The bytes are copied, not encoded again.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        let mut out = Vec::with_capacity(self.0.len());
        let mut rest: &[u8] = &self.0;
        while !rest.is_empty() {
            let before = rest;
            let (name, _) = read_label(&mut rest).expect("a Labels is canonical");
            if keep(text(name)) {
                out.extend_from_slice(&before[..before.len() - rest.len()]);
            }
        }
        Self(out.into())
    }

    /// M3's series id in its default scheme `quoted`: `{name="value",…}`, names ascending.
    #[must_use]
    pub fn quoted_id(&self) -> String {
        quoted_id(&self.0)
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.quoted_id())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Prometheus' order of label sets: label by label, name before value, the shorter set first.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

/// Iterates over the names and values of a canonical block.
#[derive(Clone)]
pub struct LabelsIter<'a>(&'a [u8]);

/// Names and values of the canonical block `bytes`, names ascending.
#[must_use]
pub fn iter_canonical(bytes: &[u8]) -> LabelsIter<'_> {
    LabelsIter(bytes)
}

impl<'a> Iterator for LabelsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (name, value) = read_label(&mut self.0).expect("the block is canonical");
        Some((text(name), text(value)))
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the block is canonical")
}

/// Collects labels and makes them canonical. Unlike a write, a builder leaves out empty values:
/// in PromQL a label without a value does not exist.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Sets `name` to `value`; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.remove(name);
        if !value.is_empty() {
            self.pairs.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|(n, _)| n != name);
        self
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The labels.
    #[must_use]
    pub fn finish(mut self) -> Labels {
        self.pairs.sort_unstable();
        self.encode()
    }

    fn finish_checked(mut self) -> Result<Labels, LabelError> {
        if self.pairs.is_empty() {
            return Err(LabelError::None);
        }
        if self.pairs.len() > LABELS_PER_SERIES_MAX {
            return Err(LabelError::TooMany {
                count: self.pairs.len(),
                max: LABELS_PER_SERIES_MAX,
            });
        }
        self.pairs.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(two) = self.pairs.windows(2).find(|two| two[0].0 == two[1].0) {
            let labels: Vec<_> = self.pairs.iter().map(|(n, v)| format!("{n}: {v}")).collect();
            return Err(LabelError::Duplicate {
                name: two[0].0.clone(),
                labels: labels.join(", "),
            });
        }
        let labels = self.encode();
        if labels.0.len() > LABEL_BLOCK_BYTES_MAX {
            return Err(LabelError::BlockTooLong { bytes: labels.0.len() });
        }
        Ok(labels)
    }

    fn encode(&self) -> Labels {
        let mut out =
            Vec::with_capacity(self.pairs.iter().map(|(n, v)| n.len() + v.len() + 12).sum());
        for (name, value) in &self.pairs {
            write_label(&mut out, name, value);
        }
        Labels(out.into())
    }
}

/// Whether `bytes` are a canonical block as they stand: one pass, no allocation.
#[must_use]
pub fn is_canonical(bytes: &[u8]) -> bool {
    // Before they are walked: a block over the limit may be a body of label bytes.
    if bytes.len() > LABEL_BLOCK_BYTES_MAX {
        return false;
    }
    let mut rest = bytes;
    let mut previous: &[u8] = &[];
    let mut count = 0;
    while !rest.is_empty() {
        let before = rest;
        let Ok((name, value)) = read_label(&mut rest) else { return false };
        let inner = 2 + varint_len(name.len()) + name.len() + varint_len(value.len()) + value.len();
        let shortest = 1 + varint_len(inner) + inner == before.len() - rest.len();
        let ordered = previous < name && !value.is_empty();
        let short = name.len() <= LABEL_LITERAL_BYTES_MAX && value.len() <= LABEL_LITERAL_BYTES_MAX;
        let utf8 = std::str::from_utf8(name).is_ok() && std::str::from_utf8(value).is_ok();
        // Of the shortest length and not beginning with the name's tag: fields were swapped.
        let name_first = before.get(1 + varint_len(inner)) == Some(&0x0a);
        if !(shortest && ordered && short && utf8 && name_first) {
            return false;
        }
        previous = name;
        count += 1;
    }
    count > 0 && count <= LABELS_PER_SERIES_MAX
}

fn check_label(index: usize, name: &str, value: &str) -> Result<(), LabelError> {
    if name.is_empty() {
        // M3 counts in the order of names, where an empty one is the first.
        return Err(LabelError::NameEmpty { index: 0 });
    }
    if value.is_empty() {
        return Err(LabelError::ValueEmpty { index, name: name.to_owned() });
    }
    if name.len() > LABEL_LITERAL_BYTES_MAX || value.len() > LABEL_LITERAL_BYTES_MAX {
        return Err(LabelError::LiteralTooLong {
            name_bytes: name.len(),
            value_bytes: value.len(),
            max: LABEL_LITERAL_BYTES_MAX,
        });
    }
    Ok(())
}

/// Appends one label field to `out`.
pub fn write_label(out: &mut Vec<u8>, name: &str, value: &str) {
    let inner = 2 + varint_len(name.len()) + name.len() + varint_len(value.len()) + value.len();
    out.push(0x0a);
    write_varint(out, inner as u64);
    out.push(0x0a);
    write_varint(out, name.len() as u64);
    out.extend_from_slice(name.as_bytes());
    out.push(0x12);
    write_varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

/// Reads one label field from the front of `rest`: name and value, either possibly empty.
///
/// # Errors
/// `Malformed` when the bytes are no label field. Unknown fields inside are skipped.
pub fn read_label<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], &'a [u8]), LabelError> {
    if rest.first() != Some(&0x0a) {
        return Err(LabelError::Malformed("expected a label field"));
    }
    *rest = &rest[1..];
    let mut inner = take(rest)?;
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    while !inner.is_empty() {
        let tag = read_varint(&mut inner)?;
        match (tag >> 3, tag & 7) {
            (1, 2) => name = take(&mut inner)?,
            (2, 2) => value = take(&mut inner)?,
            (0, _) => return Err(LabelError::Malformed("field number 0")),
            (_, 0) => drop(read_varint(&mut inner)?),
            (_, 1) => skip(&mut inner, 8)?,
            (_, 2) => drop(take(&mut inner)?),
            (_, 5) => skip(&mut inner, 4)?,
            _ => return Err(LabelError::Malformed("unknown wire type")),
        }
    }
    Ok((name, value))
}

fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], LabelError> {
    let len = read_varint(rest)?;
    let len = usize::try_from(len).map_err(|_| LabelError::Malformed("length over 2^63"))?;
    if len > rest.len() {
        return Err(LabelError::Malformed("length past the end"));
    }
    let (head, tail) = rest.split_at(len);
    *rest = tail;
    Ok(head)
}

fn skip(rest: &mut &[u8], count: usize) -> Result<(), LabelError> {
    if count > rest.len() {
        return Err(LabelError::Malformed("field past the end"));
    }
    *rest = &rest[count..];
    Ok(())
}

/// Reads a protobuf varint from the front of `rest`.
///
/// # Errors
/// `Malformed` when it does not end within ten bytes or the input.
pub fn read_varint(rest: &mut &[u8]) -> Result<u64, LabelError> {
    let mut value = 0u64;
    for (i, &byte) in rest.iter().take(10).enumerate() {
        if i == 9 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *rest = &rest[i + 1..];
            return Ok(value);
        }
    }
    Err(LabelError::Malformed("unterminated varint"))
}

/// Appends `value` as a protobuf varint.
pub fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[allow(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "under 0x80")]
    out.push(value as u8);
}

/// Bytes that [`write_varint`] takes for `value`.
#[must_use]
pub const fn varint_len(value: usize) -> usize {
    let bits = usize::BITS - value.leading_zeros();
    if bits == 0 { 1 } else { bits.div_ceil(7) as usize }
}

#[cfg(test)]
mod tests;
