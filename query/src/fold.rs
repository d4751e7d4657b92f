//! Aggregations whose partial results can be merged: sum, avg, min, max, count, group, stddev,
//! stdvar.
//!
//! One [`Fold`] is used in both places: each core folds its own rows, and the root merges the folds
//! of all cores, in core order. Sums use Neumaier's compensation, so the number of cores affects at
//! most the last bit of a result.

use crate::matrix::{Row, is_absent};
use crate::number::add_compensated;
use crate::promql::AggregateOp;
use m3_metric::Labels;
use std::collections::HashMap;

/// How series are grouped.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Grouping {
    /// The labels, sorted.
    labels: Vec<String>,
    without: bool,
}

impl Grouping {
    pub(crate) fn new(labels: &[String], without: bool) -> Self {
        let mut labels = labels.to_vec();
        labels.sort_unstable();
        Self { labels, without }
    }

    /// The grouping of `count_values`, whose own label is part of every group.
    pub(crate) fn with_label(mut self, name: &str) -> Self {
        if !self.without {
            self.labels.push(name.to_owned());
            self.labels.sort_unstable();
        }
        self
    }

    /// The labels of the group that `labels` belongs to.
    pub(crate) fn group(&self, labels: &Labels) -> Labels {
        if !self.without && self.labels.is_empty() {
            return Labels::default();
        }
        labels.filtered(|name| {
            let listed = self.labels.binary_search_by(|l| l.as_str().cmp(name)).is_ok();
            if self.without { !listed && name != "__name__" } else { listed }
        })
    }
}

/// Numbers each group in order of its first series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    index: HashMap<Labels, usize>,
    pub(crate) labels: Vec<Labels>,
}

impl Groups {
    pub(crate) fn number(&mut self, labels: Labels) -> usize {
        if let Some(&at) = self.index.get(&labels) {
            return at;
        }
        let at = self.labels.len();
        self.index.insert(labels.clone(), at);
        self.labels.push(labels);
        at
    }
}

/// The fold of one step. `count` is 0 while it is empty, and negative for a running mean.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    value: f64,
    c: f64,
    count: f64,
}

#[derive(Clone, Debug, Default)]
struct Column {
    first: usize,
    cells: Vec<Cell>,
}

impl Column {
    /// The cells of the steps `span`, created as needed.
    fn cover(&mut self, span: std::ops::Range<usize>) -> &mut [Cell] {
        if self.cells.is_empty() {
            self.first = span.start;
        }
        if span.start < self.first {
            let missing = self.first - span.start;
            self.cells.splice(0..0, std::iter::repeat_n(Cell::default(), missing));
            self.first = span.start;
        }
        if span.end > self.first + self.cells.len() {
            self.cells.resize(span.end - self.first, Cell::default());
        }
        &mut self.cells[span.start - self.first..span.end - self.first]
    }
}

/// Rows folded into one row per group.
#[derive(Clone, Debug)]
pub(crate) struct Fold {
    op: AggregateOp,
    grouping: Grouping,
    groups: Groups,
    columns: Vec<Column>,
}

impl Fold {
    /// Whether `op` can be folded.
    pub(crate) const fn can(op: AggregateOp) -> bool {
        matches!(
            op,
            AggregateOp::Sum
                | AggregateOp::Avg
                | AggregateOp::Min
                | AggregateOp::Max
                | AggregateOp::Count
                | AggregateOp::Group
                | AggregateOp::Stddev
                | AggregateOp::Stdvar
        )
    }

    pub(crate) fn new(op: AggregateOp, grouping: Grouping) -> Self {
        Self { op, grouping, groups: Groups::default(), columns: Vec::new() }
    }

    fn column(&mut self, group: Labels) -> &mut Column {
        let at = self.groups.number(group);
        if at == self.columns.len() {
            self.columns.push(Column::default());
        }
        &mut self.columns[at]
    }

    /// Folds a row.
    pub(crate) fn add(&mut self, row: &Row) {
        if row.values.is_empty() {
            return;
        }
        let op = self.op;
        let group = self.grouping.group(&row.labels);
        let cells = self.column(group).cover(row.span()).iter_mut().zip(&row.values);
        let cells = cells.filter(|(_, v)| !is_absent(**v));
        match op {
            AggregateOp::Sum => cells.for_each(|(cell, v)| add_sum(cell, *v)),
            AggregateOp::Avg => cells.for_each(|(cell, v)| add_avg(cell, *v)),
            AggregateOp::Min => cells.for_each(|(cell, v)| add_min(cell, *v)),
            AggregateOp::Max => cells.for_each(|(cell, v)| add_max(cell, *v)),
            AggregateOp::Count => cells.for_each(|(cell, _)| cell.count += 1.0),
            AggregateOp::Stddev | AggregateOp::Stdvar => {
                cells.for_each(|(cell, v)| add_variance(cell, *v));
            }
            _ => cells.for_each(|(cell, _)| cell.count = 1.0),
        }
    }

    /// Merges the fold of another core.
    pub(crate) fn merge(&mut self, other: Self) {
        let op = self.op;
        for (labels, column) in other.groups.labels.into_iter().zip(other.columns) {
            let span = column.first..column.first + column.cells.len();
            let cells = self.column(labels).cover(span);
            for (cell, from) in cells.iter_mut().zip(column.cells) {
                if from.count != 0.0 {
                    merge_cell(op, cell, from);
                }
            }
        }
    }

    /// The number of cells, with or without samples.
    pub(crate) fn cells(&self) -> usize {
        self.columns.iter().map(|c| c.cells.len()).sum()
    }

    /// One row per group, in order of first series.
    pub(crate) fn finish(self) -> Vec<Row> {
        let op = self.op;
        let rows = self.groups.labels.into_iter().zip(self.columns);
        rows.map(|(labels, column)| {
            let mut row = Row::new(labels);
            for (i, cell) in column.cells.iter().enumerate() {
                if cell.count != 0.0 {
                    row.push(column.first + i, result(op, cell));
                }
            }
            row
        })
        .filter(|row| !row.values.is_empty())
        .collect()
    }
}

fn add_sum(cell: &mut Cell, v: f64) {
    if cell.count == 0.0 {
        *cell = Cell { value: v, c: 0.0, count: 1.0 };
    } else {
        (cell.value, cell.c) = add_compensated(v, cell.value, cell.c);
    }
}

fn add_avg(cell: &mut Cell, v: f64) {
    if cell.count == 0.0 {
        *cell = Cell { value: v, c: 0.0, count: 1.0 };
        return;
    }
    if cell.count > 0.0 {
        let (sum, c) = add_compensated(v, cell.value, cell.c);
        if !sum.is_infinite() {
            *cell = Cell { value: sum, c, count: cell.count + 1.0 };
            return;
        }
        // The sum would overflow, so from here on it is a running mean.
        *cell = as_mean(*cell);
    }
    let count = 1.0 - cell.count;
    let q = (count - 1.0) / count;
    (cell.value, cell.c) = add_compensated(v / count, q * cell.value, q * cell.c);
    cell.count = -count;
}

fn as_mean(cell: Cell) -> Cell {
    if cell.count < 0.0 {
        return cell;
    }
    Cell { value: cell.value / cell.count, c: cell.c / cell.count, count: -cell.count }
}

fn add_min(cell: &mut Cell, v: f64) {
    if cell.count == 0.0 || cell.value > v || cell.value.is_nan() {
        cell.value = v;
    }
    cell.count = 1.0;
}

fn add_max(cell: &mut Cell, v: f64) {
    if cell.count == 0.0 || cell.value < v || cell.value.is_nan() {
        cell.value = v;
    }
    cell.count = 1.0;
}

/// Welford's method: `value` is the sum of squared differences, `c` the mean.
fn add_variance(cell: &mut Cell, v: f64) {
    if cell.count == 0.0 {
        let value = if v.is_finite() { 0.0 } else { f64::NAN };
        *cell = Cell { value, c: v, count: 1.0 };
        return;
    }
    cell.count += 1.0;
    let delta = v - cell.c;
    cell.c += delta / cell.count;
    cell.value += delta * (v - cell.c);
}

fn merge_cell(op: AggregateOp, cell: &mut Cell, from: Cell) {
    if cell.count == 0.0 {
        *cell = from;
        return;
    }
    match op {
        AggregateOp::Sum => {
            (cell.value, cell.c) = add_compensated(from.value, cell.value, cell.c + from.c);
        }
        AggregateOp::Avg => merge_avg(cell, from),
        AggregateOp::Min => add_min(cell, from.value),
        AggregateOp::Max => add_max(cell, from.value),
        AggregateOp::Count => cell.count += from.count,
        AggregateOp::Stddev | AggregateOp::Stdvar => {
            let count = cell.count + from.count;
            let delta = from.c - cell.c;
            cell.value += from.value + delta * delta * cell.count * from.count / count;
            cell.c += delta * from.count / count;
            cell.count = count;
        }
        _ => {}
    }
}

fn merge_avg(cell: &mut Cell, from: Cell) {
    if cell.count > 0.0 && from.count > 0.0 {
        let (sum, c) = add_compensated(from.value, cell.value, cell.c + from.c);
        if !sum.is_infinite() {
            *cell = Cell { value: sum, c, count: cell.count + from.count };
            return;
        }
    }
    let (a, b) = (as_mean(*cell), as_mean(from));
    let count = a.count + b.count;
    let (share_a, share_b) = (a.count / count, b.count / count);
    let c = share_a * a.c + share_b * b.c;
    let (value, c) = add_compensated(share_b * b.value, share_a * a.value, c);
    *cell = Cell { value, c, count };
}

fn result(op: AggregateOp, cell: &Cell) -> f64 {
    match op {
        AggregateOp::Sum => cell.value + cell.c,
        AggregateOp::Avg if cell.count < 0.0 => cell.value + cell.c,
        AggregateOp::Avg => cell.value / cell.count + cell.c / cell.count,
        AggregateOp::Count => cell.count,
        AggregateOp::Group => 1.0,
        AggregateOp::Stddev => (cell.value / cell.count).sqrt(),
        AggregateOp::Stdvar => cell.value / cell.count,
        _ => cell.value,
    }
}

#[cfg(test)]
mod tests;
