//! Decoders of the write formats, and the answer that tells a sender what became of its samples.
//!
//! Suggested reading order: [`remote_write`], [`json_write`].
//!
//! Always holds: a decoder takes memory only within the limits it is given, never panics on bytes,
//! and allocates nothing per sample.

pub mod json_write;
pub mod remote_write;
pub mod tag_map;

use m3_metric::WriteOutcome;

/// The status code of a write with this outcome, by M3's rule: 400 if no retry can help, 429 if a
/// limit was reached, otherwise 500.
#[must_use]
pub const fn status_of(outcome: &WriteOutcome) -> u16 {
    if outcome.is_whole() {
        200
    } else if outcome.exhausted.count > 0 {
        429
    } else if outcome.retryable.count > 0 {
        500
    } else {
        400
    }
}

/// M3's text for this outcome: counts and the last error of each class.
#[must_use]
pub fn text_of(outcome: &WriteOutcome) -> String {
    let WriteOutcome { bad, retryable, exhausted, .. } = outcome;
    let mut parts = Vec::new();
    let count = retryable.count.saturating_add(exhausted.count);
    if count > 0 {
        let last = exhausted.last.as_ref().or(retryable.last.as_ref());
        let last = last.map_or("", String::as_str);
        parts.push(format!("retryable_errors: count={count}, last={last}"));
    }
    if bad.count > 0 {
        let last = bad.last.as_deref().unwrap_or_default();
        parts.push(format!("bad_request_errors: count={}, last={last}", bad.count));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests;
