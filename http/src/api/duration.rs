//! Lengths of time that headers and parameters say, and the text of M3's storage policies.

use m3_metric::Span;
use m3_metric::go_duration::{self, BadDuration};
use m3_metric::promql_duration;
use m3_metric::time::{NS_PER_MS, NS_PER_S};
use std::fmt::Write as _;

const MINUTE: i64 = 60 * NS_PER_S;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Reads a length with its unit, of PromQL (`1d`) or of Go (`1.5h`): nanoseconds.
///
/// # Errors
/// It is neither; the words are Go's, whose durations M3 reads.
pub fn parse_with_unit(text: &str) -> Result<i64, BadDuration> {
    match promql_duration::parse_ms(text) {
        Ok(ms) => Ok(Span::from_ms(ms).0),
        Err(_) => go_duration::parse(text),
    }
}

/// Reads a number of seconds, or what [`parse_with_unit`] reads: nanoseconds.
///
/// # Errors
/// As [`parse_with_unit`].
pub fn parse_any(text: &str) -> Result<i64, BadDuration> {
    let seconds = text.parse::<f64>().ok();
    seconds.and_then(seconds_to_ns).map_or_else(|| parse_with_unit(text), Ok)
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

#[cfg(test)]
mod tests;
