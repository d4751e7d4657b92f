//! Go's durations as text, in nanoseconds: `time.ParseDuration` and `Duration.String`.
//!
//! [`parse`] accepts and refuses what Go does, with Go's numbers to the nanosecond and Go's words,
//! because M3's headers, parameters and admin documents are read so. [`parse_long`] also accepts
//! the longer units of Prometheus (`2d`, `1w`, `1y`), as the configuration does. [`format`] prints
//! like Go (`48h0m0s`, `1.5s`, `300ms`).
#![warn(clippy::arithmetic_side_effects)]

use crate::quote::quote_as_time;
use std::fmt;

/// Why a text is not a duration, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDuration(String);

impl fmt::Display for BadDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadDuration {}

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * S;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The most nanoseconds that a text may say before its sign is looked at: -2^63 is a duration.
const UNSIGNED_MAX: u64 = 1 << 63;

/// Nanoseconds of a unit.
fn unit_ns(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // Both spellings of micro: U+00B5 and U+03BC.
        "us" | "\u{b5}s" | "\u{3bc}s" => US,
        "ms" => MS,
        "s" => S,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    })
}

/// Nanoseconds of a unit that Prometheus knows and Go does not.
fn long_unit_ns(unit: &str) -> Option<u64> {
    Some(match unit {
        "d" => DAY,
        "w" => 7 * DAY,
        "y" => 365 * DAY,
        _ => return None,
    })
}

/// Parses `text` into nanoseconds.
///
/// # Errors
/// In Go's words: an empty or unreadable text, a missing or unknown unit, or more than 292 years.
pub fn parse(text: &str) -> Result<i64, BadDuration> {
    parse_with(text, unit_ns)
}

/// As [`parse`], with days, weeks and years of 365 days.
///
/// # Errors
/// As [`parse`].
pub fn parse_long(text: &str) -> Result<i64, BadDuration> {
    parse_with(text, |unit| unit_ns(unit).or_else(|| long_unit_ns(unit)))
}

fn parse_with(text: &str, unit_ns: impl Fn(&str) -> Option<u64>) -> Result<i64, BadDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    match rest {
        "0" => return Ok(0),
        "" => return Err(Fault::Invalid.of(text)),
        _ => {}
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (part, after) = part_ns(rest, &unit_ns).map_err(|fault| fault.of(text))?;
        // Go's sum wraps, too, and only where both are 2^63, which makes zero of them.
        total = total.wrapping_add(part);
        if total > UNSIGNED_MAX {
            return Err(Fault::Invalid.of(text));
        }
        rest = after;
    }
    let signed =
        if negative { 0i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() };
    signed.ok_or_else(|| Fault::Invalid.of(text))
}

/// What is wrong with a part of a duration.
enum Fault<'a> {
    Invalid,
    MissingUnit,
    UnknownUnit(&'a str),
}

impl Fault<'_> {
    /// The error about the whole `text`.
    fn of(&self, text: &str) -> BadDuration {
        let text = quote_as_time(text);
        BadDuration(match self {
            Self::Invalid => format!("time: invalid duration {text}"),
            Self::MissingUnit => format!("time: missing unit in duration {text}"),
            Self::UnknownUnit(unit) => {
                format!("time: unknown unit {} in duration {text}", quote_as_time(unit))
            }
        })
    }
}

/// Nanoseconds of the number and unit at the start of `text`, at most [`UNSIGNED_MAX`], and what
/// follows them.
fn part_ns<'a>(
    text: &'a str,
    unit_ns: impl Fn(&str) -> Option<u64>,
) -> Result<(u64, &'a str), Fault<'a>> {
    let (digits, after) = split_digits(text);
    let whole = if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok() };
    let whole = whole.filter(|whole| *whole <= UNSIGNED_MAX).ok_or(Fault::Invalid)?;
    let (fraction, after) = after.strip_prefix('.').map_or(("", after), split_digits);
    if digits.is_empty() && fraction.is_empty() {
        return Err(Fault::Invalid);
    }
    let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
    let (unit, after) = after.split_at(unit_end);
    if unit.is_empty() {
        return Err(Fault::MissingUnit);
    }
    let ns = unit_ns(unit).ok_or(Fault::UnknownUnit(unit))?;
    let sum = whole.checked_mul(ns).and_then(|whole| whole.checked_add(fraction_ns(fraction, ns)));
    let sum = sum.filter(|sum| *sum <= UNSIGNED_MAX).ok_or(Fault::Invalid)?;
    Ok((sum, after))
}

/// The leading decimal digits of `text`, and what follows them.
fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// `0.<digits>` times `unit_ns`, as Go computes it: as many digits as 63 bits hold make an integer,
/// the others are ignored, and a float scales it. So a third of an hour in nineteen digits is
/// twenty minutes, and not a nanosecond less.
fn fraction_ns(digits: &str, unit_ns: u64) -> u64 {
    let (mut value, mut scale) = (0u64, 1f64);
    for digit in digits.bytes() {
        let longer = value
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u64::from(digit.saturating_sub(b'0'))))
            .filter(|longer| *longer <= UNSIGNED_MAX);
        let Some(longer) = longer else { break };
        (value, scale) = (longer, scale * 10.0);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "less than a unit")]
    let ns = (value as f64 * (unit_ns as f64 / scale)) as u64;
    ns
}

/// `ns` as Go prints a duration.
#[must_use]
pub fn format(ns: i64) -> String {
    crate::Span(ns).to_string()
}

/// Writes `ns` as Go prints a duration: `1h2m3.5s`, `250ms`, `0s`.
pub(crate) fn write(f: &mut fmt::Formatter<'_>, ns: i64) -> fmt::Result {
    if ns < 0 {
        f.write_str("-")?;
    }
    let ns = ns.unsigned_abs();
    match ns {
        0 => f.write_str("0s"),
        1..US => write!(f, "{ns}ns"),
        US..MS => write!(f, "{}\u{b5}s", with_fraction(ns, US)),
        MS..S => write!(f, "{}ms", with_fraction(ns, MS)),
        _ => {
            let (hours, minutes) = (ns / HOUR, ns / MINUTE % 60);
            if hours > 0 {
                write!(f, "{hours}h")?;
            }
            if hours > 0 || minutes > 0 {
                write!(f, "{minutes}m")?;
            }
            write!(f, "{}s", with_fraction(ns % MINUTE, S))
        }
    }
}

#[expect(clippy::arithmetic_side_effects, reason = "a unit is not zero")]
fn with_fraction(ns: u64, unit: u64) -> String {
    let fraction = ns % unit;
    if fraction == 0 {
        return (ns / unit).to_string();
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{fraction:0width$}");
    format!("{}.{}", ns / unit, digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests;
