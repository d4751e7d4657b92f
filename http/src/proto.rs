//! A small protobuf reader and writer. No code generation; reading copies nothing.
//!
//! Always holds: a reader never reads past its bytes and never panics; the deprecated groups are
//! refused.
//!
//! Format: the protobuf wire format. Messages: [`read`] (remote read), [`mod@write`] (remote write,
//! for clients and tests).

pub mod read;
pub mod write;

use crate::snappy::SnappyError;
use m3_metric::labels::write_varint;

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its number.
    pub number: u64,
    /// What it holds.
    pub value: Value<'a>,
}

/// What a field holds, by wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// Reads the fields of a message, one after the other.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader of the message `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The next field, or `None` at the end.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    #[inline]
    #[allow(clippy::should_implement_trait, reason = "an iterator of results cannot use `?`")]
    pub fn next(&mut self) -> Result<Option<Field<'a>>, &'static str> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || number >= 1 << 29 {
            return Err("illegal field number");
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let len = self.varint()?;
                let left = self.bytes.len() - self.at;
                let len = usize::try_from(len).ok().filter(|len| *len <= left);
                let start = self.at;
                self.at += len.ok_or("length past the end")?;
                Value::Bytes(&self.bytes[start..self.at])
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err("illegal wire type"),
        };
        Ok(Some(Field { number, value }))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, &'static str> {
        let rest = &self.bytes[self.at..];
        if let Some(&byte) = rest.first()
            && byte < 0x80
        {
            self.at += 1;
            return Ok(u64::from(byte));
        }
        let mut value = 0u64;
        for (place, &byte) in rest.iter().take(10).enumerate() {
            if place == 9 && byte > 1 {
                return Err("varint over 64 bits");
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                self.at += place + 1;
                return Ok(value);
            }
        }
        Err("unterminated varint")
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let bytes = self.bytes[self.at..].first_chunk().ok_or("field past the end")?;
        self.at += N;
        Ok(*bytes)
    }
}

/// Appends a varint field; zero too.
pub fn put_varint(out: &mut Vec<u8>, number: u64, value: u64) {
    write_varint(out, number << 3);
    write_varint(out, value);
}

/// Appends a fixed 64-bit field.
pub fn put_fixed64(out: &mut Vec<u8>, number: u64, value: u64) {
    write_varint(out, number << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field of bytes.
pub fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    write_varint(out, number << 3 | 2);
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Why bytes are not the expected message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtoError {
    /// Not a snappy block.
    Snappy,
    /// Larger than allowed.
    TooLarge {
        /// Bytes it declares.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not this message.
    Malformed(&'static str),
    /// More parts than allowed.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
}

impl std::fmt::Display for ProtoError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Snappy => f.write_str("snappy: corrupt input"),
            Self::TooLarge { bytes, limit } => {
                write!(f, "decompressed body too large: {bytes} bytes, at most {limit}")
            }
            Self::Malformed(what) => write!(f, "malformed remote read request: {what}"),
            Self::TooMany { what, limit } => write!(f, "too many {what}: at most {limit}"),
        }
    }
}

impl std::error::Error for ProtoError {}

impl From<SnappyError> for ProtoError {
    fn from(error: SnappyError) -> Self {
        match error {
            SnappyError::Corrupt => Self::Snappy,
            SnappyError::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
        }
    }
}

#[cfg(test)]
mod tests;
