//! Quantiles and fractions of classic histograms, whose buckets are series that differ only in
//! their label `le`.

use crate::annotation::Correction;
use crate::error::QueryError;
use crate::fold::Groups;
use crate::matrix::{Data, Grid, Row, is_absent, merge_equal, without_metadata};
use crate::number::{almost_equal, general};
use crate::promql::Pos;
use crate::work::{Context, Pieces};
use m3_metric::quote::quote;

/// Up to this relative difference, neighboring buckets differ by floating point noise.
const TOLERANCE: f64 = 1e-12;

/// The label that holds a bucket's upper bound.
const BUCKET_LABEL: &str = "le";

/// The function to compute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HistogramFunction {
    /// `histogram_quantile(q, v)`
    Quantile,
    /// `histogram_fraction(lower, upper, v)`
    Fraction,
    /// `histogram_quantiles(v, label, q...)`
    Quantiles { label: String },
}

/// A function of histograms, with the positions of its vector and its quantiles.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HistogramCall {
    pub(crate) function: HistogramFunction,
    pub(crate) vector_pos: Pos,
    pub(crate) quantile_pos: Vec<Pos>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    upper: f64,
    count: f64,
}

/// Evaluates a [`HistogramCall`] for one histogram after another.
pub(crate) struct HistogramTask {
    call: HistogramCall,
    grid: Grid,
    rows: Vec<Row>,
    args: Vec<Vec<f64>>,
    /// For each histogram, bounds and rows in order of bounds.
    members: Vec<Vec<(f64, usize)>>,
    malformed: Vec<usize>,
    out: Vec<Row>,
    buckets: Vec<Bucket>,
}

impl HistogramTask {
    pub(crate) fn new(
        call: HistogramCall,
        grid: Grid,
        rows: Vec<Row>,
        args: Vec<Vec<f64>>,
    ) -> Self {
        let mut groups = Groups::default();
        let mut members: Vec<Vec<(f64, usize)>> = Vec::new();
        let mut malformed = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            let Some(bound) = row.labels.get(BUCKET_LABEL).and_then(parse_bound) else {
                malformed.push(i);
                continue;
            };
            let at = groups.number(row.labels.filtered(|name| name != BUCKET_LABEL));
            if at == members.len() {
                members.push(Vec::new());
            }
            members[at].push((bound, i));
        }
        for list in &mut members {
            list.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let per_group = match &call.function {
            HistogramFunction::Quantiles { .. } => args.len(),
            _ => 1,
        };
        let mut out = Vec::with_capacity(members.len() * per_group);
        for labels in &groups.labels {
            let labels = without_metadata(labels);
            if let HistogramFunction::Quantiles { label } = &call.function {
                for q in &args {
                    let mut builder = labels.to_builder();
                    let q = q.first().copied().unwrap_or(f64::NAN);
                    builder.set(label, &open_metrics(q));
                    out.push(Row::new(builder.finish()));
                }
            } else {
                out.push(Row::new(labels));
            }
        }
        Self { call, grid, rows, args, members, malformed, out, buckets: Vec::new() }
    }

    fn arg(&self, index: usize, step: usize) -> f64 {
        self.args[index].get(step).copied().unwrap_or(f64::NAN)
    }

    /// Collects the buckets of a histogram at a step; equal bounds are added up.
    fn gather(&mut self, group: usize, step: usize) {
        self.buckets.clear();
        for &(upper, row) in &self.members[group] {
            let count = self.rows[row].at(step);
            if is_absent(count) {
                continue;
            }
            match self.buckets.last_mut() {
                #[allow(clippy::float_cmp, reason = "bounds are equal or they are not")]
                Some(last) if last.upper == upper => last.count += count,
                _ => self.buckets.push(Bucket { upper, count }),
            }
        }
    }

    /// Warnings that concern the whole call: bad quantiles, bad bounds.
    fn warn(&self, cx: &mut Context) {
        if self.call.function != HistogramFunction::Fraction {
            for (arg, pos) in self.args.iter().zip(&self.call.quantile_pos) {
                for &q in arg.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
                    cx.annotations.quantile_out_of_range(q, *pos);
                }
            }
        }
        for &row in &self.malformed {
            if !self.rows[row].is_empty() {
                let value = quote(self.rows[row].labels.get(BUCKET_LABEL).unwrap_or_default());
                let text =
                    format!("bucket label \"le\" is missing or has a malformed value of {value}");
                cx.annotations.warn(&text, self.call.vector_pos);
            }
        }
    }
}

/// Parses a bucket's bound as Go's `ParseFloat` does.
fn parse_bound(text: &str) -> Option<f64> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return None;
    }
    text.parse().ok()
}

/// A quantile as a label value: always with a decimal point or an exponent.
fn open_metrics(q: f64) -> String {
    let text = general(q, None);
    if text.contains(['.', 'e', 'N', 'I']) { text } else { format!("{text}.0") }
}

impl Pieces for HistogramTask {
    fn count(&self) -> usize {
        self.members.len()
    }

    fn piece(&mut self, group: usize, cx: &mut Context) -> Result<usize, QueryError> {
        for step in 0..self.grid.count {
            self.gather(group, step);
            if self.buckets.is_empty() {
                continue;
            }
            if self.call.function == HistogramFunction::Fraction {
                let (lower, upper) = (self.arg(0, step), self.arg(1, step));
                self.out[group].push(step, fraction(lower, upper, &self.buckets));
                continue;
            }
            for i in 0..self.args.len() {
                let q = self.arg(i, step);
                if i > 0 {
                    self.gather(group, step);
                }
                let (value, correction) = quantile(q, &mut self.buckets, self.grid.time(step));
                if let Some(correction) = correction {
                    cx.annotations.corrected(correction, self.call.vector_pos);
                }
                let at = group * self.out.len() / self.members.len() + i;
                self.out[at].push(step, value);
            }
        }
        Ok(self.members[group].len() * self.grid.count * 2)
    }

    fn finish(&mut self, cx: &mut Context) -> Result<Data, QueryError> {
        self.warn(cx);
        let mut out = std::mem::take(&mut self.out);
        out.retain(|row| !row.values.is_empty());
        merge_equal(out).map(Data::Matrix)
    }
}

/// The quantile, and the correction that was needed for it.
fn quantile(q: f64, buckets: &mut [Bucket], time_ms: i64) -> (f64, Option<Correction>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    let last = buckets.len() - 1;
    if buckets[last].upper != f64::INFINITY {
        return (f64::NAN, None);
    }
    let correction = make_monotonic(buckets, time_ms);
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return (f64::NAN, correction);
    }
    let mut rank = q * observations;
    // Everything that is not below counts, so NaN falls into the highest bucket, as in Prometheus.
    let found = buckets[..last].iter().position(|b| b.count >= rank).unwrap_or(last);
    let value = if found == last {
        buckets[last - 1].upper
    } else if found == 0 && buckets[0].upper <= 0.0 {
        buckets[0].upper
    } else {
        let Bucket { upper, mut count } = buckets[found];
        let mut lower = 0.0;
        if found > 0 {
            let before = buckets[found - 1];
            lower = before.upper;
            count -= before.count;
            rank -= before.count;
        }
        lower + (upper - lower) * (rank / count)
    };
    (value, correction)
}

/// Removes every decrease from bucket to bucket; decreases beyond rounding noise are reported.
fn make_monotonic(buckets: &mut [Bucket], time_ms: i64) -> Option<Correction> {
    let mut correction: Option<Correction> = None;
    let mut highest = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        #[allow(clippy::float_cmp, reason = "equal counts need no correction")]
        if count == highest {
            continue;
        }
        if almost_equal(highest, count, TOLERANCE) {
            bucket.count = highest;
        } else if count < highest {
            bucket.count = highest;
            let difference = highest - count;
            let all = correction.get_or_insert(Correction {
                time_ms,
                bucket_min: f64::INFINITY,
                bucket_max: f64::NEG_INFINITY,
                difference_max: 0.0,
            });
            all.bucket_min = all.bucket_min.min(bucket.upper);
            all.bucket_max = all.bucket_max.max(bucket.upper);
            all.difference_max = all.difference_max.max(difference);
        } else {
            highest = count;
        }
    }
    correction
}

/// The share of observations between `lower` and `upper`.
fn fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let last = buckets[buckets.len() - 1];
    if last.upper != f64::INFINITY {
        return f64::NAN;
    }
    let total = last.count;
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |bound: f64| {
        let mut rank = 0.0;
        let mut start = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
        for bucket in buckets {
            if start >= bound {
                return rank;
            }
            if bucket.upper > bound {
                return if start == f64::NEG_INFINITY {
                    bucket.count
                } else {
                    rank + (bucket.count - rank) * (bound - start) / (bucket.upper - start)
                };
            }
            rank = bucket.count;
            start = bucket.upper;
        }
        total
    };
    let cap = |rank: f64| if rank > total { total } else { rank };
    (cap(below(upper)) - cap(below(lower))) / total
}

#[cfg(test)]
mod tests;
