//! Durations as Go and Prometheus write them, in nanoseconds.
//!
//! [`parse`] accepts what Go accepts (`1h30m`, `1.5s`, `-2us`, `0`), as M3's routes do.
//! [`parse_long`] also accepts Prometheus' longer units (`2d`, `1w`, `1y`), as the configuration
//! does. [`format`] prints like Go (`48h0m0s`, `1.5s`, `300ms`).

use m3_metric::Span;
use m3_metric::quote::quote_as_time;

/// Why a text is not a duration, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDuration(String);

impl std::fmt::Display for BadDuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
    let invalid = || BadDuration(format!("time: invalid duration {}", quote_as_time(text)));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let unit_end = after
            .find(|character: char| character == '.' || character.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        if unit.is_empty() {
            return Err(BadDuration(format!(
                "time: missing unit in duration {}",
                quote_as_time(text)
            )));
        }
        let ns = unit_ns(unit).ok_or_else(|| {
            BadDuration(format!(
                "time: unknown unit {} in duration {}",
                quote_as_time(unit),
                quote_as_time(text)
            ))
        })?;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        total = whole
            .checked_mul(ns)
            .and_then(|whole| whole.checked_add(fraction_ns(fraction, ns)))
            .and_then(|part| total.checked_add(part))
            .ok_or_else(invalid)?;
        rest = after;
    }
    match i64::try_from(total) {
        Ok(total) if negative => Ok(-total),
        Ok(total) => Ok(total),
        Err(_) => Err(invalid()),
    }
}

/// The leading decimal digits of `text`, and what follows them.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// `0.<fraction>` times `ns`, rounded down.
fn fraction_ns(fraction: &str, ns: u64) -> u64 {
    let mut value: u128 = 0;
    let mut scale: u128 = 1;
    for digit in fraction.bytes().take(18) {
        value = value * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    u64::try_from(value * u128::from(ns) / scale).expect("a fraction is less than its unit")
}

/// `ns` as Go prints a duration.
#[must_use]
pub fn format(ns: i64) -> String {
    Span(ns).to_string()
}

#[cfg(test)]
mod tests;
