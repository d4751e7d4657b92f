//! The data between plan and answer: a grid of evaluation times, and rows over it.
//!
//! A cell without a sample holds the bits of the stale marker. Selectors drop stale markers before
//! anything is computed, so no sample can be mistaken for an absent one, and every other NaN keeps
//! its payload. A row stores only the span from its first to its last sample, so short-lived series
//! stay small in a long query.

use crate::error::QueryError;
use crate::promql::Literal;
use m3_metric::Labels;
use m3_metric::sample::{STALE_NAN_BITS, is_stale};
use std::collections::HashMap;

/// The value of a cell that has no sample.
pub(crate) const ABSENT: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether a cell has no sample.
#[inline]
pub(crate) const fn is_absent(value: f64) -> bool {
    is_stale(value)
}

/// Makes sure that a computed value is not [`ABSENT`], whatever its bits are.
#[inline]
pub(crate) const fn present(value: f64) -> f64 {
    if is_absent(value) { f64::NAN } else { value }
}

/// Evaluation times: `count` of them, `step_ms` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) count: usize,
}

impl Grid {
    /// The times from `start_ms` to at most `end_ms`.
    pub(crate) fn new(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let step_ms = step_ms.max(1);
        let count = if end_ms < start_ms {
            0
        } else {
            (end_ms.saturating_sub(start_ms) / step_ms).saturating_add(1)
        };
        Self { start_ms, step_ms, count: usize::try_from(count).unwrap_or(usize::MAX) }
    }

    /// One time.
    pub(crate) const fn single(time_ms: i64) -> Self {
        Self { start_ms: time_ms, step_ms: 1, count: 1 }
    }

    /// The time of step `index`.
    #[inline]
    pub(crate) fn time(&self, index: usize) -> i64 {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        self.start_ms.saturating_add(index.saturating_mul(self.step_ms))
    }

    /// The last time; the first if there is none.
    pub(crate) fn end_ms(&self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }

    /// The same grid `offset_ms` earlier.
    pub(crate) const fn earlier(self, offset_ms: i64) -> Self {
        Self { start_ms: self.start_ms.saturating_sub(offset_ms), ..self }
    }
}

/// One series over a grid.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Row {
    pub(crate) labels: Labels,
    /// The step of `values[0]`.
    pub(crate) first: usize,
    pub(crate) values: Vec<f64>,
}

impl Row {
    pub(crate) const fn new(labels: Labels) -> Self {
        Self { labels, first: 0, values: Vec::new() }
    }

    /// The cell of `step`.
    #[inline]
    pub(crate) fn at(&self, step: usize) -> f64 {
        step.checked_sub(self.first).and_then(|i| self.values.get(i)).copied().unwrap_or(ABSENT)
    }

    /// Appends a sample; steps must ascend.
    #[inline]
    pub(crate) fn push(&mut self, step: usize, value: f64) {
        if self.values.is_empty() {
            self.first = step;
        } else {
            self.values.resize(step - self.first, ABSENT);
        }
        self.values.push(present(value));
    }

    /// Steps and values of the samples.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let first = self.first;
        self.values
            .iter()
            .enumerate()
            .filter(|(_, v)| !is_absent(**v))
            .map(move |(i, &v)| (first + i, v))
    }

    /// How many samples there are.
    pub(crate) fn len(&self) -> usize {
        self.values.iter().filter(|v| !is_absent(**v)).count()
    }

    /// Whether no step has a sample.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(|v| is_absent(*v))
    }

    /// Replaces each sample by what `f` makes of step and value; `None` removes it.
    pub(crate) fn map(&mut self, mut f: impl FnMut(usize, f64) -> Option<f64>) {
        let first = self.first;
        for (i, value) in self.values.iter_mut().enumerate() {
            if !is_absent(*value) {
                *value = f(first + i, *value).map_or(ABSENT, present);
            }
        }
    }

    /// The steps this row may have samples at.
    pub(crate) fn span(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.values.len()
    }

    /// Repeats the only sample over `count` steps.
    pub(crate) fn repeat(&mut self, count: usize) {
        if let Some(&value) = self.values.first() {
            self.values.clear();
            self.values.resize(count, value);
        }
    }
}

/// One series with its own times, whose windows are cut at the root.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RawRow {
    pub(crate) labels: Labels,
    pub(crate) times_ms: Vec<i64>,
    pub(crate) values: Vec<f64>,
}

/// What a node of the plan evaluates to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    /// One number per step.
    Scalar(Vec<f64>),
    /// A text.
    Text(Literal),
    /// Rows over the node's grid.
    Matrix(Vec<Row>),
    /// Series with their own times.
    Raw(Vec<RawRow>),
}

impl Data {
    /// Samples held.
    pub(crate) fn samples(&self) -> u64 {
        let count: usize = match self {
            Self::Scalar(values) => values.len(),
            Self::Text(_) => 0,
            Self::Matrix(rows) => rows.iter().map(Row::len).sum(),
            Self::Raw(rows) => rows.iter().map(|r| r.values.len()).sum(),
        };
        count as u64
    }

    pub(crate) fn into_scalar(self) -> Vec<f64> {
        match self {
            Self::Scalar(values) => values,
            _ => unreachable!("the parser checked types"),
        }
    }

    pub(crate) fn into_rows(self) -> Vec<Row> {
        match self {
            Self::Matrix(rows) => rows,
            _ => unreachable!("the parser checked types"),
        }
    }

    pub(crate) fn into_text(self) -> Literal {
        match self {
            Self::Text(text) => text,
            _ => unreachable!("the parser checked types"),
        }
    }
}

/// Whether `name` is one of the labels that describe the values; they are dropped when values
/// change.
pub(crate) fn is_metadata(name: &str) -> bool {
    matches!(name, "__name__" | "__type__" | "__unit__")
}

/// `labels` without the metric's name and kind.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    if labels.iter().any(|(name, _)| is_metadata(name)) {
        labels.filtered(|name| !is_metadata(name))
    } else {
        labels.clone()
    }
}

/// Puts rows of equal labels together; two samples at one step are an error, as in Prometheus.
pub(crate) fn merge_equal(rows: Vec<Row>) -> Result<Vec<Row>, QueryError> {
    let mut seen: HashMap<&Labels, usize> = HashMap::with_capacity(rows.len());
    let mut target = Vec::with_capacity(rows.len());
    for row in &rows {
        let next = seen.len();
        target.push(*seen.entry(&row.labels).or_insert(next));
    }
    if seen.len() == rows.len() {
        return Ok(rows);
    }
    drop(seen);
    let mut out: Vec<Row> = Vec::new();
    for (row, target) in rows.into_iter().zip(target) {
        if target == out.len() {
            out.push(row);
        } else {
            overlay(&mut out[target], &row)?;
        }
    }
    Ok(out)
}

fn overlay(under: &mut Row, over: &Row) -> Result<(), QueryError> {
    if over.values.is_empty() {
        return Ok(());
    }
    if under.values.is_empty() {
        under.first = over.first;
        under.values.clone_from(&over.values);
        return Ok(());
    }
    let first = under.first.min(over.first);
    let end = under.span().end.max(over.span().end);
    let mut values = Vec::with_capacity(end - first);
    for step in first..end {
        let (a, b) = (under.at(step), over.at(step));
        values.push(match (is_absent(a), is_absent(b)) {
            (false, false) => return Err(QueryError::same_labelset()),
            (true, _) => b,
            _ => a,
        });
    }
    under.first = first;
    under.values = values;
    Ok(())
}

/// Bytes whose order is the order of label sets, so that sorting reads each set once.
pub(crate) fn sort_key(labels: &Labels) -> Vec<u8> {
    let mut key = Vec::with_capacity(labels.as_bytes().len());
    for (name, value) in labels.iter() {
        for text in [name, value] {
            key.extend_from_slice(text.as_bytes());
            // No smaller byte ends a text, so a shorter one stands before its continuations.
            key.push(0);
        }
    }
    key
}

#[cfg(test)]
mod tests;
