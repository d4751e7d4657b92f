//! Instants as text: unix seconds with a fraction, RFC 3339, Prometheus' extreme literals, `now`.
#![warn(clippy::arithmetic_side_effects)]

use super::{TIME_MS_MAX, TIME_MS_MIN};
use m3_metric::Timestamp;
use m3_metric::time::NS_PER_S;

/// Prometheus' minimum time as its clients write it.
pub const MIN_LITERAL: &str = "-292273086-05-16T16:47:06Z";
/// Prometheus' maximum time as its clients write it.
pub const MAX_LITERAL: &str = "292277025-08-18T07:12:54.999999999Z";

/// Reads an instant in milliseconds since the epoch, clamped to [`TIME_MS_MIN`] and
/// [`TIME_MS_MAX`]. `None` if the text is not an instant.
#[must_use]
pub fn parse_ms(text: &str, now: Timestamp) -> Option<i64> {
    match text {
        MIN_LITERAL => return Some(TIME_MS_MIN),
        MAX_LITERAL => return Some(TIME_MS_MAX),
        "now" => return Some(now.to_ms()),
        _ => {}
    }
    if let Ok(seconds) = text.parse::<f64>() {
        if !seconds.is_finite() {
            return None;
        }
        // The number is split first: the product of a large number would lose its milliseconds.
        let whole = seconds.trunc();
        let ms = (whole * 1000.0) + ((seconds - whole) * 1000.0).round();
        #[allow(clippy::cast_possible_truncation, reason = "casts of floats saturate")]
        return Some((ms as i64).clamp(TIME_MS_MIN, TIME_MS_MAX));
    }
    parse_rfc3339(text)
        .map(|ns| ns.div_euclid(1_000_000))
        .map(|ms| i64::try_from(ms).unwrap_or(i64::MAX).clamp(TIME_MS_MIN, TIME_MS_MAX))
}

/// Reads unix seconds with a fraction, exact to the nanosecond, or RFC 3339. `None` if the text is
/// neither, or nanoseconds cannot hold it.
#[must_use]
pub fn parse_exact(text: &str) -> Option<Timestamp> {
    if let Some(exact) = parse_decimal(text) {
        return Some(exact);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return super::duration::seconds_to_ns(seconds).map(Timestamp);
    }
    parse_rfc3339(text).and_then(|ns| i64::try_from(ns).ok()).map(Timestamp)
}

/// Reads `-12.345` without rounding: a float has too few digits for nanoseconds of today.
fn parse_decimal(text: &str) -> Option<Timestamp> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > 9 {
        return None;
    }
    let mut ns = whole.parse::<i64>().ok()?.checked_mul(NS_PER_S)?;
    let mut place = NS_PER_S;
    for digit in fraction.bytes() {
        place /= 10;
        ns = ns.checked_add(i64::from(digit.checked_sub(b'0')?).checked_mul(place)?)?;
    }
    Some(Timestamp(if negative { ns.saturating_neg() } else { ns }))
}

fn parse_rfc3339(text: &str) -> Option<i128> {
    // The parser also takes forms without a zone or a time of day, which RFC 3339 does not have.
    let bytes = text.as_bytes();
    if bytes.len() < 20 || !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_nanosecond)
}

#[cfg(test)]
mod tests;
