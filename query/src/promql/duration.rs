//! Durations: as text (`1d2h`), and as the expressions that may stand between brackets and behind
//! `offset`, once the query's step and range are known.

use super::quote::quote;
use super::{BinaryOp, DurationExpr, DurationNode, Pos};
use std::fmt;

/// Nanoseconds of each unit, the longest first: a duration's units must descend.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3600 * NANOS),
    ("w", 7 * 24 * 3600 * NANOS),
    ("d", 24 * 3600 * NANOS),
    ("h", 3600 * NANOS),
    ("m", 60 * NANOS),
    ("s", NANOS),
    ("ms", 1_000_000),
];
const NANOS: u64 = 1_000_000_000;
/// Seconds at which a duration no longer fits Prometheus' i64 nanoseconds.
const SECONDS_MAX: f64 = 9_223_372_036.854_776;

/// Why something is no duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// No text at all.
    Empty,
    /// Not digits and units in descending order.
    Malformed {
        /// The text.
        text: String,
    },
    /// A unit that does not exist.
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// 2^63 nanoseconds (292 years) or more.
    OutOfRange,
    /// A duration expression gives no usable duration at this query's step and range.
    Computed {
        /// Where the expression stands.
        pos: Pos,
        /// What is wrong with its value.
        what: &'static str,
    },
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty duration string"),
            Self::Malformed { text } => write!(f, "not a valid duration string: {}", quote(text)),
            Self::UnknownUnit { unit, text } => {
                write!(f, "unknown unit {} in duration {}", quote(unit), quote(text))
            }
            Self::OutOfRange => f.write_str("duration out of range"),
            Self::Computed { pos, what } => write!(f, "{}:{}: {what}", pos.start, pos.end),
        }
    }
}

impl std::error::Error for DurationError {}

/// Milliseconds of a duration as Prometheus writes it, `1d2h` or `0`; never negative.
///
/// # Errors
/// What keeps the text from being a duration, in Prometheus' words.
pub fn parse_duration_ms(text: &str) -> Result<i64, DurationError> {
    let nanos = parse_nanos(text)?;
    Ok(i64::try_from(nanos / 1_000_000).expect("2^63 nanoseconds are fewer milliseconds"))
}

/// Seconds of a duration literal.
pub(super) fn parse_seconds(text: &str) -> Result<f64, DurationError> {
    let nanos = parse_nanos(text)?;
    // Whole seconds and the rest apart, as Prometheus does, so that the sum rounds once.
    Ok((nanos / NANOS) as f64 + (nanos % NANOS) as f64 / 1e9)
}

fn parse_nanos(text: &str) -> Result<u64, DurationError> {
    match text {
        "0" => return Ok(0),
        "" => return Err(DurationError::Empty),
        _ => {}
    }
    let malformed = || DurationError::Malformed { text: text.to_owned() };
    let (mut rest, mut total, mut units) = (text, 0u64, &UNITS[..]);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let value: u64 = rest[..digits].parse().map_err(|_| malformed())?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = &rest[..unit_len];
        rest = &rest[unit_len..];
        if unit.is_empty() {
            return Err(malformed());
        }
        let Some(at) = units.iter().position(|(name, _)| *name == unit) else {
            return Err(if UNITS.iter().any(|(name, _)| *name == unit) {
                malformed()
            } else {
                DurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() }
            });
        };
        total = value
            .checked_mul(units[at].1)
            .and_then(|nanos| nanos.checked_add(total))
            .filter(|&nanos| i64::try_from(nanos).is_ok())
            .ok_or(DurationError::OutOfRange)?;
        units = &units[at + 1..];
    }
    Ok(total)
}

/// Milliseconds of a literal's seconds: rounded to the nanosecond, the rest of a millisecond cut
/// off, both as Prometheus does.
pub(super) fn literal_ms(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64 / 1_000_000
}

/// Whether a literal is beyond what Prometheus' durations hold.
pub(super) fn out_of_range(seconds: f64) -> bool {
    !(-SECONDS_MAX..=SECONDS_MAX).contains(&seconds) && !seconds.is_nan()
}

/// `1h30m`, as Prometheus writes `ms` milliseconds; a minus in front if they are negative.
pub(super) fn write_ms(f: &mut fmt::Formatter<'_>, ms: i64) -> fmt::Result {
    let mut rest = ms.unsigned_abs();
    if ms < 0 {
        f.write_str("-")?;
    }
    if rest == 0 {
        return f.write_str("0s");
    }
    for (unit, nanos) in UNITS {
        let length = nanos / 1_000_000;
        // 90d reads better than 12w6d: years and weeks only where nothing is left behind.
        if matches!(unit, "y" | "w") && !rest.is_multiple_of(length) {
            continue;
        }
        if rest / length > 0 {
            write!(f, "{}{unit}", rest / length)?;
            rest %= length;
        }
    }
    Ok(())
}

impl DurationExpr {
    /// Milliseconds at a query's `step_ms` and `range_ms` (its end minus its start; both 0 for an
    /// instant query). May be negative or zero, as an offset may.
    ///
    /// # Errors
    /// The expression divides by zero, or its value is not finite or out of range.
    pub fn eval(&self, step_ms: i64, range_ms: i64) -> Result<i64, DurationError> {
        self.eval_checked(step_ms, range_ms, true)
    }

    /// As [`Self::eval`], for a range or a subquery's step, which must be greater than 0.
    ///
    /// # Errors
    /// As [`Self::eval`], and for a value that is not greater than 0.
    pub fn eval_positive(&self, step_ms: i64, range_ms: i64) -> Result<i64, DurationError> {
        self.eval_checked(step_ms, range_ms, false)
    }

    fn eval_checked(&self, step: i64, range: i64, signed: bool) -> Result<i64, DurationError> {
        let (node, pos) = match self {
            Self::Ms(ms) => return Ok(*ms),
            Self::Computed(node, pos) => (node, *pos),
        };
        let fail = |what| Err(DurationError::Computed { pos, what });
        let seconds = match node.seconds(step as f64 / 1e3, range as f64 / 1e3) {
            Ok(seconds) => seconds,
            Err(what) => return fail(what),
        };
        if !seconds.is_finite() {
            return fail("duration is NaN or infinite");
        }
        if seconds <= 0.0 && !signed {
            return fail("duration must be greater than 0");
        }
        if out_of_range(seconds) {
            return fail("duration is out of range");
        }
        Ok((seconds * 1e3) as i64)
    }
}

impl DurationNode {
    fn seconds(&self, step: f64, range: f64) -> Result<f64, &'static str> {
        let pair = |a: &Self, b: &Self| -> Result<_, &'static str> {
            Ok((a.seconds(step, range)?, b.seconds(step, range)?))
        };
        Ok(match self {
            Self::Seconds(seconds) => *seconds,
            Self::Step => step,
            Self::Range => range,
            Self::Negate(inner) => -inner.seconds(step, range)?,
            Self::Min(a, b) => extreme(pair(a, b)?, f64::min),
            Self::Max(a, b) => extreme(pair(a, b)?, f64::max),
            Self::Binary(op, a, b) => {
                let (a, b) = pair(a, b)?;
                match op {
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    BinaryOp::Div if b == 0.0 => return Err("division by zero"),
                    BinaryOp::Div => a / b,
                    BinaryOp::Mod if b == 0.0 => return Err("modulo by zero"),
                    BinaryOp::Mod => a % b,
                    BinaryOp::Pow => a.powf(b),
                    _ => return Err("operator not allowed in a duration expression"),
                }
            }
        })
    }
}

/// The smaller or larger; NaN if either is, which [`f64::min`] would ignore.
fn extreme((a, b): (f64, f64), pick: fn(f64, f64) -> f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { pick(a, b) }
}
