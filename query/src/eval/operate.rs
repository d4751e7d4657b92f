//! How each kind of node starts.

use super::Evaluation;
use super::window::WindowTask;
use crate::aggregate;
use crate::binary::{self, of_scalars};
use crate::error::QueryError;
use crate::functions::histogram::HistogramTask;
use crate::functions::info::InfoTask;
use crate::functions::labels::{LabelTask, compare_by_labels};
use crate::functions::{MapFunction, MapTask, VectorScalarTask, any_present, only_sample};
use crate::matrix::{Data, Grid, RawRow, Row};
use crate::number::{go_max, go_min, nan_first, seconds};
use crate::plan::node::Op;
use crate::promql::{BinaryOp, ValueType};
use crate::window::ScalarArg;
use crate::work::Start;
use m3_metric::Labels;

impl Evaluation {
    /// Begins the evaluation of a node whose inputs are there.
    pub(super) fn begin(&mut self, at: usize) -> Result<Start, QueryError> {
        let node = &self.plan.nodes[at];
        let (op, args, grid) = (node.op.clone(), node.args.clone(), node.grid);
        let source_grid = args.first().map_or(grid, |a| self.plan.nodes[*a].grid);
        let mut inputs = args.iter().map(|a| self.take(*a)).collect::<Vec<_>>().into_iter();
        let mut next = || inputs.next().expect("the planner gave every input");
        Ok(match op {
            Op::Empty(ValueType::Scalar) => done(Data::Scalar(Vec::new())),
            Op::Empty(_) | Op::Nothing => Start::empty(),
            Op::Number(value) => done(Data::Scalar(vec![value; grid.count])),
            Op::Text(text) => done(Data::Text(text)),
            Op::Time => {
                let times = (0..grid.count).map(|i| seconds(grid.time(i)));
                done(Data::Scalar(times.collect()))
            }
            Op::Leaf { fragment, repeat, renamed } => {
                done(self.leaf(fragment, repeat.then_some(grid.count), renamed)?)
            }
            Op::RawLeaf { fragment } => done(self.raw_leaf(fragment)),
            Op::Points => done(points(next(), source_grid)),
            Op::Window(call) => {
                let source = next();
                let args = inputs.map(|a| ScalarArg::Steps(a.into_scalar())).collect();
                Start::task(WindowTask::new(call, source, source_grid, args))
            }
            Op::AbsentOverTime(labels) | Op::Absent(labels) => {
                done(absent(&next().into_rows(), labels, grid))
            }
            Op::Negate => negate(next(), grid),
            Op::ScalarBinary(op) => done(scalar_binary(op, next(), next())),
            Op::ScalarExtreme { max } => {
                let pick = if max { go_max } else { go_min };
                let pairs = next().into_scalar().into_iter().zip(next().into_scalar());
                done(Data::Scalar(pairs.map(|(a, b)| pick(a, b)).collect()))
            }
            Op::VectorScalar { op, return_bool, scalar_left } => {
                let (left, right) = (next(), next());
                let (vector, scalar) = if scalar_left { (right, left) } else { (left, right) };
                let (rows, scalar) = (vector.into_rows(), scalar.into_scalar());
                Start::task(VectorScalarTask { op, return_bool, scalar_left, rows, scalar })
            }
            Op::Binary(call) => binary::start(&call, next().into_rows(), next().into_rows()),
            Op::Aggregate(call) => {
                let param = (args.len() > 1).then(&mut next);
                let rows = next().into_rows();
                aggregate::start(&call, rows, param, &mut self.context)?
            }
            Op::Map(function) => {
                let rows = next().into_rows();
                let args = inputs.map(Data::into_scalar).collect();
                Start::task(MapTask { function, rows, args, grid })
            }
            Op::DateNow(part) => {
                let values =
                    (0..grid.count).map(|i| part.of(grid.time(i).div_euclid(1000))).collect();
                done(unlabelled(values))
            }
            Op::ToVector => done(unlabelled(next().into_scalar())),
            Op::ToScalar => done(Data::Scalar(only_sample(&next().into_rows(), grid.count))),
            Op::Sort { descending } => done(sort(next().into_rows(), descending)),
            Op::SortByLabel { names, descending } => {
                let mut rows = next().into_rows();
                rows.sort_by(|a, b| {
                    let order = compare_by_labels(&names, &a.labels, &b.labels);
                    if descending { order.reverse() } else { order }
                });
                done(Data::Matrix(rows))
            }
            Op::SortWarning(pos) => {
                self.context.annotations.warn(
                    "sort is ineffective for range queries since results are always ordered by \
                     labels",
                    pos,
                );
                done(next())
            }
            Op::Label(change) => Start::task(LabelTask { change, rows: next().into_rows() }),
            Op::Info(call) => {
                let (rows, infos) = (next().into_rows(), next().into_rows());
                Start::task(InfoTask::new(call, rows, infos))
            }
            Op::Histogram(call) => {
                let mut inputs: Vec<Data> = inputs.collect();
                let rows = inputs.pop().map(Data::into_rows).unwrap_or_default();
                let args = inputs.into_iter().map(Data::into_scalar).collect();
                Start::task(HistogramTask::new(call, grid, rows, args))
            }
        })
    }
}

const fn done(data: Data) -> Start {
    Start::Done(data)
}

/// One row without labels.
fn unlabelled(values: Vec<f64>) -> Data {
    let mut row = Row::new(Labels::default());
    for (step, value) in values.into_iter().enumerate() {
        row.push(step, value);
    }
    Data::Matrix(if row.values.is_empty() { Vec::new() } else { vec![row] })
}

fn points(data: Data, grid: Grid) -> Data {
    match data {
        Data::Matrix(rows) => {
            let raw = rows.into_iter().map(|row| {
                let (times_ms, values) = row.samples().map(|(s, v)| (grid.time(s), v)).unzip();
                RawRow { labels: row.labels, times_ms, values }
            });
            Data::Raw(raw.filter(|row| !row.values.is_empty()).collect())
        }
        other => other,
    }
}

/// One where no row has a sample.
fn absent(rows: &[Row], labels: Labels, grid: Grid) -> Data {
    let mut row = Row::new(labels);
    for (step, found) in any_present(rows, grid.count).into_iter().enumerate() {
        if !found {
            row.push(step, 1.0);
        }
    }
    Data::Matrix(if row.values.is_empty() { Vec::new() } else { vec![row] })
}

fn negate(data: Data, grid: Grid) -> Start {
    match data {
        Data::Scalar(values) => done(Data::Scalar(values.into_iter().map(|v| -v).collect())),
        other => {
            let rows = other.into_rows();
            let args = Vec::new();
            Start::task(MapTask { function: MapFunction::Negate, rows, args, grid })
        }
    }
}

fn scalar_binary(op: BinaryOp, left: Data, right: Data) -> Data {
    let pairs = left.into_scalar().into_iter().zip(right.into_scalar());
    Data::Scalar(pairs.map(|(a, b)| of_scalars(op, a, b)).collect())
}

/// Rows of one step in order of value; NaN comes last either way.
fn sort(mut rows: Vec<Row>, descending: bool) -> Data {
    rows.retain(|row| !row.is_empty());
    rows.sort_by(|a, b| {
        let (a, b) = (a.at(0), b.at(0));
        if a.is_nan() || b.is_nan() || descending { nan_first(b, a) } else { nan_first(a, b) }
    });
    Data::Matrix(rows)
}
