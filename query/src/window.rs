//! Range functions: compute a value from the samples of a window that moves over a series.
//!
//! Two indexes that only move forward mark the window, so a series costs samples plus steps.
//! Counter resets are found once per series, and minima and maxima are kept in a deque. Sums are
//! computed again for each window, because a running difference would lose precision that
//! Prometheus keeps. Windows are open on the left: `(end - range, end]`.

use crate::annotation::Annotations;
use crate::error::QueryError;
use crate::matrix::Grid;
use crate::number::{add_compensated, float, quantile, seconds};
use crate::promql::Pos;
use m3_metric::sample::is_stale;

mod regression;

use regression::{deriv, double_exponential_smoothing, predict_linear};

/// A function from a window of samples to one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeFunction {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Sum,
    Avg,
    Min,
    Max,
    Count,
    First,
    Last,
    Present,
    Stddev,
    Stdvar,
    Mad,
    Quantile,
    Changes,
    Resets,
    Deriv,
    PredictLinear,
    Smoothing,
    TimeOfFirst,
    TimeOfLast,
    TimeOfMin,
    TimeOfMax,
}

impl RangeFunction {
    /// The function with this PromQL name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => Self::Rate,
            "increase" => Self::Increase,
            "delta" => Self::Delta,
            "irate" => Self::Irate,
            "idelta" => Self::Idelta,
            "sum_over_time" => Self::Sum,
            "avg_over_time" => Self::Avg,
            "min_over_time" => Self::Min,
            "max_over_time" => Self::Max,
            "count_over_time" => Self::Count,
            "first_over_time" => Self::First,
            "last_over_time" => Self::Last,
            "present_over_time" => Self::Present,
            "stddev_over_time" => Self::Stddev,
            "stdvar_over_time" => Self::Stdvar,
            "mad_over_time" => Self::Mad,
            "quantile_over_time" => Self::Quantile,
            "changes" => Self::Changes,
            "resets" => Self::Resets,
            "deriv" => Self::Deriv,
            "predict_linear" => Self::PredictLinear,
            "double_exponential_smoothing" | "holt_winters" => Self::Smoothing,
            "ts_of_first_over_time" => Self::TimeOfFirst,
            "ts_of_last_over_time" => Self::TimeOfLast,
            "ts_of_min_over_time" => Self::TimeOfMin,
            "ts_of_max_over_time" => Self::TimeOfMax,
            _ => return None,
        })
    }

    /// Whether the result keeps the metric's name.
    pub(crate) const fn keeps_name(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }

    /// Whether the function is meant for counters only.
    pub(crate) const fn wants_counter(self) -> bool {
        matches!(self, Self::Rate | Self::Increase)
    }
}

/// A range function and its window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RangeCall {
    pub(crate) function: RangeFunction,
    /// The window's length.
    pub(crate) range_ms: i64,
    /// One if the window includes its left edge, otherwise zero.
    pub(crate) edge_ms: i64,
    /// Where the windows end.
    pub(crate) lookup: Grid,
    /// The times of the results; `predict_linear` counts from them.
    pub(crate) eval: Grid,
    /// The position of the function's first argument.
    pub(crate) pos: Pos,
}

impl RangeCall {
    /// The length to the left of a window's end in which its samples lie, exclusive.
    pub(crate) const fn reach_ms(&self) -> i64 {
        self.range_ms.saturating_add(self.edge_ms)
    }
}

/// A scalar argument: one number, or one per step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ScalarArg {
    Constant(f64),
    Steps(Vec<f64>),
}

impl ScalarArg {
    pub(crate) fn at(&self, step: usize) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Steps(values) => values.get(step).copied().unwrap_or(f64::NAN),
        }
    }
}

/// Buffers that live as long as a fragment, so that no series needs its own.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    times: Vec<i64>,
    values: Vec<f64>,
    resets: Vec<usize>,
    extremes: Vec<usize>,
    sorted: Vec<f64>,
}

struct Window<'a> {
    times: &'a [i64],
    values: &'a [f64],
    start_ms: i64,
    end_ms: i64,
}

/// Evaluates `call` for one series. `emit` receives steps and values in order. Returns the largest
/// number of samples in a window.
pub(crate) fn walk(
    call: &RangeCall,
    args: &[ScalarArg],
    series: (&[i64], &[f64]),
    scratch: &mut Scratch,
    annotations: &mut Annotations,
    mut emit: impl FnMut(usize, f64),
) -> Result<usize, QueryError> {
    let (mut times, mut values) = series;
    let mut kept = (std::mem::take(&mut scratch.times), std::mem::take(&mut scratch.values));
    // Folded without an early exit, so that the compiler can use SIMD.
    if values.iter().fold(false, |found, v| found | is_stale(*v)) {
        kept.0.clear();
        kept.1.clear();
        for (&time, &value) in times.iter().zip(values) {
            if !is_stale(value) {
                kept.0.push(time);
                kept.1.push(value);
            }
        }
        (times, values) = (&kept.0, &kept.1);
    }
    let mut walker = Walker { call, args, times, values, scratch, reset: 0, extreme: 0, next: 0 };
    walker.prepare();
    let result = walker.run(annotations, &mut emit);
    (scratch.times, scratch.values) = kept;
    result
}

struct Walker<'a> {
    call: &'a RangeCall,
    args: &'a [ScalarArg],
    times: &'a [i64],
    values: &'a [f64],
    scratch: &'a mut Scratch,
    /// The first reset that can still be in a window.
    reset: usize,
    /// The head of the deque of extremes.
    extreme: usize,
    /// The next sample to enter the deque.
    next: usize,
}

impl Walker<'_> {
    /// Finds the counter resets of the whole series.
    fn prepare(&mut self) {
        self.scratch.resets.clear();
        self.scratch.extremes.clear();
        if matches!(
            self.call.function,
            RangeFunction::Rate | RangeFunction::Increase | RangeFunction::Resets
        ) {
            let mut pairs = self.values.iter().zip(self.values.iter().skip(1));
            if pairs.any(|(before, after)| after < before) {
                let pairs = self.values.windows(2).enumerate();
                let resets = pairs.filter(|(_, p)| p[1] < p[0]).map(|(i, _)| i + 1);
                self.scratch.resets.extend(resets);
            }
        }
    }

    fn run(
        &mut self,
        annotations: &mut Annotations,
        emit: &mut impl FnMut(usize, f64),
    ) -> Result<usize, QueryError> {
        let (mut low, mut high, mut most) = (0, 0, 0);
        for step in 0..self.call.lookup.count {
            let end_ms = self.call.lookup.time(step);
            let start_ms = end_ms.saturating_sub(self.call.reach_ms());
            while high < self.times.len() && self.times[high] <= end_ms {
                high += 1;
            }
            while low < high && self.times[low] <= start_ms {
                low += 1;
            }
            most = most.max(high - low);
            if low < high {
                if let Some(value) = self.evaluate((step, end_ms), low, high, annotations)? {
                    emit(step, value);
                }
            } else if high == self.times.len() && self.call.lookup.step_ms > 0 {
                break;
            }
        }
        Ok(most)
    }

    fn evaluate(
        &mut self,
        (step, end_ms): (usize, i64),
        low: usize,
        high: usize,
        annotations: &mut Annotations,
    ) -> Result<Option<f64>, QueryError> {
        use RangeFunction as F;
        let window = Window {
            times: &self.times[low..high],
            values: &self.values[low..high],
            start_ms: end_ms.saturating_sub(self.call.range_ms),
            end_ms,
        };
        let values = window.values;
        let last = values.len() - 1;
        Ok(Some(match self.call.function {
            F::Rate | F::Increase | F::Delta => return Ok(self.extrapolated(&window, low, high)),
            F::Irate => return Ok(instant_change(&window, true)),
            F::Idelta => return Ok(instant_change(&window, false)),
            F::Sum => sum(values),
            F::Avg => average(values),
            F::Min | F::Max => self.extreme(low, high),
            F::Count => float(values.len()),
            F::First => values[0],
            F::Last => values[last],
            F::Present => 1.0,
            F::Stddev => variance(values).sqrt(),
            F::Stdvar => variance(values),
            F::Mad => self.median_deviation(low, high),
            F::Quantile => {
                let q = self.args[0].at(step);
                if q.is_nan() || !(0.0..=1.0).contains(&q) {
                    annotations.quantile_out_of_range(q, self.call.pos);
                }
                self.scratch.sorted.clear();
                self.scratch.sorted.extend_from_slice(values);
                quantile(q, &mut self.scratch.sorted)
            }
            F::Changes => changes(values),
            F::Resets => float(self.resets_within(low, high).len()),
            F::Deriv => return Ok(deriv(window.times, values)),
            F::PredictLinear => {
                let eval_ms = self.call.eval.time(step);
                let ahead = self.args[0].at(step);
                return Ok(predict_linear(window.times, values, eval_ms, ahead));
            }
            F::Smoothing => {
                let (smoothing, trend) = (self.args[0].at(step), self.args[1].at(step));
                return double_exponential_smoothing(values, smoothing, trend);
            }
            F::TimeOfFirst => seconds(window.times[0]),
            F::TimeOfLast => seconds(window.times[last]),
            F::TimeOfMin => time_of(&window, |value, best| value <= best),
            F::TimeOfMax => time_of(&window, |value, best| value >= best),
        }))
    }

    /// Indexes in `(low, high)` whose value is below the previous one.
    fn resets_within(&mut self, low: usize, high: usize) -> &[usize] {
        let resets = &self.scratch.resets;
        while self.reset < resets.len() && resets[self.reset] <= low {
            self.reset += 1;
        }
        let rest = &resets[self.reset..];
        let count = rest.iter().take_while(|i| **i < high).count();
        &rest[..count]
    }

    /// `rate`, `increase` and `delta`: the difference over the window, extrapolated to its edges.
    fn extrapolated(&mut self, window: &Window<'_>, low: usize, high: usize) -> Option<f64> {
        let counter = self.call.function != RangeFunction::Delta;
        let count = high - low;
        if count < 2 {
            return None;
        }
        let (first, last) = (window.values[0], window.values[count - 1]);
        let mut result = last - first;
        if counter {
            let all = self.values;
            for &at in self.resets_within(low, high) {
                result += all[at - 1];
            }
        }
        let (first_ms, last_ms) = (window.times[0], window.times[count - 1]);
        let mut to_start = seconds(first_ms.saturating_sub(window.start_ms));
        let mut to_end = seconds(window.end_ms.saturating_sub(last_ms));
        let sampled = seconds(last_ms - first_ms);
        let between = sampled / float(count - 1);
        let threshold = between * 1.1;
        if to_start >= threshold {
            to_start = between / 2.0;
        }
        if counter {
            // A counter is not negative, so it is not extrapolated beyond the time when it would be
            // zero.
            let to_zero =
                if result > 0.0 && first >= 0.0 { sampled * (first / result) } else { to_start };
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
        if to_end >= threshold {
            to_end = between / 2.0;
        }
        let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
        let is_rate = self.call.function == RangeFunction::Rate;
        if is_rate && self.call.edge_ms > 0 {
            // The order of rounding in Prometheus 2.
            return Some(result * factor / seconds(self.call.range_ms));
        }
        if is_rate {
            factor /= seconds(self.call.range_ms);
        }
        Some(result * factor)
    }

    /// Minimum or maximum; NaN only if there is nothing else.
    fn extreme(&mut self, low: usize, high: usize) -> f64 {
        let max = self.call.function == RangeFunction::Max;
        let (values, deque) = (self.values, &mut self.scratch.extremes);
        while self.next < high {
            let value = values[self.next];
            if !value.is_nan() {
                while deque.len() > self.extreme {
                    let back = values[deque[deque.len() - 1]];
                    if if max { back < value } else { back > value } {
                        deque.pop();
                    } else {
                        break;
                    }
                }
                deque.push(self.next);
            }
            self.next += 1;
        }
        while self.extreme < deque.len() && deque[self.extreme] < low {
            self.extreme += 1;
        }
        deque.get(self.extreme).map_or(values[high - 1], |i| values[*i])
    }

    fn median_deviation(&mut self, low: usize, high: usize) -> f64 {
        let values = &self.values[low..high];
        if values.iter().any(|v| v.is_nan()) {
            return f64::NAN;
        }
        let sorted = &mut self.scratch.sorted;
        sorted.clear();
        sorted.extend_from_slice(values);
        let median = quantile(0.5, sorted);
        for value in sorted.iter_mut() {
            *value = (*value - median).abs();
        }
        quantile(0.5, sorted)
    }
}

fn sum(values: &[f64]) -> f64 {
    let (total, c) = values.iter().fold((0.0, 0.0), |(s, c), v| add_compensated(*v, s, c));
    if total.is_infinite() { total } else { total + c }
}

/// The mean: sum divided by count, or a running mean once the sum would overflow.
fn average(values: &[f64]) -> f64 {
    let (mut total, mut c) = (values[0], 0.0);
    for (i, &value) in values.iter().enumerate().skip(1) {
        let (next, next_c) = add_compensated(value, total, c);
        if next.is_infinite() {
            return running_mean(&values[i..], total / float(i), c / float(i), i);
        }
        (total, c) = (next, next_c);
    }
    let count = float(values.len());
    total / count + c / count
}

fn running_mean(values: &[f64], mut mean: f64, mut c: f64, seen: usize) -> f64 {
    for (i, &value) in values.iter().enumerate() {
        let count = float(seen + i + 1);
        let q = (count - 1.0) / count;
        (mean, c) = add_compensated(value / count, q * mean, q * c);
    }
    mean + c
}

fn variance(values: &[f64]) -> f64 {
    let (mut count, mut mean, mut mean_c, mut aux, mut aux_c) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &value in values {
        count += 1.0;
        let delta = value - (mean + mean_c);
        (mean, mean_c) = add_compensated(delta / count, mean, mean_c);
        (aux, aux_c) = add_compensated(delta * (value - (mean + mean_c)), aux, aux_c);
    }
    (aux + aux_c) / count
}

fn changes(values: &[f64]) -> f64 {
    #[allow(clippy::float_cmp, reason = "a change is any difference")]
    let changed = |p: &&[f64]| p[1] != p[0] && !(p[1].is_nan() && p[0].is_nan());
    float(values.windows(2).filter(changed).count())
}

fn time_of(window: &Window<'_>, better: impl Fn(f64, f64) -> bool) -> f64 {
    let (mut best, mut at) = (window.values[0], window.times[0]);
    for (&time, &value) in window.times.iter().zip(window.values) {
        if better(value, best) || best.is_nan() {
            (best, at) = (value, time);
        }
    }
    seconds(at)
}

/// `irate` and `idelta`: the difference of the last two samples.
fn instant_change(window: &Window<'_>, rate: bool) -> Option<f64> {
    let count = window.values.len();
    if count < 2 {
        return None;
    }
    let (before, last) = (window.values[count - 2], window.values[count - 1]);
    let interval = window.times[count - 1] - window.times[count - 2];
    if interval == 0 {
        return None;
    }
    if !rate {
        return Some(last - before);
    }
    // After a counter reset, the last value itself is the increase.
    let increase = if last < before { last } else { last - before };
    Some(increase / seconds(interval))
}

#[cfg(test)]
mod tests;
