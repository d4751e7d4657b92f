//! Encodes and decodes the store's file; FORMAT.md draws it. Pure.
//!
//! Always holds: [`decode`] of [`encode`] returns the same table. Any changed bit is an error. No
//! length in the file makes [`decode`] use more memory than the file has bytes.

use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;

use super::Versioned;
use super::table::{Table, check, check_key};
use crate::Error;
use crate::limits::STORE_BYTES_MAX;

/// The first bytes of the file.
const MAGIC: [u8; 8] = *b"M3RINGKV";
/// The version of the format: the one this code writes, and the only one it reads.
const FORMAT: u32 = 1;
/// Bytes before the body: magic, format, checksum, body length.
const HEAD_BYTES: usize = 8 + 4 + 4 + 8;

/// Encodes `table` as the content of the file.
pub(super) fn encode(table: &Table) -> Result<Vec<u8>, Error> {
    let body_bytes: usize = table
        .keys
        .iter()
        .map(|(key, versions)| {
            let values: usize = versions.iter().map(|kept| 20 + kept.value.len()).sum();
            8 + key.len() + values
        })
        .sum::<usize>()
        + 12;
    check("bytes of the store", HEAD_BYTES + body_bytes, STORE_BYTES_MAX)?;
    let mut body = Vec::with_capacity(body_bytes);
    body.extend_from_slice(&table.revision.to_le_bytes());
    put_len(&mut body, table.keys.len());
    for (key, versions) in &table.keys {
        put_len(&mut body, key.len());
        body.extend_from_slice(key.as_bytes());
        put_len(&mut body, versions.len());
        for kept in versions {
            body.extend_from_slice(&kept.version.to_le_bytes());
            body.extend_from_slice(&kept.revision.to_le_bytes());
            put_len(&mut body, kept.value.len());
            body.extend_from_slice(&kept.value);
        }
    }
    debug_assert_eq!(body.len(), body_bytes);
    let mut file = Vec::with_capacity(HEAD_BYTES + body.len());
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&FORMAT.to_le_bytes());
    file.extend_from_slice(&checksum(FORMAT, &body).to_le_bytes());
    file.extend_from_slice(&(body.len() as u64).to_le_bytes());
    file.extend_from_slice(&body);
    Ok(file)
}

/// The checksum covers every byte after it and, as their number, the length field.
fn checksum(format: u32, body: &[u8]) -> u32 {
    let head = crc32c::crc32c(&format.to_le_bytes());
    let head = crc32c::crc32c_append(head, &(body.len() as u64).to_le_bytes());
    crc32c::crc32c_append(head, body)
}

fn put_len(body: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("every part is smaller than STORE_BYTES_MAX");
    body.extend_from_slice(&len.to_le_bytes());
}

/// Decodes the content of the file at `path`.
///
/// # Errors
/// [`Error::Damaged`] with the damaged part.
pub(super) fn decode(path: &Path, file: &[u8]) -> Result<Table, Error> {
    let mut reader = Reader { path, rest: file };
    let magic = reader.take("magic", MAGIC.len())?;
    if magic != MAGIC {
        let found = String::from_utf8_lossy(magic).escape_debug().to_string();
        return Err(reader.damaged("magic", "M3RINGKV".to_string(), found));
    }
    let format = reader.u32("format version")?;
    if format != FORMAT {
        let found = format!("{format} (written by another version of m3ring?)");
        return Err(reader.damaged("format version", FORMAT.to_string(), found));
    }
    let expected = reader.u32("checksum")?;
    let len = reader.u64("body length")?;
    if len != reader.rest.len() as u64 {
        let found = format!("{} bytes", reader.rest.len());
        return Err(reader.damaged("body length", format!("{len} bytes"), found));
    }
    let found = checksum(format, reader.rest);
    if found != expected {
        return Err(reader.damaged("CRC-32C", format!("{expected:08x}"), format!("{found:08x}")));
    }
    let revision = reader.u64("revision")?;
    let mut table = Table { revision, ..Table::default() };
    for _ in 0..reader.u32("key count")? {
        let (key, versions) = reader.key()?;
        table.keys.insert(key, versions);
    }
    if !reader.rest.is_empty() {
        let found = format!("{} more bytes", reader.rest.len());
        return Err(reader.damaged("end", "the end of the file".to_string(), found));
    }
    Ok(table)
}

/// Reads the file front to back and never past its end.
struct Reader<'a> {
    path: &'a Path,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn damaged(&self, part: &'static str, expected: String, found: String) -> Error {
        Error::Damaged { path: self.path.to_path_buf(), part, expected, found }
    }

    fn take(&mut self, part: &'static str, len: usize) -> Result<&'a [u8], Error> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            let found = format!("{} bytes before the end of the file", self.rest.len());
            return Err(self.damaged(part, format!("{len} bytes"), found));
        };
        self.rest = rest;
        Ok(head)
    }

    fn u32(&mut self, part: &'static str) -> Result<u32, Error> {
        let bytes = self.take(part, 4)?.try_into().expect("four bytes were taken");
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self, part: &'static str) -> Result<u64, Error> {
        let bytes = self.take(part, 8)?.try_into().expect("eight bytes were taken");
        Ok(u64::from_le_bytes(bytes))
    }

    fn key(&mut self) -> Result<(Rc<str>, VecDeque<Versioned>), Error> {
        let len = self.u32("key length")? as usize;
        let bytes = self.take("key", len)?;
        let key = std::str::from_utf8(bytes)
            .map_err(|error| self.damaged("key", "UTF-8".to_string(), error.to_string()))?;
        check_key(key)
            .map_err(|error| self.damaged("key", "a valid key".to_string(), error.to_string()))?;
        let count = self.u32("version count")?;
        if count == 0 {
            let found = "0".to_string();
            return Err(self.damaged("version count", "at least 1".to_string(), found));
        }
        let mut versions = VecDeque::new();
        for _ in 0..count {
            let version = self.u64("version")?;
            let revision = self.u64("revision of a value")?;
            let len = self.u32("value length")? as usize;
            let value = Rc::from(self.take("value", len)?);
            versions.push_back(Versioned { value, version, revision });
        }
        Ok((Rc::from(key), versions))
    }
}
