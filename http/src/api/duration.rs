//! Durations as text: Go's (`1h30m`, `1.5s`), Prometheus' (`1d`, `2w3d`), and numbers of seconds.

use m3_metric::time::{NS_PER_MS, NS_PER_S};
use std::fmt::Write as _;

const MINUTE: i64 = 60 * NS_PER_S;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Reads a Go duration such as `1h30m` or `-1.5s`, in nanoseconds. `None` if the text is not one or
/// it does not fit.
#[must_use]
pub fn parse_go(text: &str) -> Option<i64> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let ns = sum_of_parts(rest, true, |unit| {
        Some(match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => NS_PER_MS,
            "s" => NS_PER_S,
            "m" => MINUTE,
            "h" => HOUR,
            _ => return None,
        })
    })?;
    Some(if negative { -ns } else { ns })
}

/// Reads a Prometheus duration such as `1d` or `2h30m`, in nanoseconds. `None` if the text is not
/// one or it does not fit. A bare `0` is valid.
#[must_use]
pub fn parse_prometheus(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut last = i64::MAX;
    sum_of_parts(text, false, |unit| {
        let ns = match unit {
            "ms" => NS_PER_MS,
            "s" => NS_PER_S,
            "m" => MINUTE,
            "h" => HOUR,
            "d" => DAY,
            "w" => 7 * DAY,
            "y" => 365 * DAY,
            _ => return None,
        };
        // Units descend and do not repeat.
        let ordered = ns < last;
        last = ns;
        ordered.then_some(ns)
    })
}

/// Reads a number of seconds, a Prometheus duration or a Go duration, in nanoseconds.
#[must_use]
pub fn parse_any(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds_to_ns(seconds);
    }
    parse_prometheus(text).or_else(|| parse_go(text))
}

/// A duration in the largest units that divide it, as M3 writes storage policies: `2d`, `1m30s`.
#[must_use]
pub fn in_units(ns: i64) -> String {
    const UNITS: [(i64, &str); 8] = [
        (365 * DAY, "y"),
        (DAY, "d"),
        (HOUR, "h"),
        (MINUTE, "m"),
        (NS_PER_S, "s"),
        (NS_PER_MS, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    if ns <= 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let mut rest = ns;
    for (unit, name) in UNITS {
        if rest >= unit {
            write!(text, "{}{name}", rest / unit).expect("writing to a String succeeds");
            rest %= unit;
        }
    }
    text
}

/// `seconds` in nanoseconds. `None` if it is NaN or does not fit.
#[must_use]
pub fn seconds_to_ns(seconds: f64) -> Option<i64> {
    let ns = seconds * 1e9;
    #[allow(clippy::cast_possible_truncation, reason = "the range was checked")]
    (ns.is_finite() && ns.abs() < 9.2e18).then(|| ns.round() as i64)
}

fn sum_of_parts(
    text: &str,
    fractions: bool,
    mut unit_ns: impl FnMut(&str) -> Option<i64>,
) -> Option<i64> {
    let mut rest = text;
    let mut total = 0i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (whole, after) = rest.split_at(digits);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(tail) if fractions => {
                tail.split_at(tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len()))
            }
            Some(_) => return None,
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit = unit_ns(unit)?;
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(unit)?)?;
        total = total.checked_add(fraction_of(fraction, unit))?;
        rest = after;
    }
    Some(total)
}

/// `0.<digits>` of `unit`, rounded down.
fn fraction_of(digits: &str, unit: i64) -> i64 {
    let mut sum = 0i64;
    let mut place = unit;
    for digit in digits.bytes() {
        place /= 10;
        sum += i64::from(digit - b'0') * place;
    }
    sum
}

#[cfg(test)]
mod tests;
