//! One selector of a query, evaluated where its series are.
//!
//! A fragment says which series it wants and over which time, and carries whatever part of the
//! query can be done series by series: finding the sample of each step, a range function, an
//! aggregation whose parts merge. The core that owns the series pushes each through a
//! [`FragmentEval`]; only the [`Partial`] travels.

use crate::annotation::Annotations;
use crate::error::QueryError;
use crate::fold::{Fold, Grouping};
use crate::matrix::{Grid, RawRow, Row, without_metadata};
use crate::number::seconds;
use crate::promql::AggregateOp;
use crate::rank::Ranking;
use crate::window::{RangeCall, ScalarArg, Scratch, walk};
use m3_metric::labels::METRIC_NAME;
use m3_metric::sample::is_stale;
use m3_metric::{Labels, Matcher};

/// What a fragment makes of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LeafWork {
    /// The newest sample not older than `lookback_ms`, at each step.
    Instant { lookup: Grid, lookback_ms: i64 },
    /// That sample's time, in seconds.
    /// The time is a result, unless `keeps_name`: then it says which of several series is newest.
    Timestamp { lookup: Grid, lookback_ms: i64, keeps_name: bool },
    /// A range function with constant arguments.
    Range { call: RangeCall, args: Vec<ScalarArg> },
    /// The samples themselves, those in `(start, end]`.
    Raw { start_ms: i64, end_ms: i64 },
}

/// An aggregation that runs on the cores.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pushed {
    pub(crate) op: AggregateOp,
    /// How many `topk` and `bottomk` keep.
    pub(crate) k: usize,
    pub(crate) grouping: Grouping,
}

impl Pushed {
    /// Whether some samples are chosen, not all summed up.
    pub(crate) const fn is_ranked(&self) -> bool {
        matches!(self.op, AggregateOp::Topk | AggregateOp::Bottomk)
    }
}

/// One selector and what is done with each of its series.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// What the series' labels must fulfil, all of them.
    pub matchers: Vec<Matcher>,
    /// No sample before this time (milliseconds, inclusive) is looked at.
    pub start_ms: i64,
    /// No sample after this time (milliseconds, inclusive) is looked at.
    pub end_ms: i64,
    /// Whether a sample at exactly `end_ms` is left out all the same, see
    /// [`crate::QueryParams::closed_windows`].
    pub open_end: bool,
    pub(crate) work: LeafWork,
    pub(crate) pushed: Option<Pushed>,
    pub(crate) strip: Vec<String>,
    pub(crate) samples_max: u64,
}

/// What one core found out for one fragment.
#[derive(Clone, Debug)]
pub struct Partial {
    /// Series that were pushed.
    pub series_fetched: u64,
    /// Samples that were pushed.
    pub samples_fetched: u64,
    pub(crate) body: Body,
    pub(crate) annotations: Annotations,
}

/// The results themselves.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Rows(Vec<Row>),
    Fold(Fold),
    Raw(Vec<RawRow>),
}

#[derive(Debug)]
enum Sink {
    Rows(Vec<Row>),
    Fold(Fold),
    Ranking(Ranking),
    Raw(Vec<RawRow>),
}

/// Evaluates a fragment over the series of one core.
#[derive(Debug)]
pub struct FragmentEval {
    fragment: Fragment,
    sink: Sink,
    scratch: Scratch,
    row: Vec<f64>,
    series_fetched: u64,
    samples_fetched: u64,
    held: u64,
    annotations: Annotations,
    info_metric: String,
}

impl FragmentEval {
    /// An evaluation that has seen no series yet.
    #[must_use]
    pub fn new(fragment: &Fragment) -> Self {
        let sink = match (&fragment.work, &fragment.pushed) {
            (LeafWork::Raw { .. }, _) => Sink::Raw(Vec::new()),
            (_, None) => Sink::Rows(Vec::new()),
            (work, Some(p)) if p.is_ranked() => {
                let steps = steps_of(work);
                let largest = p.op == AggregateOp::Topk;
                Sink::Ranking(Ranking::new(largest, p.k, steps, p.grouping.clone()))
            }
            (_, Some(p)) => Sink::Fold(Fold::new(p.op, p.grouping.clone())),
        };
        Self {
            fragment: fragment.clone(),
            sink,
            scratch: Scratch::default(),
            row: Vec::new(),
            series_fetched: 0,
            samples_fetched: 0,
            held: 0,
            annotations: Annotations::default(),
            info_metric: String::new(),
        }
    }

    /// Adds one series: its labels as a canonical block, and its samples of the fragment's time
    /// range, times ascending without repetition. More samples than asked for do no harm. Each
    /// series is pushed once and whole.
    ///
    /// # Errors
    /// `TooManySamples` when the results outgrow the query's limit, `Execution` when a function's
    /// arguments are out of range.
    pub fn push(
        &mut self,
        canonical_labels: &[u8],
        times_ms: &[i64],
        values: &[f64],
    ) -> Result<(), QueryError> {
        let count = times_ms.len().min(values.len());
        let (times, values) = (&times_ms[..count], &values[..count]);
        self.series_fetched += 1;
        self.samples_fetched += count as u64;
        let mut row =
            Row { labels: Labels::default(), first: 0, values: std::mem::take(&mut self.row) };
        row.values.clear();
        let mut window_most = 0;
        match &self.fragment.work {
            LeafWork::Instant { lookup, lookback_ms } => {
                instant(lookup, *lookback_ms, times, values, &mut row, |_, value| value);
            }
            LeafWork::Timestamp { lookup, lookback_ms, .. } => {
                instant(lookup, *lookback_ms, times, values, &mut row, |time, _| seconds(time));
            }
            LeafWork::Range { call, args } => {
                let emit = |step, value| row.push(step, value);
                let notes = &mut self.annotations;
                window_most = walk(call, args, (times, values), &mut self.scratch, notes, emit)?;
            }
            LeafWork::Raw { start_ms, end_ms } => {
                let range = (*start_ms, *end_ms);
                self.row = row.values;
                return self.push_raw(canonical_labels, times, values, range);
            }
        }
        if row.values.is_empty() {
            self.row = row.values;
            return Ok(());
        }
        row.labels = self.output_labels(canonical_labels);
        self.take_row(row, window_most as u64)
    }

    /// The labels of the result, and the info that goes with a doubtful metric name.
    fn output_labels(&mut self, canonical: &[u8]) -> Labels {
        let strip = &self.fragment.strip;
        let mut labels = Labels::from_canonical(canonical);
        if !strip.is_empty() {
            labels = labels.filtered(|name| !strip.iter().any(|s| s == name));
        }
        match &self.fragment.work {
            LeafWork::Range { call, .. } => {
                if call.function.wants_counter() {
                    let name = labels.get(METRIC_NAME).unwrap_or_default();
                    if !looks_like_counter(name) && name != self.info_metric {
                        self.annotations.maybe_not_counter(name, call.pos);
                        name.clone_into(&mut self.info_metric);
                    }
                }
                if call.function.keeps_name() { labels } else { without_metadata(&labels) }
            }
            LeafWork::Timestamp { keeps_name: false, .. } => without_metadata(&labels),
            _ => labels,
        }
    }

    fn take_row(&mut self, mut row: Row, window_most: u64) -> Result<(), QueryError> {
        match &mut self.sink {
            Sink::Rows(rows) => {
                self.held += row.len() as u64;
                row.values.shrink_to_fit();
                rows.push(row);
            }
            Sink::Fold(fold) => {
                fold.add(&row);
                // Counting the cells of every group at every push would cost as much as the fold.
                if self.series_fetched.is_power_of_two() {
                    self.held = fold.cells() as u64;
                }
                self.row = row.values;
            }
            Sink::Ranking(ranking) => {
                ranking.add(&row);
                self.held = ranking.samples();
                self.row = row.values;
            }
            Sink::Raw(_) => {}
        }
        self.check(window_most)
    }

    fn push_raw(
        &mut self,
        canonical: &[u8],
        times: &[i64],
        values: &[f64],
        (start_ms, end_ms): (i64, i64),
    ) -> Result<(), QueryError> {
        let wanted = times.iter().zip(values);
        let (times_ms, values): (Vec<i64>, Vec<f64>) =
            wanted.filter(|(t, v)| **t > start_ms && **t <= end_ms && !is_stale(**v)).unzip();
        if !times_ms.is_empty() {
            self.held += times_ms.len() as u64;
            let labels = self.output_labels(canonical);
            if let Sink::Raw(rows) = &mut self.sink {
                rows.push(RawRow { labels, times_ms, values });
            }
        }
        self.check(0)
    }

    const fn check(&self, more: u64) -> Result<(), QueryError> {
        if self.held.saturating_add(more) > self.fragment.samples_max {
            return Err(QueryError::TooManySamples);
        }
        Ok(())
    }

    /// The results of this core.
    #[must_use]
    pub fn finish(self) -> Partial {
        Partial {
            series_fetched: self.series_fetched,
            samples_fetched: self.samples_fetched,
            body: match self.sink {
                Sink::Rows(rows) => Body::Rows(rows),
                Sink::Fold(fold) => Body::Fold(fold),
                Sink::Ranking(ranking) => Body::Rows(ranking.finish()),
                Sink::Raw(rows) => Body::Raw(rows),
            },
            annotations: self.annotations,
        }
    }
}

const fn steps_of(work: &LeafWork) -> usize {
    match work {
        LeafWork::Instant { lookup, .. } | LeafWork::Timestamp { lookup, .. } => lookup.count,
        LeafWork::Range { call, .. } => call.lookup.count,
        LeafWork::Raw { .. } => 0,
    }
}

/// Whether a metric's name says that it is a counter; a series without a name is not judged.
pub(crate) fn looks_like_counter(name: &str) -> bool {
    name.is_empty()
        || ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix))
}

/// Finds for each step the newest sample in `(time - lookback, time]`; a stale marker is none.
fn instant(
    lookup: &Grid,
    lookback_ms: i64,
    times: &[i64],
    values: &[f64],
    row: &mut Row,
    result: impl Fn(i64, f64) -> f64,
) {
    let mut next = 0;
    for step in 0..lookup.count {
        let time = lookup.time(step);
        while next < times.len() && times[next] <= time {
            next += 1;
        }
        let Some(at) = next.checked_sub(1) else { continue };
        if times[at] <= time.saturating_sub(lookback_ms) {
            if next == times.len() {
                break;
            }
            continue;
        }
        if !is_stale(values[at]) {
            row.push(step, result(times[at], values[at]));
        }
    }
}

#[cfg(test)]
mod tests;
