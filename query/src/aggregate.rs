//! Aggregations at the root, over rows that have arrived there.

use crate::error::QueryError;
use crate::fold::{Fold, Grouping, Groups};
use crate::matrix::{Data, Row, is_absent};
use crate::number::{decimal, general, go_max, go_min, quantile, xxh64};
use crate::promql::{AggregateOp, Pos};
use crate::rank::prefer;
use crate::work::{Context, Pieces, Start};
use m3_metric::Labels;

/// Largest and smallest parameter that Prometheus accepts as a 64-bit integer.
const INTEGER_MAX: f64 = 9_223_372_036_854_774_784.0;
const INTEGER_MIN: f64 = -9_223_372_036_854_775_808.0;

/// An aggregation in a plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AggregateCall {
    pub(crate) op: AggregateOp,
    pub(crate) grouping: Grouping,
    /// The position of the parameter.
    pub(crate) param_pos: Pos,
    pub(crate) steps: usize,
}

/// The parameter at each step.
struct Param {
    values: Vec<f64>,
    min: f64,
    max: f64,
    nan: bool,
}

impl Param {
    fn new(values: Vec<f64>) -> Self {
        let nan = values.iter().any(|v| v.is_nan());
        let constant = values.windows(2).all(|p| p[0].to_bits() == p[1].to_bits());
        let (min, max) = match values.first() {
            Some(&value) if constant => (value, value),
            _ => (
                values.iter().fold(f64::MAX, |a, b| go_min(a, *b)),
                values.iter().fold(-f64::MAX, |a, b| go_max(a, *b)),
            ),
        };
        Self { values, min, max, nan }
    }
}

/// Starts an aggregation of `rows`; `param` is the evaluated parameter, if any.
pub(crate) fn start(
    call: &AggregateCall,
    rows: Vec<Row>,
    param: Option<Data>,
    cx: &mut Context,
) -> Result<Start, QueryError> {
    if Fold::can(call.op) {
        let fold = Fold::new(call.op, call.grouping.clone());
        return Ok(Start::task(FoldRows { rows, fold: Some(fold) }));
    }
    if call.op == AggregateOp::CountValues {
        let label = param.map(Data::into_text).unwrap_or_default();
        let Some(label) = label.as_str().filter(|label| !label.is_empty()) else {
            let text = format!("invalid label name {}", label.quoted());
            return Err(QueryError::Execution(text));
        };
        return Ok(Start::task(CountValues {
            steps: call.steps,
            rows,
            grouping: call.grouping.clone().with_label(label),
            label: label.to_owned(),
            groups: Groups::default(),
            out: Vec::new(),
        }));
    }
    let param = Param::new(param.map(Data::into_scalar).unwrap_or_default());
    if !check(call, &param, cx)? {
        return Ok(Start::empty());
    }
    let mut groups = Groups::default();
    let group_of: Vec<usize> =
        rows.iter().map(|r| groups.number(call.grouping.group(&r.labels))).collect();
    let count = groups.labels.len();
    if call.op == AggregateOp::Quantile {
        let mut members = vec![Vec::new(); count];
        group_of.iter().enumerate().for_each(|(row, group)| members[*group].push(row));
        return Ok(Start::task(Quantile {
            steps: call.steps,
            rows,
            members,
            q: param.values,
            out: groups.labels.into_iter().map(Row::new).collect(),
            buffer: Vec::new(),
        }));
    }
    let chosen = rows.iter().map(|r| Row::new(r.labels.clone())).collect();
    Ok(Start::task(Choose {
        op: call.op,
        steps: call.steps,
        rows,
        group_of,
        groups: vec![Vec::new(); count],
        param: param.values,
        chosen,
        order: Vec::new(),
    }))
}

/// Checks the parameter; `false` means that the result is empty for any rows.
fn check(call: &AggregateCall, param: &Param, cx: &mut Context) -> Result<bool, QueryError> {
    let fail = |text: String| Err(QueryError::Execution(text));
    match call.op {
        AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => {
            if param.max < 1.0 {
                return Ok(false);
            }
            if param.nan {
                return fail("Parameter value is NaN".to_owned());
            }
            if param.min <= INTEGER_MIN {
                let value = general(param.min, None);
                return fail(format!("Scalar value {value} underflows int64"));
            }
            if param.max >= INTEGER_MAX {
                let value = general(param.max, None);
                return fail(format!("Scalar value {value} overflows int64"));
            }
        }
        AggregateOp::LimitRatio => {
            if param.max == 0.0 && param.min == 0.0 {
                return Ok(false);
            }
            if param.nan {
                return fail("Ratio value is NaN".to_owned());
            }
            for (bad, value, cap) in
                [(param.max > 1.0, param.max, "1"), (param.min < -1.0, param.min, "-1")]
            {
                if bad {
                    let value = general(value, None);
                    let text = format!(
                        "ratio value should be between -1 and 1, got {value}, capping to {cap}"
                    );
                    cx.annotations.warn(&text, call.param_pos);
                }
            }
        }
        _ => {
            if param.nan {
                cx.annotations.quantile_out_of_range(f64::NAN, call.param_pos);
            }
            if param.max > 1.0 {
                cx.annotations.quantile_out_of_range(param.max, call.param_pos);
            }
            if param.min < 0.0 {
                cx.annotations.quantile_out_of_range(param.min, call.param_pos);
            }
        }
    }
    Ok(true)
}

struct FoldRows {
    rows: Vec<Row>,
    fold: Option<Fold>,
}

impl Pieces for FoldRows {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn piece(&mut self, index: usize, _: &mut Context) -> Result<usize, QueryError> {
        let row = std::mem::take(&mut self.rows[index]);
        self.fold.as_mut().expect("finish comes last").add(&row);
        Ok(row.values.len())
    }

    fn finish(&mut self, _: &mut Context) -> Result<Data, QueryError> {
        Ok(Data::Matrix(self.fold.take().expect("finish comes once").finish()))
    }
}

struct Quantile {
    steps: usize,
    rows: Vec<Row>,
    members: Vec<Vec<usize>>,
    q: Vec<f64>,
    out: Vec<Row>,
    buffer: Vec<f64>,
}

impl Pieces for Quantile {
    fn count(&self) -> usize {
        self.steps
    }

    fn piece(&mut self, step: usize, _: &mut Context) -> Result<usize, QueryError> {
        let q = self.q.get(step).copied().unwrap_or(f64::NAN);
        for (members, out) in self.members.iter().zip(&mut self.out) {
            self.buffer.clear();
            let values = members.iter().map(|row| self.rows[*row].at(step));
            self.buffer.extend(values.filter(|v| !is_absent(*v)));
            if !self.buffer.is_empty() {
                out.push(step, quantile(q, &mut self.buffer));
            }
        }
        Ok(self.rows.len() * 4)
    }

    fn finish(&mut self, _: &mut Context) -> Result<Data, QueryError> {
        let mut out = std::mem::take(&mut self.out);
        out.retain(|row| !row.values.is_empty());
        Ok(Data::Matrix(out))
    }
}

struct CountValues {
    steps: usize,
    rows: Vec<Row>,
    label: String,
    grouping: Grouping,
    groups: Groups,
    out: Vec<Row>,
}

impl Pieces for CountValues {
    fn count(&self) -> usize {
        self.steps
    }

    fn piece(&mut self, step: usize, _: &mut Context) -> Result<usize, QueryError> {
        for row in &self.rows {
            let value = row.at(step);
            if is_absent(value) {
                continue;
            }
            let mut labels = row.labels.to_builder();
            labels.set(&self.label, &decimal(value));
            let group = self.groups.number(self.grouping.group(&labels.finish()));
            if group == self.out.len() {
                self.out.push(Row::new(self.groups.labels[group].clone()));
            }
            let out = &mut self.out[group];
            if out.span().end == step + 1 && !out.values.is_empty() {
                *out.values.last_mut().expect("not empty") += 1.0;
            } else {
                out.push(step, 1.0);
            }
        }
        Ok(self.rows.len() * 32)
    }

    fn finish(&mut self, _: &mut Context) -> Result<Data, QueryError> {
        Ok(Data::Matrix(std::mem::take(&mut self.out)))
    }
}

/// `topk`, `bottomk`, `limitk` and `limit_ratio`: a selection of samples with their labels
/// unchanged.
struct Choose {
    op: AggregateOp,
    steps: usize,
    rows: Vec<Row>,
    group_of: Vec<usize>,
    /// The candidates of each group at the current step.
    groups: Vec<Vec<(f64, usize)>>,
    param: Vec<f64>,
    chosen: Vec<Row>,
    /// The rows of the last step in order of rank.
    order: Vec<usize>,
}

impl Choose {
    fn choose(&mut self, step: usize, k: usize) {
        let largest = self.op == AggregateOp::Topk;
        self.order.clear();
        for group in &mut self.groups {
            if matches!(self.op, AggregateOp::Topk | AggregateOp::Bottomk) {
                let order = |a: &(f64, usize), b: &(f64, usize)| {
                    prefer(largest, a.0, b.0).then(a.1.cmp(&b.1))
                };
                if group.len() > k {
                    group.select_nth_unstable_by(k, order);
                    group.truncate(k);
                }
                group.sort_unstable_by(order);
            } else {
                group.truncate(k);
            }
            for (value, row) in group.drain(..) {
                self.chosen[row].push(step, value);
                self.order.push(row);
            }
        }
    }
}

impl Pieces for Choose {
    fn count(&self) -> usize {
        self.steps
    }

    fn piece(&mut self, step: usize, _: &mut Context) -> Result<usize, QueryError> {
        let param = self.param.get(step).copied().unwrap_or(0.0);
        let ratio = self.op == AggregateOp::LimitRatio;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let k = if ratio { usize::MAX } else { param as usize };
        if k == 0 {
            return Ok(1);
        }
        for (at, row) in self.rows.iter().enumerate() {
            let value = row.at(step);
            if !is_absent(value) && (!ratio || is_sampled(&row.labels, param)) {
                self.groups[self.group_of[at]].push((value, at));
            }
        }
        self.choose(step, k);
        Ok(self.rows.len() * if ratio { 32 } else { 4 })
    }

    fn finish(&mut self, _: &mut Context) -> Result<Data, QueryError> {
        let mut chosen = std::mem::take(&mut self.chosen);
        if self.steps == 1 {
            let order = std::mem::take(&mut self.order);
            let ranked = order.into_iter().map(|row| std::mem::take(&mut chosen[row]));
            return Ok(Data::Matrix(ranked.collect()));
        }
        chosen.retain(|row| !row.values.is_empty());
        Ok(Data::Matrix(chosen))
    }
}

/// Whether `limit_ratio` selects a series: its hash as a fraction is below the ratio, or not below
/// one plus a negative ratio.
fn is_sampled(labels: &Labels, ratio: f64) -> bool {
    let ratio = ratio.clamp(-1.0, 1.0);
    let mut bytes = Vec::with_capacity(labels.as_bytes().len());
    for (name, value) in labels.iter() {
        for text in [name, value] {
            let length = text.len().to_le_bytes();
            if text.len() < 255 {
                bytes.push(length[0]);
            } else {
                bytes.push(255);
                bytes.extend_from_slice(&length[..3]);
            }
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "as Prometheus converts")]
    let offset = xxh64(&bytes) as f64 / u64::MAX as f64;
    if ratio > 0.0 { offset < ratio } else { ratio < 0.0 && offset >= 1.0 + ratio }
}
