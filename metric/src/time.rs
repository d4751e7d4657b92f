//! Instants and lengths of time: i64 nanoseconds since the Unix epoch, as M3 promises (s to ns).
//!
//! Many instants and spans are numbers that a client sent, at any edge of what 64 bits can hold. So
//! every operator here saturates: a result that nanoseconds cannot express (before 1677, after
//! 2262) is the nearest one that they can, and nothing panics.
#![warn(clippy::arithmetic_side_effects)]

use std::ops::{Add, Mul, Neg, Sub};

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

    /// The start of the block of length `block` that holds this instant: the instant rounded
    /// towards the past to a whole number of blocks since the epoch.
    ///
    /// # Panics
    /// If `block` is not positive; callers check options first.
    #[must_use]
    pub const fn block_start(self, block: Span) -> Self {
        assert!(block.0 > 0, "a block has a positive length");
        Self(self.0.saturating_sub(self.0.rem_euclid(block.0)))
    }

    /// The whole second that holds this instant.
    #[must_use]
    pub const fn second(self) -> Self {
        self.block_start(Span(NS_PER_S))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Sub for Timestamp {
    type Output = Span;

    fn sub(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
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

    /// Whole milliseconds, rounded towards minus infinity.
    #[must_use]
    pub const fn to_ms(self) -> i64 {
        self.0.div_euclid(NS_PER_MS)
    }

    /// The length without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Span {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Mul<i64> for Span {
    type Output = Self;

    fn mul(self, times: i64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

/// RFC 3339 in UTC, as Go's `time.RFC3339Nano` prints it: no fraction when it is zero.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.div_euclid(NS_PER_S);
        let fraction = self.0.rem_euclid(NS_PER_S);
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if fraction != 0 {
            let digits = format!("{fraction:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// Year, month and day of a day number since 1970-01-01 (Howard Hinnant's `civil_from_days`).
#[expect(clippy::arithmetic_side_effects, reason = "days of 64 bits of nanoseconds are few")]
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// As Go prints a `time.Duration`: `1h2m3.5s`, `250ms`, `0s`.
impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::go_duration::write(f, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Span, Timestamp};

    const EDGES: [i64; 9] = [
        i64::MIN,
        i64::MIN + 1,
        -9_223_372_036_854_000_000,
        -1,
        0,
        1,
        9_223_372_036_854_000_000,
        i64::MAX - 1,
        i64::MAX,
    ];

    /// The exact result, in a wider integer, held at the ends of 64 bits.
    fn held(exact: i128) -> i64 {
        exact.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    #[test]
    fn every_operator_saturates_at_every_edge() {
        for (a, b) in EDGES.into_iter().flat_map(|a| EDGES.map(|b| (a, b))) {
            let (wide_a, wide_b) = (i128::from(a), i128::from(b));
            let (instant, span) = (Timestamp(a), Span(b));
            assert_eq!((instant + span).0, held(wide_a + wide_b), "{a} + {b}");
            assert_eq!((instant - span).0, held(wide_a - wide_b), "{a} - {b}");
            assert_eq!((instant - Timestamp(b)).0, held(wide_a - wide_b), "{a} - {b}");
            assert_eq!((Span(a) + span).0, held(wide_a + wide_b), "{a} + {b}");
            assert_eq!((Span(a) - span).0, held(wide_a - wide_b), "{a} - {b}");
            assert_eq!((Span(a) * b).0, held(wide_a * wide_b), "{a} * {b}");
        }
        for edge in EDGES {
            let wide = i128::from(edge);
            assert_eq!((-Span(edge)).0, held(-wide));
            assert_eq!(Span(edge).abs().0, held(wide.abs()));
            let second = 1_000_000_000;
            assert_eq!(Timestamp(edge).second().0, held(wide.div_euclid(second) * second));
            // Printing divides and adds too.
            assert!(!Timestamp(edge).to_string().is_empty() && !Span(edge).to_string().is_empty());
        }
    }

    #[test]
    fn timestamps_print_as_go_prints_them() {
        let check = |ns, want: &str| assert_eq!(Timestamp(ns).to_string(), want);
        check(0, "1970-01-01T00:00:00Z");
        check(1_714_979_289_000_000_000, "2024-05-06T07:08:09Z");
        check(1_582_934_400_123_000_000, "2020-02-29T00:00:00.123Z");
        check(-1, "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn spans_print_as_go_prints_them() {
        let check = |ns, want: &str| assert_eq!(Span(ns).to_string(), want);
        check(0, "0s");
        check(1_500, "1.5\u{b5}s");
        check(250_000_000, "250ms");
        check(3_723_500_000_000, "1h2m3.5s");
        check(172_800_000_000_000, "48h0m0s");
        check(-60_000_000_000, "-1m0s");
    }
}
