//! Instants and lengths of time: i64 nanoseconds since the Unix epoch, as M3 promises (s to ns).

/// Nanoseconds in a millisecond.
pub const NS_PER_MS: i64 = 1_000_000;
/// Nanoseconds in a second.
pub const NS_PER_S: i64 = 1_000_000_000;

/// An instant in nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The instant `ms` milliseconds after the epoch, or `None` where nanoseconds cannot hold it.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Option<Self> {
        match ms.checked_mul(NS_PER_MS) {
            Some(ns) => Some(Self(ns)),
            None => None,
        }
    }

    /// The same, held at the ends of what nanoseconds can express (years 1677 to 2262).
    #[must_use]
    pub const fn from_ms_saturating(ms: i64) -> Self {
        Self(ms.saturating_mul(NS_PER_MS))
    }

    /// Whole milliseconds since the epoch, rounded towards the past.
    #[must_use]
    pub const fn to_ms(self) -> i64 {
        self.0.div_euclid(NS_PER_MS)
    }

    /// The start of the block of length `block` that holds this instant.
    #[must_use]
    pub const fn block_start(self, block: Span) -> Self {
        assert!(block.0 > 0, "a block has a positive length");
        Self(self.0.saturating_sub(self.0.rem_euclid(block.0)))
    }
}

/// A length of time in nanoseconds; may be negative where an offset is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span(pub i64);

impl Span {
    /// `s` seconds.
    #[must_use]
    pub const fn from_s(s: i64) -> Self {
        Self(s.saturating_mul(NS_PER_S))
    }

    /// `ms` milliseconds.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms.saturating_mul(NS_PER_MS))
    }
}
