//! The times at which a namespace accepts samples, and the refusal of others.
#![warn(clippy::arithmetic_side_effects)]

use m3_metric::{Span, Timestamp};
use std::fmt;

/// Options of a namespace that concern storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// How long a sample is kept.
    pub retention: Span,
    /// The length of a block. Blocks with samples from before a change keep theirs.
    pub block: Span,
    /// M3's write window, if the namespace has one.
    pub window: Option<Window>,
}

/// M3's write window (`bufferPast`, `bufferFuture`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How far behind the clock a sample may be.
    pub past: Span,
    /// How far ahead of the clock a sample may be.
    pub future: Span,
    /// Whether later samples within retention are accepted all the same (`coldWritesEnabled`).
    pub cold_writes: bool,
    /// How far ahead of the clock a cold write may be (`futureRetentionPeriod`).
    pub future_retention: Span,
}

/// How far ahead of the clock a sample may be in a namespace without a window: a day. That is more
/// than any wrong clock or time zone, and little enough to refuse a wrong unit.
pub const FUTURE_MAX: Span = Span::from_s(24 * 3600);

/// Why a sample was refused. The texts are M3's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whether it is too far in the past; otherwise it is too far in the future.
    pub past: bool,
    /// Whether the limit was retention, not the window.
    pub retention: bool,
    /// The sample's time.
    pub timestamp: Timestamp,
    /// The limit that it exceeded.
    pub limit: Timestamp,
}

impl Refusal {
    /// M3's text for refusing a sample of the series `id`, and what would have it taken.
    #[must_use]
    pub fn text(&self, id: &impl fmt::Display) -> String {
        let side = if self.past { "past" } else { "future" };
        let out = if self.retention { " and out of retention" } else { "" };
        let (ts, limit) = (self.timestamp, self.limit);
        let by = (limit - ts).abs();
        let remedy = match (self.past, self.retention) {
            (true, false) => {
                "; a namespace that is created with coldWritesEnabled takes samples however late \
                 they are within its retention"
            }
            _ => "",
        };
        format!(
            "datapoint too far in {side}{out}: id={id}, off_by={by}, timestamp={}, \
             {side}_limit={}, timestamp_unix_nanos={}, {side}_limit_unix_nanos={}{remedy}",
            ts.second(),
            limit.second(),
            ts.0,
            limit.0
        )
    }
}

impl StoreOptions {
    /// Checks a sample's time against the clock.
    ///
    /// # Errors
    /// The refusal that M3 would give.
    pub fn check(&self, now_ns: i64, timestamp: Timestamp) -> Result<(), Refusal> {
        let now = Timestamp(now_ns);
        let refuse = |past, retention, limit| Err(Refusal { past, retention, timestamp, limit });
        let kept = now - self.retention;
        let Some(window) = self.window else {
            let ahead = now + FUTURE_MAX;
            if timestamp < kept {
                return refuse(true, true, kept);
            }
            return if timestamp >= ahead { refuse(false, true, ahead) } else { Ok(()) };
        };
        let past = (now - window.past).second();
        let future = (now + window.future).second();
        if timestamp < past {
            if !window.cold_writes {
                return refuse(true, false, past);
            }
            return if timestamp < kept { refuse(true, true, kept) } else { Ok(()) };
        }
        if timestamp >= future {
            if !window.cold_writes {
                return refuse(false, false, future);
            }
            let ahead = now + window.future_retention;
            return if timestamp >= ahead { refuse(false, true, ahead) } else { Ok(()) };
        }
        Ok(())
    }
}
