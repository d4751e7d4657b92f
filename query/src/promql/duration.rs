//! What durations are worth: literals, and the expressions that may stand between brackets and
//! behind `offset`, once the query's step and range are known.

use super::{BinaryOp, DurationExpr, DurationNode, Pos, group};
use m3_metric::promql_duration::{self, BadDuration};
use std::fmt;

/// Seconds at which a duration no longer fits Prometheus' i64 nanoseconds.
const SECONDS_MAX: f64 = 9_223_372_036.854_776;

/// Why a duration expression gives no usable duration at a query's step and range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationError {
    /// Where the expression stands.
    pub pos: Pos,
    /// What is wrong with its value.
    pub what: &'static str,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.pos.start, self.pos.end, self.what)
    }
}

impl std::error::Error for DurationError {}

/// Seconds of a duration literal.
pub(super) fn parse_seconds(text: &str) -> Result<f64, BadDuration> {
    let ms = promql_duration::parse_ms(text)?;
    // Whole seconds and the rest apart, as Prometheus does, so that the sum rounds once.
    Ok((ms / 1000) as f64 + (ms % 1000) as f64 / 1e3)
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
        let fail = |what| Err(DurationError { pos, what });
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
            Self::Binary(first, rest) => {
                let from_right = rest.iter().any(|(op, _)| op.groups_from_right());
                let operand = |(): &mut (), (op, node): &(BinaryOp, Self)| {
                    Ok((*op, node.seconds(step, range)?))
                };
                let combine = |(): &mut (), a, op, b| compute(a, op, b);
                group(&mut (), first.seconds(step, range)?, rest, from_right, operand, combine)?
            }
        })
    }
}

fn compute(a: f64, op: BinaryOp, b: f64) -> Result<f64, &'static str> {
    Ok(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div if b == 0.0 => return Err("division by zero"),
        BinaryOp::Div => a / b,
        BinaryOp::Mod if b == 0.0 => return Err("modulo by zero"),
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        _ => return Err("operator not allowed in a duration expression"),
    })
}

/// The smaller or larger; NaN if either is, which [`f64::min`] would ignore.
fn extreme((a, b): (f64, f64), pick: fn(f64, f64) -> f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { pick(a, b) }
}
