//! Binary operators between vectors: pairs the series, then combines their samples.
//!
//! Series are paired once, by signature: the labels that matching looks at. Each signature is one
//! piece of work, whose rows are walked step by step. So the cost is proportional to cells, not to
//! pairs.

use crate::error::QueryError;
use crate::fold::Groups;
use crate::matrix::{ABSENT, Data, Row, is_absent, is_metadata, merge_equal, present};
use crate::promql::{BinaryOp, Cardinality, Matching};
use crate::text::label_set;
use crate::work::{Context, Pieces, Start};
use m3_metric::Labels;
use std::collections::HashMap;

/// A binary operation in a plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BinaryCall {
    pub(crate) op: BinaryOp,
    pub(crate) return_bool: bool,
    pub(crate) matching: Matching,
    pub(crate) steps: usize,
}

/// Applies `op` to floats; a comparison returns the left value.
pub(crate) fn compute(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => left.powf(right),
        BinaryOp::Atan2 => left.atan2(right),
        _ => left,
    }
}

/// The value of `op` on two scalars, where a comparison gives 1 or 0.
pub(crate) fn of_scalars(op: BinaryOp, left: f64, right: f64) -> f64 {
    if !op.is_comparison() {
        return compute(op, left, right);
    }
    if holds(op, left, right) { 1.0 } else { 0.0 }
}

/// Whether a comparison holds; other operators always keep their result.
#[allow(clippy::float_cmp, reason = "PromQL compares floats exactly")]
pub(crate) fn holds(op: BinaryOp, left: f64, right: f64) -> bool {
    match op {
        BinaryOp::Eql => left == right,
        BinaryOp::Neq => left != right,
        BinaryOp::Gtr => left > right,
        BinaryOp::Lss => left < right,
        BinaryOp::Gte => left >= right,
        BinaryOp::Lte => left <= right,
        _ => true,
    }
}

/// Whether the result of `op` has another meaning than its operands, so the name must be dropped.
pub(crate) const fn changes_meaning(op: BinaryOp) -> bool {
    !op.is_comparison() && !op.is_set()
}

/// Starts an operation between two vectors.
pub(crate) fn start(call: &BinaryCall, left: Vec<Row>, right: Vec<Row>) -> Start {
    let mut signatures = Groups::default();
    let matching = &call.matching;
    let mut members: Vec<[Vec<usize>; 2]> = Vec::new();
    for (side, rows) in [&left, &right].into_iter().enumerate() {
        for (i, row) in rows.iter().enumerate() {
            let at = signatures.number(signature(matching, &row.labels));
            if at == members.len() {
                members.push(Default::default());
            }
            members[at][side].push(i);
        }
    }
    let job = Job { call: call.clone(), left, right, members, signatures: signatures.labels };
    if call.op.is_set() {
        Start::task(SetTask { job, out: Vec::new(), out_right: Vec::new() })
    } else {
        Start::task(ArithmeticTask::new(job))
    }
}

fn signature(matching: &Matching, labels: &Labels) -> Labels {
    labels.filtered(|name| {
        let listed = matching.labels.iter().any(|l| l == name);
        if matching.on { listed } else { !listed && name != "__name__" }
    })
}

/// The rows of both sides, and the signature of each.
struct Job {
    call: BinaryCall,
    left: Vec<Row>,
    right: Vec<Row>,
    members: Vec<[Vec<usize>; 2]>,
    signatures: Vec<Labels>,
}

struct SetTask {
    job: Job,
    out: Vec<(usize, Row)>,
    out_right: Vec<(usize, Row)>,
}

impl SetTask {
    /// For each step, whether any row of `side` has a sample.
    fn presence(&self, index: usize, side: usize) -> Vec<bool> {
        let rows = if side == 0 { &self.job.left } else { &self.job.right };
        let mut found = vec![false; self.job.call.steps];
        for &row in &self.job.members[index][side] {
            rows[row].samples().for_each(|(step, _)| found[step] = true);
        }
        found
    }
}

impl Pieces for SetTask {
    fn count(&self) -> usize {
        self.job.members.len()
    }

    fn piece(&mut self, index: usize, _: &mut Context) -> Result<usize, QueryError> {
        let op = self.job.call.op;
        let other = self.presence(index, if op == BinaryOp::Or { 0 } else { 1 });
        let [left, right] = self.job.members[index].clone();
        let cost = (left.len() + right.len() + 1) * self.job.call.steps;
        for at in left {
            let mut row = std::mem::take(&mut self.job.left[at]);
            match op {
                BinaryOp::And => row.map(|step, v| other[step].then_some(v)),
                BinaryOp::Unless => row.map(|step, v| (!other[step]).then_some(v)),
                _ => {}
            }
            self.out.push((at, row));
        }
        if op == BinaryOp::Or {
            for at in right {
                let mut row = std::mem::take(&mut self.job.right[at]);
                row.map(|step, v| (!other[step]).then_some(v));
                self.out_right.push((at, row));
            }
        }
        Ok(cost)
    }

    fn finish(&mut self, _: &mut Context) -> Result<Data, QueryError> {
        // Left rows before right ones, each side in its own order.
        self.out.sort_by_key(|(at, _)| *at);
        self.out_right.sort_by_key(|(at, _)| *at);
        let left = std::mem::take(&mut self.out).into_iter();
        let rows = left.chain(std::mem::take(&mut self.out_right)).map(|(_, row)| row);
        merge_equal(rows.filter(|row| !row.is_empty()).collect()).map(Data::Matrix)
    }
}

/// Arithmetic and comparisons. On the side `many`, several series may share a partner.
struct ArithmeticTask {
    call: BinaryCall,
    swapped: bool,
    many: Vec<Row>,
    one: Vec<Row>,
    members: Vec<[Vec<usize>; 2]>,
    signatures: Vec<Labels>,
    /// The steps at which there is anything to do.
    active: Vec<bool>,
    checked: bool,
    /// Rows by labels, with their positions in the result.
    out: Vec<(usize, Row)>,
    index: HashMap<Labels, usize>,
    matched: Vec<u32>,
}

/// A partner, with the output row for each combination of labels.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Partner {
    one: Option<usize>,
    out: usize,
}

impl ArithmeticTask {
    fn new(job: Job) -> Self {
        let swapped = job.call.matching.card == Cardinality::OneToMany;
        let steps = job.call.steps;
        let mut any = [vec![false; steps], vec![false; steps]];
        for (side, rows) in [&job.left, &job.right].into_iter().enumerate() {
            for row in rows {
                row.samples().for_each(|(step, _)| any[side][step] = true);
            }
        }
        let fills = job.call.matching.fill_left.is_some() || job.call.matching.fill_right.is_some();
        let active = (0..steps)
            .map(|s| if fills { any[0][s] || any[1][s] } else { any[0][s] && any[1][s] })
            .collect();
        let (many, one) = if swapped { (job.right, job.left) } else { (job.left, job.right) };
        let mut members = job.members;
        if swapped {
            members.iter_mut().for_each(|m| m.swap(0, 1));
        }
        Self {
            call: job.call,
            swapped,
            many,
            one,
            members,
            signatures: job.signatures,
            active,
            checked: false,
            out: Vec::new(),
            index: HashMap::new(),
            matched: Vec::new(),
        }
    }

    /// Fails if two series of the `one` side have the same signature at some step. Reports the
    /// first such pair.
    fn check_one_side(&self) -> Result<(), QueryError> {
        let mut found: Option<(usize, usize, usize, usize)> = None;
        for (signature, [_, one]) in self.members.iter().enumerate() {
            if one.len() < 2 {
                continue;
            }
            for step in (0..self.call.steps).filter(|s| self.active[*s]) {
                let mut rows = one.iter().filter(|r| !is_absent(self.one[**r].at(step)));
                if let (Some(&a), Some(&b)) = (rows.next(), rows.next()) {
                    let candidate = (step, b, a, signature);
                    found = Some(found.map_or(candidate, |f| f.min(candidate)));
                    break;
                }
            }
        }
        let Some((_, b, a, signature)) = found else { return Ok(()) };
        let (a, b) = (label_set(&self.one[a].labels), label_set(&self.one[b].labels));
        let (first, second) = if a <= b { (a, b) } else { (b, a) };
        let side = if self.swapped { "left" } else { "right" };
        let group = label_set(&self.signatures[signature]);
        Err(QueryError::Execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the \
             operation: [{first}, {second}];many-to-many matching not allowed: matching labels \
             must be unique on one side"
        )))
    }

    /// The labels of a result.
    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let matching = &self.call.matching;
        let drop_name = self.call.return_bool || changes_meaning(self.call.op);
        let one_to_one = matching.card == Cardinality::OneToOne;
        let kept = many.filtered(|name| {
            let listed = matching.labels.iter().any(|l| l == name);
            !(drop_name && is_metadata(name)) && (!one_to_one || listed == matching.on)
        });
        if matching.include.is_empty() {
            return kept;
        }
        let mut builder = kept.to_builder();
        for name in &matching.include {
            builder.set(name, one.get(name).unwrap_or_default());
        }
        builder.finish()
    }

    fn output(&mut self, labels: Labels, position: usize) -> usize {
        if let Some(&at) = self.index.get(&labels) {
            return at;
        }
        let at = self.out.len();
        self.index.insert(labels.clone(), at);
        self.out.push((position, Row::new(labels)));
        at
    }

    /// Stores a result in its row; steps may come in any order.
    fn store(&mut self, out: usize, step: usize, value: f64) -> Result<(), QueryError> {
        let row = &mut self.out[out].1;
        if row.values.is_empty() || step >= row.span().end {
            row.push(step, value);
            return Ok(());
        }
        if step < row.first {
            let missing = row.first - step;
            row.values.splice(0..0, std::iter::repeat_n(ABSENT, missing));
            row.first = step;
        }
        let cell = &mut row.values[step - row.first];
        if !is_absent(*cell) {
            return Err(QueryError::same_labelset());
        }
        *cell = present(value);
        Ok(())
    }

    fn combine(&self, many: f64, one: f64) -> Option<f64> {
        let (left, right) = if self.swapped { (one, many) } else { (many, one) };
        let kept = holds(self.call.op, left, right);
        if self.call.return_bool {
            return Some(if kept { 1.0 } else { 0.0 });
        }
        kept.then(|| compute(self.call.op, left, right))
    }

    /// Records that a pair was combined; fails if the pairing is not unique.
    fn note(&mut self, seen: &mut Seen, step: usize, out: usize) -> Result<(), QueryError> {
        if self.call.matching.card == Cardinality::OneToOne {
            if self.matched[step] > 0 {
                return Err(QueryError::Execution(
                    "multiple matches for labels: many-to-one matching must be explicit \
                     (group_left/group_right)"
                        .to_owned(),
                ));
            }
        } else if !seen.insert(out, step) {
            return Err(QueryError::Execution(
                "multiple matches for labels: grouping labels must ensure unique matches"
                    .to_owned(),
            ));
        }
        self.matched[step] += 1;
        Ok(())
    }

    /// Combines the rows of the `many` side with their partners.
    fn combine_many(
        &mut self,
        index: usize,
        partner_at: &[Option<usize>],
        seen: &mut Seen,
    ) -> Result<(), QueryError> {
        let fill = self.call.matching.fill_right;
        for at in self.members[index][0].clone() {
            let row = std::mem::take(&mut self.many[at]);
            let mut partner: Option<Partner> = None;
            for (step, value) in row.samples() {
                if !self.active[step] {
                    continue;
                }
                let one = partner_at[step];
                let other = match (one, fill) {
                    (Some(one), _) => self.one[one].at(step),
                    (None, Some(fill)) => fill,
                    (None, None) => continue,
                };
                let out = match partner {
                    Some(p) if p.one == one => p.out,
                    _ => {
                        let other = one.map_or(&self.signatures[index], |o| &self.one[o].labels);
                        let labels = self.result_labels(&row.labels, other);
                        let out = self.output(labels, at);
                        partner = Some(Partner { one, out });
                        out
                    }
                };
                self.note(seen, step, out)?;
                if let Some(result) = self.combine(value, other) {
                    self.store(out, step, result)?;
                }
            }
        }
        Ok(())
    }

    /// Combines the unmatched rows of the `one` side with the fill value of the other.
    fn fill_many(&mut self, index: usize, fill: f64, seen: &mut Seen) -> Result<(), QueryError> {
        for at in self.members[index][1].clone() {
            let labels = self.result_labels(&self.signatures[index], &self.one[at].labels);
            let out = self.output(labels, self.many.len() + at);
            let row = self.one[at].clone();
            for (step, value) in row.samples() {
                if self.matched[step] > 0 {
                    continue;
                }
                self.note(seen, step, out)?;
                if let Some(result) = self.combine(fill, value) {
                    self.store(out, step, result)?;
                }
            }
        }
        Ok(())
    }
}

/// Which output rows were matched, and at which steps, for the current signature.
#[derive(Default)]
struct Seen {
    steps: usize,
    rows: HashMap<usize, Vec<bool>>,
}

impl Seen {
    fn insert(&mut self, out: usize, step: usize) -> bool {
        let steps = self.steps;
        let marks = self.rows.entry(out).or_insert_with(|| vec![false; steps]);
        !std::mem::replace(&mut marks[step], true)
    }
}

impl Pieces for ArithmeticTask {
    fn count(&self) -> usize {
        self.members.len()
    }

    fn piece(&mut self, index: usize, _: &mut Context) -> Result<usize, QueryError> {
        if !self.checked {
            self.check_one_side()?;
            self.checked = true;
        }
        let steps = self.call.steps;
        let matching = &self.call.matching;
        let fill_many = matching.fill_left;
        let [many, one] = &self.members[index];
        let cost = (many.len() + one.len() + 1) * steps;
        if (many.is_empty() && fill_many.is_none())
            || (one.is_empty() && matching.fill_right.is_none())
        {
            return Ok(1);
        }
        let mut partner_at = vec![None; steps];
        for &row in one {
            self.one[row].samples().for_each(|(step, _)| partner_at[step] = Some(row));
        }
        self.matched.clear();
        self.matched.resize(steps, 0);
        let mut seen = Seen { steps, rows: HashMap::new() };
        self.combine_many(index, &partner_at, &mut seen)?;
        if let Some(fill) = fill_many {
            self.fill_many(index, fill, &mut seen)?;
        }
        Ok(cost)
    }

    fn finish(&mut self, _: &mut Context) -> Result<Data, QueryError> {
        let mut out = std::mem::take(&mut self.out);
        out.sort_by_key(|(position, _)| *position);
        let rows = out.into_iter().map(|(_, row)| row).filter(|row| !row.is_empty());
        Ok(Data::Matrix(rows.collect()))
    }
}

#[cfg(test)]
mod tests;
