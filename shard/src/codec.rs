//! The encoding of a series' samples in memory: one byte-aligned token per sample.
//!
//! A token is a control byte and the bytes that it announces. Its low three bits say how the time
//! follows from the previous sample, its high five bits how the value does:
//!
//! | time class | meaning | bytes |
//! |---|---|---|
//! | 0 | same step as before | 0 |
//! | 1, 2, 3 | step changed by an i8, i16, i32 | 1, 2, 4 |
//! | 4 | new step as i64 | 8 |
//! | 7 | run: that many samples with the same step and value; the high bits hold 1..=30, or 31 for a u16 that follows | 0 or 2 |
//!
//! | value class | meaning | bytes |
//! |---|---|---|
//! | 0 | same bits | 0 |
//! | 1..=6 | both are integers; difference as i8, i16, i24, i32, i48, i56 | 1, 2, 3, 4, 6, 7 |
//! | 8..=15 | bits XOR the bits before, the lowest zero bytes left out; class - 7 bytes | 1..=8 |
//!
//! Steps are in units of the stream's [`Unit`]. The first sample of a stream is stored apart, in
//! its [`Start`]. Always holds: decoding returns exactly the bits that were encoded.

/// The coarsest exact unit of a stream's timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Every timestamp is a whole millisecond.
    Millisecond,
    /// Any nanosecond.
    Nanosecond,
}

impl Unit {
    /// The coarsest unit that holds `ts_ns` exactly.
    #[must_use]
    pub const fn of(ts_ns: i64) -> Self {
        if ts_ns % 1_000_000 == 0 { Self::Millisecond } else { Self::Nanosecond }
    }

    /// Nanoseconds in one unit.
    #[must_use]
    pub const fn ns(self) -> i64 {
        match self {
            Self::Millisecond => 1_000_000,
            Self::Nanosecond => 1,
        }
    }

    /// Whether the unit holds `ts_ns` exactly.
    #[must_use]
    pub const fn holds(self, ts_ns: i64) -> bool {
        matches!(self, Self::Nanosecond) || ts_ns % 1_000_000 == 0
    }
}

/// Longest token in bytes: control, i64 step, 8 value bytes.
pub const TOKEN_BYTES_MAX: usize = 17;

const CLASS_RUN: u8 = 7;
const RUN_INLINE_MAX: u16 = 30;
const VALUE_XOR: u8 = 8;

/// A token under construction.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    bytes: [u8; 24],
    len: u8,
}

impl Token {
    /// The first eight bytes; the token may be shorter.
    #[inline]
    #[must_use]
    pub fn head(&self) -> &[u8; 8] {
        self.bytes.first_chunk().expect("a token has room for more")
    }

    /// The length in bytes.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Always false: every token has a control byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The token's bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }

    /// Appends the first `count` of eight bytes. It writes all eight, since that is a single store;
    /// later bytes overwrite the rest or nobody reads it.
    #[inline]
    fn push(&mut self, bytes: [u8; 8], count: usize) {
        let at = self.len as usize;
        self.bytes[at..at + 8].copy_from_slice(&bytes);
        self.len += count as u8;
    }
}

/// Encodes a run of `count` samples that repeat the previous step and value.
#[must_use]
pub fn encode_run(count: u16) -> Token {
    assert!(count > 0, "a run has samples");
    let mut token = Token { bytes: [0; 24], len: 1 };
    if count <= RUN_INLINE_MAX {
        token.bytes[0] = CLASS_RUN | (count as u8) << 3;
    } else {
        token.bytes[0] = CLASS_RUN | 31 << 3;
        token.push(u64::from(count).to_le_bytes(), 2);
    }
    token
}

/// Encodes a sample that follows one with `last_step` (in units) and `last_bits`.
#[must_use]
#[inline]
pub fn encode(last_step: u32, step: i64, last_bits: u64, bits: u64) -> Token {
    let mut token = Token { bytes: [0; 24], len: 1 };
    let change = step.wrapping_sub(i64::from(last_step));
    let time_class = if change == 0 {
        0
    } else if change as i8 as i64 == change {
        token.push(change.to_le_bytes(), 1);
        1
    } else if change as i16 as i64 == change {
        token.push(change.to_le_bytes(), 2);
        2
    } else if change as i32 as i64 == change {
        token.push(change.to_le_bytes(), 4);
        3
    } else {
        token.push(step.to_le_bytes(), 8);
        4
    };
    let value_class = encode_value(&mut token, last_bits, bits);
    token.bytes[0] = time_class | value_class << 3;
    token
}

#[inline]
fn encode_value(token: &mut Token, last_bits: u64, bits: u64) -> u8 {
    if bits == last_bits {
        return 0;
    }
    if let (Some(last), Some(now)) = (integer(last_bits), integer(bits)) {
        let change = now - last;
        let width = 64 - (change.unsigned_abs() << 1 | 1).leading_zeros();
        let (class, count) = match width {
            0..=7 => (1, 1),
            8..=15 => (2, 2),
            16..=23 => (3, 3),
            24..=31 => (4, 4),
            32..=47 => (5, 6),
            _ => (6, 7),
        };
        token.push(change.to_le_bytes(), count);
        return class;
    }
    let difference = bits ^ last_bits;
    let dropped = (difference.trailing_zeros() / 8) as usize;
    let count = 8 - dropped;
    token.push((difference >> (8 * dropped)).to_le_bytes(), count);
    VALUE_XOR + count as u8 - 1
}

/// The value as an integer, if it is one small enough that the difference of two fits an i56. Never
/// for -0.0.
#[inline]
fn integer(bits: u64) -> Option<i64> {
    let value = f64::from_bits(bits);
    let whole = value as i64;
    let exact = (whole as f64).to_bits() == bits;
    (exact && whole.unsigned_abs() < 1 << 53).then_some(whole)
}

/// The first sample of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Nanoseconds since the epoch.
    pub ts_ns: i64,
    /// The value.
    pub bits: u64,
    /// The unit of all steps.
    pub unit: Unit,
}

/// A stream that cannot be decoded. The cause is memory or a bug, never a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenStream;

/// Calls `each` with the time (ns) and value bits of every sample of the stream, in order.
///
/// # Errors
/// [`BrokenStream`] if the bytes end inside a token or contain an unknown class.
pub fn decode(
    start: Start,
    mut bytes: &[u8],
    mut each: impl FnMut(i64, u64),
) -> Result<(), BrokenStream> {
    let unit_ns = start.unit.ns();
    let (mut ts, mut bits) = (start.ts_ns, start.bits);
    let mut step_ns = 0i64;
    each(ts, bits);
    while let Some((&control, rest)) = bytes.split_first() {
        bytes = rest;
        let high = control >> 3;
        if control & 7 == CLASS_RUN {
            let count = if high == 31 { read(&mut bytes, 2)? as u16 } else { u16::from(high) };
            for _ in 0..count {
                ts = ts.wrapping_add(step_ns);
                each(ts, bits);
            }
            continue;
        }
        match control & 7 {
            0 => {}
            1 => step_ns += i64::from(read(&mut bytes, 1)? as i8) * unit_ns,
            2 => step_ns += i64::from(read(&mut bytes, 2)? as i16) * unit_ns,
            3 => step_ns += i64::from(read(&mut bytes, 4)? as i32) * unit_ns,
            4 => step_ns = (read(&mut bytes, 8)? as i64).wrapping_mul(unit_ns),
            _ => return Err(BrokenStream),
        }
        ts = ts.wrapping_add(step_ns);
        // A step that does not fit the hot line is written in full, and so is the step after it.
        bits = decode_value(high, bits, &mut bytes)?;
        each(ts, bits);
        if u32::try_from(step_ns / unit_ns).is_err() {
            step_ns = 0;
        }
    }
    Ok(())
}

#[inline]
fn decode_value(class: u8, bits: u64, bytes: &mut &[u8]) -> Result<u64, BrokenStream> {
    let count = match class {
        0 => return Ok(bits),
        1..=4 => class as usize,
        5 => 6,
        6 => 7,
        8..=15 => {
            let count = (class - VALUE_XOR) as usize + 1;
            return Ok(bits ^ read(bytes, count)? << (8 * (8 - count)));
        }
        _ => return Err(BrokenStream),
    };
    let unused = 64 - 8 * count as u32;
    let change = ((read(bytes, count)? << unused) as i64) >> unused;
    let value = integer(bits).ok_or(BrokenStream)? + change;
    Ok((value as f64).to_bits())
}

#[inline]
fn read(bytes: &mut &[u8], count: usize) -> Result<u64, BrokenStream> {
    let (head, tail) = bytes.split_at_checked(count).ok_or(BrokenStream)?;
    let mut word = [0u8; 8];
    word[..count].copy_from_slice(head);
    *bytes = tail;
    Ok(u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests;
