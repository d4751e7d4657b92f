//! The last part of a query: combines partial results into the answer.
//!
//! Nodes are evaluated once each, in the plan's order. A node over many rows is processed in
//! pieces, and [`Evaluation::step`] stops between pieces after about a millisecond, so that the
//! core can do other work.

use crate::annotation::Annotations;
use crate::error::QueryError;
use crate::fragment::{Body, Partial};
use crate::matrix::{Data, RawRow, Row, merge_equal, sort_key};
use crate::plan::Plan;
use crate::promql::ValueType;
use crate::work::{Context, Start, Task};
use m3_metric::Labels;
use m3_metric::value::{Element, Series, Value};

mod operate;
mod window;

/// Cells touched by one step; about a millisecond.
const CELLS_PER_STEP: usize = 200_000;

/// An evaluation in progress.
pub struct Evaluation {
    plan: Plan,
    partials: Vec<Vec<Partial>>,
    /// Results that wait for their consumer, and how many samples each holds.
    slots: Vec<Option<(Data, u64)>>,
    task: Option<Task>,
    next: usize,
    live: u64,
    context: Context,
    /// Rows of the answer that are not in their final shape yet.
    rows: std::vec::IntoIter<Row>,
    series: Vec<Series>,
}

/// The outcome of a step.
#[derive(Debug)]
pub enum Step {
    /// There is more to do.
    Yield,
    /// The evaluation has ended.
    Done(Result<QueryOutput, QueryError>),
}

/// A query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryOutput {
    /// The value. A range query's is a matrix, series in order of their labels.
    pub value: Value,
    /// Warnings, at most ten.
    pub warnings: Vec<String>,
    /// Infos, at most ten.
    pub infos: Vec<String>,
}

impl Evaluation {
    /// An evaluation of `plan`. `partials` holds for each fragment the results of all cores, in
    /// order of the cores.
    #[must_use]
    pub fn new(plan: Plan, partials: Vec<Vec<Partial>>) -> Self {
        let slots = plan.nodes.iter().map(|_| None).collect();
        Self {
            plan,
            partials,
            slots,
            task: None,
            next: 0,
            live: 0,
            context: Context::default(),
            rows: Vec::new().into_iter(),
            series: Vec::new(),
        }
    }

    /// Works for about a millisecond.
    pub fn step(&mut self) -> Step {
        match self.advance() {
            Ok(false) => Step::Yield,
            Ok(true) => Step::Done(self.output()),
            Err(error) => Step::Done(Err(error)),
        }
    }

    /// Evaluates nodes until all are done (`true`) or the time is up.
    fn advance(&mut self) -> Result<bool, QueryError> {
        let mut cells = CELLS_PER_STEP;
        while self.next < self.plan.nodes.len() {
            let data = match &mut self.task {
                Some(task) => task.run(&mut self.context, &mut cells)?,
                None => match self.begin(self.next)? {
                    Start::Done(data) => Some(data),
                    Start::Task(task) => {
                        self.task = Some(task);
                        continue;
                    }
                },
            };
            let Some(data) = data else { return Ok(false) };
            self.task = None;
            let samples = data.samples();
            self.live = self.live.saturating_add(samples);
            if self.live > self.plan.params.samples_max {
                return Err(QueryError::TooManySamples);
            }
            cells = cells.saturating_sub(usize::try_from(samples).unwrap_or(usize::MAX));
            self.slots[self.next] = Some((data, samples));
            self.next += 1;
            if self.next == self.plan.nodes.len() {
                self.take_rows();
            }
        }
        Ok(self.shape(&mut cells))
    }

    /// Takes the result of an input; every node has one consumer.
    fn take(&mut self, node: usize) -> Data {
        let (data, samples) = self.slots[node].take().expect("inputs come before their consumer");
        self.live = self.live.saturating_sub(samples);
        data
    }

    /// Whether the answer is a matrix built from rows.
    fn is_from_rows(&self) -> bool {
        !self.plan.params.instant && self.plan.value_type == ValueType::InstantVector
    }

    fn take_rows(&mut self) {
        if self.is_from_rows() {
            let rows = self.take(self.plan.nodes.len() - 1).into_rows();
            self.series.reserve(rows.len());
            self.rows = rows.into_iter();
        }
    }

    /// Converts rows to series until all are converted (`true`) or the time is up.
    fn shape(&mut self, cells: &mut usize) -> bool {
        let Some(grid) = self.plan.nodes.last().map(|node| node.grid) else { return true };
        while *cells > 0 {
            let Some(row) = self.rows.next() else { return true };
            *cells = cells.saturating_sub(row.values.len() * 2 + 8);
            let mut points = Vec::with_capacity(row.values.len());
            points.extend(row.samples().map(|(step, v)| (grid.time(step), v)));
            if !points.is_empty() {
                self.series.push(Series { labels: row.labels, points });
            }
        }
        false
    }

    /// Puts the rows of all cores together. If `renamed`, the rows have lost labels that told them
    /// apart: those that are equal now are one, wherever they come from.
    fn leaf(
        &mut self,
        fragment: usize,
        repeat: Option<usize>,
        renamed: bool,
    ) -> Result<Data, QueryError> {
        let strip = !self.plan.fragments[fragment].strip.is_empty();
        let mut rows: Vec<Row> = Vec::new();
        let mut fold = None;
        for partial in self.partials.get_mut(fragment).map(std::mem::take).unwrap_or_default() {
            self.context.annotations.merge(partial.annotations);
            match partial.body {
                Body::Rows(more) => rows.extend(more),
                Body::Fold(more) => match &mut fold {
                    None => fold = Some(more),
                    Some(fold) => fold.merge(more),
                },
                Body::Raw(_) => {}
            }
        }
        if let Some(fold) = fold {
            rows = fold.finish();
        }
        rows.sort_by_cached_key(|row| sort_key(&row.labels));
        if renamed || strip {
            rows = merge_equal(rows)?;
        }
        if let Some(count) = repeat {
            if rows.len().saturating_mul(count) as u64 > self.plan.params.samples_max {
                return Err(QueryError::TooManySamples);
            }
            rows.iter_mut().for_each(|row| row.repeat(count));
        }
        Ok(Data::Matrix(rows))
    }

    fn raw_leaf(&mut self, fragment: usize) -> Data {
        let mut rows: Vec<RawRow> = Vec::new();
        for partial in self.partials.get_mut(fragment).map(std::mem::take).unwrap_or_default() {
            self.context.annotations.merge(partial.annotations);
            if let Body::Raw(more) = partial.body {
                rows.extend(more);
            }
        }
        rows.sort_by_cached_key(|row| sort_key(&row.labels));
        Data::Raw(rows)
    }

    fn output(&mut self) -> Result<QueryOutput, QueryError> {
        let last = self.plan.nodes.len() - 1;
        let grid = self.plan.nodes[last].grid;
        let data = if self.is_from_rows() { Data::Matrix(Vec::new()) } else { self.take(last) };
        let time_ms = self.plan.params.start_ms;
        let instant = self.plan.params.instant;
        let value = match (data, self.plan.value_type) {
            (Data::Text(text), _) => Value::String { time_ms, text: text.to_string() },
            (Data::Scalar(values), _) if instant => {
                Value::Scalar { time_ms, value: values.first().copied().unwrap_or(f64::NAN) }
            }
            (Data::Scalar(values), _) => {
                let points = values.into_iter().enumerate().map(|(i, v)| (grid.time(i), v));
                Value::Matrix(vec![Series { labels: Labels::default(), points: points.collect() }])
            }
            (Data::Matrix(rows), ValueType::InstantVector) if instant => {
                let elements = rows.into_iter().filter_map(|row| {
                    let value = row.samples().next()?.1;
                    Some(Element { labels: row.labels, time_ms, value })
                });
                Value::Vector(elements.collect())
            }
            (Data::Matrix(_), _) => sorted(std::mem::take(&mut self.series)),
            (Data::Raw(rows), _) => {
                let series = rows.into_iter().map(|row| Series {
                    labels: row.labels,
                    points: row.times_ms.into_iter().zip(row.values).collect(),
                });
                sorted(series.collect())
            }
        };
        let annotations: Annotations = std::mem::take(&mut self.context.annotations);
        let (warnings, infos) = annotations.texts(self.plan.text.as_deref());
        Ok(QueryOutput { value, warnings, infos })
    }
}

fn sorted(mut series: Vec<Series>) -> Value {
    series.sort_by_cached_key(|s| sort_key(&s.labels));
    Value::Matrix(series)
}
