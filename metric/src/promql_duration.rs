//! PromQL's duration literals (`1d2h`, `90s`, `0`) as text, in milliseconds, their smallest unit.
//!
//! Prometheus reads its parameters `step` and `timeout` with the same rules. What a duration
//! expression is worth (`step() * 2`) is the query's business.
#![warn(clippy::arithmetic_side_effects)]

use crate::quote::quote;
use crate::time::NS_PER_MS;
use std::fmt;

/// Milliseconds of each unit, the longest first: a duration's units must descend.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * DAY),
    ("w", 7 * DAY),
    ("d", DAY),
    ("h", 3600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1),
];
const SECOND: u64 = 1_000;
const DAY: u64 = 24 * 3600 * SECOND;
/// The longest that Prometheus, which counts in i64 nanoseconds, can hold: 292 years.
const MS_MAX: i64 = i64::MAX / NS_PER_MS;

/// Why a text is no duration, in Prometheus' words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadDuration {
    /// No text at all.
    Empty,
    /// Not digits and units in descending order.
    Malformed {
        /// The text.
        text: String,
    },
    /// A unit that does not exist.
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// 2^63 nanoseconds (292 years) or more.
    OutOfRange,
}

impl fmt::Display for BadDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty duration string"),
            Self::Malformed { text } => write!(f, "not a valid duration string: {}", quote(text)),
            Self::UnknownUnit { unit, text } => {
                write!(f, "unknown unit {} in duration {}", quote(unit), quote(text))
            }
            Self::OutOfRange => f.write_str("duration out of range"),
        }
    }
}

impl std::error::Error for BadDuration {}

/// Milliseconds of a duration as Prometheus writes it, `1d2h` or `0`; never negative, and few
/// enough that their nanoseconds fit an i64.
///
/// # Errors
/// What keeps the text from being a duration.
pub fn parse_ms(text: &str) -> Result<i64, BadDuration> {
    match text {
        "0" => return Ok(0),
        "" => return Err(BadDuration::Empty),
        _ => {}
    }
    let malformed = || BadDuration::Malformed { text: text.to_owned() };
    let (mut rest, mut total, mut units) = (text, 0i64, &UNITS[..]);
    while !rest.is_empty() {
        let (digits, after) = split_where(rest, |c| !c.is_ascii_digit());
        let value: u64 = digits.parse().map_err(|_| malformed())?;
        let (unit, after) = split_where(after, |c| c.is_ascii_digit());
        rest = after;
        if unit.is_empty() {
            return Err(malformed());
        }
        let mut shorter = units.iter();
        let Some((_, unit_ms)) = shorter.find(|(name, _)| *name == unit) else {
            return Err(if UNITS.iter().any(|(name, _)| *name == unit) {
                malformed()
            } else {
                BadDuration::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() }
            });
        };
        units = shorter.as_slice();
        total = value
            .checked_mul(*unit_ms)
            .and_then(|ms| total.checked_add_unsigned(ms))
            .filter(|total| *total <= MS_MAX)
            .ok_or(BadDuration::OutOfRange)?;
    }
    Ok(total)
}

/// `text` before and from the first character that is `there`.
fn split_where(text: &str, there: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(there).unwrap_or(text.len()))
}

/// Writes `1h30m`, as Prometheus prints `ms` milliseconds; a minus in front if they are negative.
///
/// # Errors
/// The formatter's.
#[expect(clippy::arithmetic_side_effects, reason = "a unit is not zero")]
pub fn write_ms(f: &mut fmt::Formatter<'_>, ms: i64) -> fmt::Result {
    let mut rest = ms.unsigned_abs();
    if ms < 0 {
        f.write_str("-")?;
    }
    if rest == 0 {
        return f.write_str("0s");
    }
    for (unit, unit_ms) in UNITS {
        let (count, left) = (rest / unit_ms, rest % unit_ms);
        // 90d reads better than 12w6d: years and weeks only where nothing is left behind.
        if matches!(unit, "y" | "w") && left > 0 {
            continue;
        }
        if count > 0 {
            write!(f, "{count}{unit}")?;
            rest = left;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
