//! Least squares and double exponential smoothing over a window.

use crate::error::QueryError;
use crate::number::{add_compensated, float, seconds};

/// Slope of the regression line, and its value at `intercept_ms`.
fn line(times: &[i64], values: &[f64], intercept_ms: i64) -> (f64, f64) {
    let first = values[0];
    #[allow(clippy::float_cmp, reason = "constant means equal to the bit")]
    let constant = values.iter().skip(1).all(|v| *v == first);
    if constant {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (mut x, mut y, mut xy, mut xx) = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0));
    for (&time, &value) in times.iter().zip(values) {
        let at = seconds(time.saturating_sub(intercept_ms));
        x = add_compensated(at, x.0, x.1);
        y = add_compensated(value, y.0, y.1);
        xy = add_compensated(at * value, xy.0, xy.1);
        xx = add_compensated(at * at, xx.0, xx.1);
    }
    let n = float(values.len());
    let (x, y, xy, xx) = (x.0 + x.1, y.0 + y.1, xy.0 + xy.1, xx.0 + xx.1);
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

/// The slope per second.
pub(super) fn deriv(times: &[i64], values: &[f64]) -> Option<f64> {
    // The intercept is taken near the samples, since precision is lost far away from them.
    (values.len() > 1).then(|| line(times, values, times[0]).0)
}

/// The value `ahead` seconds after `eval_ms`.
pub(super) fn predict_linear(
    times: &[i64],
    values: &[f64],
    eval_ms: i64,
    ahead: f64,
) -> Option<f64> {
    (values.len() > 1).then(|| {
        let (slope, intercept) = line(times, values, eval_ms);
        slope * ahead + intercept
    })
}

/// Holt's linear method: level smoothed by `smoothing`, slope by `trend`, both in (0, 1).
pub(super) fn double_exponential_smoothing(
    values: &[f64],
    smoothing: f64,
    trend: f64,
) -> Result<Option<f64>, QueryError> {
    for (name, factor, letters) in [("smoothing", smoothing, "sf"), ("trend", trend, "tf")] {
        if factor <= 0.0 || factor >= 1.0 {
            return Err(QueryError::Execution(format!(
                "invalid {name} factor. Expected: 0 < {letters} < 1, got: {factor:.6}"
            )));
        }
    }
    if values.len() < 2 {
        return Ok(None);
    }
    let (mut before, mut level) = (0.0, values[0]);
    let mut slope = values[1] - values[0];
    for (i, &value) in values.iter().enumerate().skip(1) {
        if i > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + slope);
        (before, level) = (level, next);
    }
    Ok(Some(level))
}
