//! The outcome of a write: the counts of its samples, from the decoder to the client's answer.
//!
//! Every layer that refuses a sample counts it here, in the class that decides what the sender does
//! next. Each class keeps the reason of its last sample. Outcomes of parts are added with `+=`.

use std::ops::AddAssign;

/// Samples that were not stored, for one class of reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Their number.
    pub count: u64,
    /// The reason of the last one.
    pub last: Option<String>,
}

impl Refused {
    /// Counts `count` samples; `why` is the reason of the last one.
    pub fn add(&mut self, count: u64, why: impl Into<String>) {
        self.count = self.count.saturating_add(count);
        self.last = Some(why.into());
    }
}

impl AddAssign for Refused {
    fn add_assign(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.last = other.last.or(self.last.take());
    }
}

/// The outcome of a write, or of a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOutcome {
    /// Samples that are stored, or were stored already with the same bits.
    pub accepted: u64,
    /// Samples that will never be stored, however often they are sent.
    pub bad: Refused,
    /// Samples that were not stored, but may be if they are sent again.
    pub retryable: Refused,
    /// Samples refused because a limit is reached at the moment.
    pub exhausted: Refused,
}

impl WriteOutcome {
    /// Whether every sample is stored.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.bad.count == 0 && self.retryable.count == 0 && self.exhausted.count == 0
    }

    /// Records that accepted samples are not durable after all, because of `why`, so the sender has
    /// to send them again. At least one sample is counted, so that the write does not look
    /// successful.
    pub fn fail(&mut self, why: impl Into<String>) {
        let count = std::mem::take(&mut self.accepted).max(1);
        self.retryable.add(count, why);
    }
}

impl AddAssign for WriteOutcome {
    fn add_assign(&mut self, other: Self) {
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.bad += other.bad;
        self.retryable += other.retryable;
        self.exhausted += other.exhausted;
    }
}

#[cfg(test)]
mod tests {
    use super::WriteOutcome;

    #[test]
    fn parts_add_up_and_the_last_reason_of_each_class_stays() {
        let mut whole = WriteOutcome { accepted: 5, ..WriteOutcome::default() };
        whole.bad.add(2, "too far in the past");
        let mut part = WriteOutcome { accepted: 3, ..WriteOutcome::default() };
        part.exhausted.add(1, "full");
        whole += part;
        assert_eq!((whole.accepted, whole.bad.count, whole.exhausted.count), (8, 2, 1));
        assert_eq!(whole.bad.last.as_deref(), Some("too far in the past"));
        assert_eq!(whole.exhausted.last.as_deref(), Some("full"));
        let mut later = WriteOutcome::default();
        later.bad.add(1, "no tags");
        whole += later;
        assert_eq!((whole.bad.count, whole.bad.last.as_deref()), (3, Some("no tags")));
        assert!(!whole.is_whole());
    }

    #[test]
    fn what_is_not_durable_is_to_be_sent_again() {
        let mut outcome = WriteOutcome { accepted: 5, ..WriteOutcome::default() };
        outcome.fail("disk full");
        assert_eq!((outcome.accepted, outcome.retryable.count), (0, 5));
        let mut empty = WriteOutcome::default();
        empty.fail("disk full");
        assert!(!empty.is_whole(), "a failure is told even where nothing was accepted");
    }
}
