//! Decoders of what senders send, and the sum of what became of it.
//!
//! Suggested reading order: [`remote_write`], [`json_write`].
//!
//! Always holds: a decoder takes memory only within the limits it is given, never panics on bytes,
//! and allocates nothing per sample.

pub mod json_write;
pub mod remote_write;
pub mod tag_map;

/// What became of the samples of one write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOutcome {
    /// Samples that are stored.
    pub accepted: u64,
    /// Samples that will never be stored, however often they are sent.
    pub bad_requests: u64,
    /// Why the last of them was refused.
    pub last_bad: Option<String>,
    /// Samples that were not stored now but may be later.
    pub retryable: u64,
    /// Why the last of them failed.
    pub last_retryable: Option<String>,
    /// Samples refused because a limit is reached for now.
    pub resource_exhausted: u64,
    /// Which limit.
    pub last_exhausted: Option<String>,
}

impl WriteOutcome {
    /// Counts a sample that can never be stored.
    pub fn refuse(&mut self, why: impl Into<String>) {
        self.bad_requests += 1;
        self.last_bad = Some(why.into());
    }

    /// Counts a sample that failed now.
    pub fn fail(&mut self, why: impl Into<String>) {
        self.retryable += 1;
        self.last_retryable = Some(why.into());
    }

    /// Counts a sample that a limit refused for now.
    pub fn exhaust(&mut self, why: impl Into<String>) {
        self.resource_exhausted += 1;
        self.last_exhausted = Some(why.into());
    }

    /// Adds the outcome of another part of the same write.
    pub fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.bad_requests += other.bad_requests;
        self.last_bad = other.last_bad.or(self.last_bad.take());
        self.retryable += other.retryable;
        self.last_retryable = other.last_retryable.or(self.last_retryable.take());
        self.resource_exhausted += other.resource_exhausted;
        self.last_exhausted = other.last_exhausted.or(self.last_exhausted.take());
    }

    /// Whether every sample is stored.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.bad_requests == 0 && self.retryable == 0 && self.resource_exhausted == 0
    }

    /// The status code, by M3's rule: 400 if no retry can help, 429 if a limit was reached,
    /// otherwise 500.
    #[must_use]
    pub const fn status(&self) -> u16 {
        if self.is_whole() {
            200
        } else if self.resource_exhausted > 0 {
            429
        } else if self.retryable > 0 {
            500
        } else {
            400
        }
    }

    /// M3's text: counts and the last error of each class.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        let retryable = self.retryable + self.resource_exhausted;
        if retryable > 0 {
            let last = self.last_exhausted.as_ref().or(self.last_retryable.as_ref());
            parts.push(format!(
                "retryable_errors: count={retryable}, last={}",
                last.map_or("", String::as_str)
            ));
        }
        if self.bad_requests > 0 {
            parts.push(format!(
                "bad_request_errors: count={}, last={}",
                self.bad_requests,
                self.last_bad.as_deref().unwrap_or_default()
            ));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests;
