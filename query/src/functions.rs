//! Functions of instant vectors, applied to each sample.

use crate::binary::{changes_meaning, compute, holds};
use crate::error::QueryError;
use crate::matrix::{Data, Grid, Row, merge_equal, without_metadata};
use crate::number::{Civil, civil, days_in_month, go_max, go_min, seconds, to_integer};
use crate::promql::BinaryOp;
use crate::work::{Context, Pieces};

pub(crate) mod histogram;
pub(crate) mod info;
pub(crate) mod labels;

/// A function from one value to one value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MapFunction {
    /// A plain function of floats.
    Plain(fn(f64) -> f64),
    /// `round(v, nearest)`; the argument may be missing.
    Round,
    /// `clamp(v, min, max)`
    Clamp,
    /// `clamp_min(v, min)`
    ClampMin,
    /// `clamp_max(v, max)`
    ClampMax,
    /// A part of the date that the value represents.
    Date(DatePart),
    /// `timestamp(v)` of something that is not a selector: the evaluation time.
    EvalTime,
    /// `-v`
    Negate,
}

/// A part of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatePart {
    Minute,
    Hour,
    DayOfWeek,
    DayOfMonth,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

impl DatePart {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day_of_week" => Self::DayOfWeek,
            "day_of_month" => Self::DayOfMonth,
            "day_of_year" => Self::DayOfYear,
            "days_in_month" => Self::DaysInMonth,
            "month" => Self::Month,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// The part of the date `seconds` after the epoch.
    pub(crate) fn of(self, seconds: i64) -> f64 {
        let Civil { year, month, day, weekday, yearday, second } = civil(seconds);
        let part = match self {
            Self::Minute => second / 60 % 60,
            Self::Hour => second / 3_600,
            Self::DayOfWeek => weekday,
            Self::DayOfMonth => day,
            Self::DayOfYear => yearday,
            Self::DaysInMonth => days_in_month(year, month),
            Self::Month => month,
            Self::Year => year,
        };
        #[allow(clippy::cast_precision_loss, reason = "as Prometheus converts")]
        let part = part as f64;
        part
    }
}

/// Go's `math.Log2`: exact for powers of two.
fn log2(v: f64) -> f64 {
    v.log2()
}

fn sign(v: f64) -> f64 {
    if v < 0.0 {
        -1.0
    } else if v > 0.0 {
        1.0
    } else {
        v
    }
}

impl MapFunction {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let plain: fn(f64) -> f64 = match name {
            "abs" => f64::abs,
            "ceil" => f64::ceil,
            "floor" => f64::floor,
            "exp" => f64::exp,
            "sqrt" => f64::sqrt,
            "ln" => f64::ln,
            "log2" => log2,
            "log10" => f64::log10,
            "sin" => f64::sin,
            "cos" => f64::cos,
            "tan" => f64::tan,
            "asin" => f64::asin,
            "acos" => f64::acos,
            "atan" => f64::atan,
            "sinh" => f64::sinh,
            "cosh" => f64::cosh,
            "tanh" => f64::tanh,
            "asinh" => f64::asinh,
            "acosh" => f64::acosh,
            "atanh" => f64::atanh,
            "rad" => |v| v * std::f64::consts::PI / 180.0,
            "deg" => |v| v * 180.0 / std::f64::consts::PI,
            "sgn" => sign,
            "round" => return Some(Self::Round),
            "clamp" => return Some(Self::Clamp),
            "clamp_min" => return Some(Self::ClampMin),
            "clamp_max" => return Some(Self::ClampMax),
            "timestamp" => return Some(Self::EvalTime),
            _ => return DatePart::from_name(name).map(Self::Date),
        };
        Some(Self::Plain(plain))
    }
}

/// Applies a [`MapFunction`] to all rows.
pub(crate) struct MapTask {
    pub(crate) function: MapFunction,
    pub(crate) rows: Vec<Row>,
    /// The scalar arguments at each step.
    pub(crate) args: Vec<Vec<f64>>,
    pub(crate) grid: Grid,
}

impl MapTask {
    fn apply(&self, row: &mut Row) {
        let arg = |i: usize, step: usize| self.args[i].get(step).copied().unwrap_or(f64::NAN);
        let clamp = |v: f64, min: f64, max: f64| {
            (max >= min || max.is_nan() || min.is_nan()).then(|| go_max(min, go_min(max, v)))
        };
        match self.function {
            MapFunction::Plain(f) => row.map(|_, v| Some(f(v))),
            MapFunction::Negate => row.map(|_, v| Some(-v)),
            MapFunction::Round => row.map(|step, v| {
                let inverse = 1.0 / if self.args.is_empty() { 1.0 } else { arg(0, step) };
                Some((v * inverse + 0.5).floor() / inverse)
            }),
            MapFunction::Clamp => row.map(|step, v| clamp(v, arg(0, step), arg(1, step))),
            MapFunction::ClampMin => {
                row.map(|step, v| clamp(v, arg(0, step), f64::INFINITY));
            }
            MapFunction::ClampMax => {
                row.map(|step, v| clamp(v, f64::NEG_INFINITY, arg(0, step)));
            }
            MapFunction::Date(part) => row.map(|_, v| Some(part.of(to_integer(v)))),
            MapFunction::EvalTime => row.map(|step, _| Some(seconds(self.grid.time(step)))),
        }
    }
}

impl Pieces for MapTask {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn piece(&mut self, index: usize, _: &mut Context) -> Result<usize, QueryError> {
        let mut row = std::mem::take(&mut self.rows[index]);
        self.apply(&mut row);
        row.labels = without_metadata(&row.labels);
        let cost = row.values.len();
        self.rows[index] = row;
        Ok(cost)
    }

    fn finish(&mut self, _: &mut Context) -> Result<Data, QueryError> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.retain(|row| !row.is_empty());
        merge_equal(rows).map(Data::Matrix)
    }
}

/// A binary operator between a vector and a scalar.
pub(crate) struct VectorScalarTask {
    pub(crate) op: BinaryOp,
    pub(crate) return_bool: bool,
    /// Whether the scalar is on the left.
    pub(crate) scalar_left: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) scalar: Vec<f64>,
}

impl Pieces for VectorScalarTask {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn piece(&mut self, index: usize, _: &mut Context) -> Result<usize, QueryError> {
        let (op, scalar_left, return_bool) = (self.op, self.scalar_left, self.return_bool);
        let scalar = &self.scalar;
        let row = &mut self.rows[index];
        row.map(|step, value| {
            let other = scalar.get(step).copied().unwrap_or(f64::NAN);
            let (left, right) = if scalar_left { (other, value) } else { (value, other) };
            if !op.is_comparison() {
                return Some(compute(op, left, right));
            }
            // A filter keeps the vector's value, on whichever side it is.
            let held = holds(op, left, right);
            if return_bool { Some(if held { 1.0 } else { 0.0 }) } else { held.then_some(value) }
        });
        if changes_meaning(op) || return_bool {
            row.labels = without_metadata(&row.labels);
        }
        Ok(row.values.len())
    }

    fn finish(&mut self, _: &mut Context) -> Result<Data, QueryError> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.retain(|row| !row.is_empty());
        merge_equal(rows).map(Data::Matrix)
    }
}

/// For each step, whether any row has a sample.
pub(crate) fn any_present(rows: &[Row], steps: usize) -> Vec<bool> {
    let mut found = vec![false; steps];
    for row in rows {
        row.samples().for_each(|(step, _)| found[step] = true);
    }
    found
}

/// `scalar(v)`: the value of the only sample at each step, otherwise NaN.
pub(crate) fn only_sample(rows: &[Row], steps: usize) -> Vec<f64> {
    let mut counts = vec![0u32; steps];
    let mut values = vec![f64::NAN; steps];
    for row in rows {
        for (step, value) in row.samples() {
            counts[step] = counts[step].saturating_add(1);
            values[step] = if counts[step] == 1 { value } else { f64::NAN };
        }
    }
    values
}

#[cfg(test)]
mod tests;
