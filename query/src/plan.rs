//! Turns a syntax tree into a plan: what is fetched, and what is done with it.
//!
//! The plan is a list of nodes in order of evaluation, each with the grid of times at which it is
//! evaluated; offsets, `@` and subqueries are resolved into these grids here. Every selector
//! becomes a [`Fragment`], which includes the range function and the aggregation above it if the
//! cores can compute them.

use crate::error::QueryError;
use crate::fold::Grouping;
use crate::fragment::{Fragment, LeafWork, Pushed};
use crate::matrix::Grid;
use crate::promql::{
    AggregateOp, At, DurationExpr, Expr, ExprKind, Operation, Pos, ValueType, VectorSelector, group,
};
use crate::window::{RangeCall, RangeFunction, ScalarArg};
use m3_metric::labels::METRIC_NAME;
use m3_metric::{MatchOp, Matcher};

mod call;
mod constant;
pub(crate) mod node;

use node::{Node, Op};

/// Up to this k, `topk` and `bottomk` run on the cores; beyond it, sending all rows is as cheap.
const PUSHED_K_MAX: f64 = 64.0;

/// When and how a query is evaluated. All times are in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryParams {
    /// The first evaluation time.
    pub start_ms: i64,
    /// The last evaluation time, inclusive; equal to the first for an instant query.
    pub end_ms: i64,
    /// The distance between evaluation times, greater than 0; unused by an instant query.
    pub step_ms: i64,
    /// Whether the answer is for one instant.
    pub instant: bool,
    /// How long after its time a sample is still used as its series' current value.
    pub lookback_ms: i64,
    /// The number of samples that may be held at once.
    pub samples_max: u64,
    /// The step of subqueries without one.
    pub default_step_ms: i64,
    /// Whether windows hold their left edge too, as Prometheus 2 had it (and M3 with it);
    /// Prometheus 3 leaves it out. Where an offset is in effect, what is fetched then lacks its
    /// right edge, as M3 has it: a sample at exactly the query's end less the offsets is not seen.
    pub closed_windows: bool,
}

/// A query ready to be fetched and evaluated.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) nodes: Vec<Node>,
    pub(crate) fragments: Vec<Fragment>,
    pub(crate) params: QueryParams,
    pub(crate) value_type: ValueType,
    pub(crate) text: Option<String>,
}

/// Plans `expr`.
///
/// # Errors
/// `BadData` when the query cannot be asked like this: a range query of a range vector, a
/// duration expression without a positive value. `Execution` when it needs what is not built.
/// `TooManySamples` when a subquery has more steps than samples are allowed.
pub fn plan(expr: Expr, params: QueryParams) -> Result<Plan, QueryError> {
    let value_type = expr.value_type();
    let vector_or_scalar = matches!(value_type, ValueType::InstantVector | ValueType::Scalar);
    if !params.instant && !vector_or_scalar {
        return Err(QueryError::BadData(format!(
            "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
            value_type.name()
        )));
    }
    let grid = if params.instant {
        Grid::single(params.start_ms)
    } else {
        Grid::new(params.start_ms, params.end_ms, params.step_ms)
    };
    let mut planner = Planner { nodes: Vec::new(), fragments: Vec::new(), params, fetch_end_ms: 0 };
    planner.fetch_end_ms = planner.query_end_ms();
    planner.node(&expr, grid)?;
    let Planner { nodes, fragments, params, .. } = planner;
    Ok(Plan { nodes, fragments, params, value_type, text: None })
}

impl Plan {
    /// The fragments that the cores must evaluate, in the order in which their results must be
    /// returned.
    #[must_use]
    pub fn fragments(&self) -> &[Fragment] {
        &self.fragments
    }

    /// Adds `matchers` to every fragment and removes the labels `strip` from all series.
    pub fn restrict(&mut self, matchers: &[Matcher], strip: &[String]) {
        for fragment in &mut self.fragments {
            fragment.matchers.extend_from_slice(matchers);
            fragment.strip.extend_from_slice(strip);
            // A core that sends only its best samples would hide where two series of equal labels
            // meet. The root ranks again in any case.
            fragment.pushed.take_if(|pushed| !strip.is_empty() && pushed.is_ranked());
        }
    }

    /// The first and last time (milliseconds, inclusive) that any fragment needs.
    #[must_use]
    pub fn fetch_range_ms(&self) -> Option<(i64, i64)> {
        let start = self.fragments.iter().map(|f| f.start_ms).min()?;
        let end = self.fragments.iter().map(|f| f.end_ms).max()?;
        Some((start, end))
    }

    /// Restricts each fragment to the last `most_ms` milliseconds of its range.
    pub fn cut_range(&mut self, most_ms: i64) {
        for fragment in &mut self.fragments {
            fragment.start_ms = fragment.start_ms.max(fragment.end_ms.saturating_sub(most_ms));
        }
    }

    /// Sets the query's text, so that warnings about a query of several lines name the right line.
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }
}

/// The expression without parentheses around it.
pub(crate) fn bare(mut expr: &Expr) -> &Expr {
    while let ExprKind::Paren(inner) = &expr.kind {
        expr = inner;
    }
    expr
}

pub(crate) struct Planner {
    pub(crate) nodes: Vec<Node>,
    pub(crate) fragments: Vec<Fragment>,
    pub(crate) params: QueryParams,
    /// The end of the range that selectors fetch, before their own offsets.
    fetch_end_ms: i64,
}

/// One side of a binary operator: its node, and the type of its value.
type Side = (usize, ValueType);

/// A selector with the work that can be done for each series.
struct Leaf {
    matchers: Vec<Matcher>,
    work: LeafWork,
    /// Whether the result of one step is valid for all steps.
    repeat: bool,
    drops_name: bool,
    open_end: bool,
}

impl Planner {
    /// Plans `expr` on `grid`; returns the node's number.
    pub(crate) fn node(&mut self, expr: &Expr, grid: Grid) -> Result<usize, QueryError> {
        if grid.count == 0 {
            return Ok(self.add(Op::Empty(expr.value_type()), vec![], grid));
        }
        if let Some(value) = self.constant(expr) {
            return Ok(self.add(Op::Number(value), vec![], grid));
        }
        match &expr.kind {
            ExprKind::Number(value) => Ok(self.add(Op::Number(*value), vec![], grid)),
            ExprKind::String(text) => Ok(self.add(Op::Text(text.clone()), vec![], grid)),
            ExprKind::Paren(inner) => self.node(inner, grid),
            ExprKind::Vector(_) => Ok(self.call_leaf(expr, grid)?.expect("a selector is a leaf")),
            ExprKind::Matrix { selector, range } => self.matrix(selector, range, grid),
            ExprKind::Subquery { .. } => {
                let (inner, _) = self.subquery(expr, grid)?;
                Ok(self.add(Op::Points, vec![inner], grid))
            }
            ExprKind::Call { name, args, .. } => self.call(expr, name, args, grid),
            ExprKind::Aggregate { op, expr: inner, param, grouping, without } => {
                let grouping = Grouping::new(grouping, *without);
                self.aggregate(*op, bare(inner), param.as_deref().map(bare), grouping, grid)
            }
            ExprKind::Unary { negative: false, expr: inner } => self.node(inner, grid),
            ExprKind::Unary { expr: inner, .. } => {
                let inner = self.node(inner, grid)?;
                Ok(self.add(Op::Negate, vec![inner], grid))
            }
            ExprKind::Binary { first, rest } => self.chain(first, rest, grid),
        }
    }

    fn matrix(
        &mut self,
        selector: &VectorSelector,
        range: &DurationExpr,
        grid: Grid,
    ) -> Result<usize, QueryError> {
        let range_ms = self.positive(range)?;
        let (lookup, _) = self.place(selector, grid)?;
        Ok(self.raw_leaf(selector, lookup, range_ms, grid))
    }

    #[inline(never)]
    fn chain(&mut self, first: &Expr, rest: &[Operation], grid: Grid) -> Result<usize, QueryError> {
        let from_right = rest.iter().any(|operation| operation.op.groups_from_right());
        let first = (self.node(first, grid)?, first.value_type());
        let operand = |planner: &mut Self, operation| planner.operand(operation, grid);
        let combine = |planner: &mut Self, left, operation, right| {
            Ok(planner.operation(left, operation, right, grid))
        };
        group(self, first, rest, from_right, operand, combine).map(|(node, _)| node)
    }

    fn operand<'o>(
        &mut self,
        operation: &'o Operation,
        grid: Grid,
    ) -> Result<(&'o Operation, Side), QueryError> {
        let operand = &operation.operand;
        Ok((operation, (self.node(operand, grid)?, operand.value_type())))
    }

    fn operation(&mut self, left: Side, operation: &Operation, right: Side, grid: Grid) -> Side {
        let types = (left.1, right.1);
        let Operation { op, return_bool, matching, .. } = operation;
        let op = Op::binary(*op, *return_bool, matching.as_ref(), types, grid);
        let is_scalar = types == (ValueType::Scalar, ValueType::Scalar);
        let value_type = if is_scalar { ValueType::Scalar } else { ValueType::InstantVector };
        (self.add(op, vec![left.0, right.0], grid), value_type)
    }

    pub(crate) fn add(&mut self, op: Op, args: Vec<usize>, grid: Grid) -> usize {
        self.nodes.push(Node { op, args, grid });
        self.nodes.len() - 1
    }

    fn aggregate(
        &mut self,
        op: AggregateOp,
        inner: &Expr,
        param: Option<&Expr>,
        grouping: Grouping,
        grid: Grid,
    ) -> Result<usize, QueryError> {
        let k = param.and_then(|p| self.constant(p));
        let ranked = matches!(op, AggregateOp::Topk | AggregateOp::Bottomk)
            && k.is_some_and(|k| (1.0..=PUSHED_K_MAX).contains(&k));
        let param_pos = param.map(|p| p.pos).unwrap_or_default();
        let mut args = Vec::new();
        if let Some(param) = param {
            args.push(self.node(param, grid)?);
        }
        if (node::is_pushable(op) || ranked)
            && let Some(leaf) = self.leaf(inner, grid)?
            && (!leaf.drops_name || is_name_fixed(&leaf.matchers))
        {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1..=64")]
            let k = k.unwrap_or(0.0) as usize;
            let pushed = Pushed { op, k, grouping: grouping.clone() };
            let leaf = self.add_leaf(leaf, Some(pushed), grid);
            if !ranked {
                return Ok(leaf);
            }
            args.push(leaf);
        } else {
            args.push(self.node(inner, grid)?);
        }
        let op = Op::aggregate(op, grouping, param_pos, grid);
        Ok(self.add(op, args, grid))
    }

    /// The work of `expr` if all of it can be done series by series.
    fn leaf(&mut self, expr: &Expr, grid: Grid) -> Result<Option<Leaf>, QueryError> {
        if grid.count == 0 {
            return Ok(None);
        }
        let lookback_ms = self.lookback_ms();
        match &expr.kind {
            ExprKind::Vector(selector) => {
                let (lookup, repeat) = self.place(selector, grid)?;
                let work = LeafWork::Instant { lookup, lookback_ms };
                let matchers = selector.to_matchers();
                let open_end = self.open_end(selector, grid);
                Ok(Some(Leaf { matchers, work, repeat, drops_name: false, open_end }))
            }
            ExprKind::Call { name: "timestamp", args, .. } => {
                let Some(ExprKind::Vector(selector)) = args.first().map(|a| &bare(a).kind) else {
                    return Ok(None);
                };
                let (lookup, repeat) = self.place(selector, grid)?;
                let work = LeafWork::Timestamp { lookup, lookback_ms, keeps_name: false };
                let matchers = selector.to_matchers();
                let open_end = self.open_end(selector, grid);
                Ok(Some(Leaf { matchers, work, repeat, drops_name: true, open_end }))
            }
            ExprKind::Call { name, args, .. } => self.range_leaf(name, args, grid),
            _ => Ok(None),
        }
    }

    fn range_leaf(
        &mut self,
        name: &str,
        args: &[Expr],
        grid: Grid,
    ) -> Result<Option<Leaf>, QueryError> {
        let Some(function) = RangeFunction::from_name(name) else { return Ok(None) };
        let mut scalars = Vec::new();
        let mut window = None;
        for arg in args.iter().map(bare) {
            match &arg.kind {
                ExprKind::Matrix { selector, range } => window = Some((selector, range)),
                _ => match self.constant(arg) {
                    Some(value) => scalars.push(ScalarArg::Constant(value)),
                    None => return Ok(None),
                },
            }
        }
        let Some((selector, range)) = window else { return Ok(None) };
        let range_ms = self.positive(range)?;
        let (mut lookup, mut repeat) = self.place(selector, grid)?;
        if function == RangeFunction::PredictLinear && repeat {
            // The window stands still, the time that is predicted from does not.
            lookup = Grid { step_ms: 0, count: grid.count, ..lookup };
            repeat = false;
        }
        let pos = args.first().map(|a| bare(a).pos).unwrap_or_default();
        let call = self.range_call(function, range_ms, lookup, grid, pos);
        let drops_name = !function.keeps_name();
        let matchers = selector.to_matchers();
        let work = LeafWork::Range { call, args: scalars };
        let open_end = self.open_end(selector, grid);
        Ok(Some(Leaf { matchers, work, repeat, drops_name, open_end }))
    }

    fn add_leaf(&mut self, leaf: Leaf, pushed: Option<Pushed>, grid: Grid) -> usize {
        let (lookup, before_ms) = match &leaf.work {
            LeafWork::Instant { lookup, lookback_ms }
            | LeafWork::Timestamp { lookup, lookback_ms, .. } => (*lookup, *lookback_ms),
            LeafWork::Range { call, .. } => (call.lookup, call.reach_ms()),
            LeafWork::Raw { .. } => unreachable!("raw leaves are added by raw_leaf"),
        };
        let renamed = leaf.drops_name && pushed.is_none();
        self.fragments.push(Fragment {
            matchers: leaf.matchers,
            start_ms: lookup.start_ms.saturating_sub(before_ms).saturating_add(1),
            end_ms: lookup.end_ms(),
            open_end: leaf.open_end,
            work: leaf.work,
            pushed,
            strip: Vec::new(),
            samples_max: self.params.samples_max,
        });
        let fragment = self.fragments.len() - 1;
        self.add(Op::Leaf { fragment, repeat: leaf.repeat, renamed }, vec![], grid)
    }

    /// The samples of all windows of `lookup`, to be cut at the root.
    pub(crate) fn raw_leaf(
        &mut self,
        selector: &VectorSelector,
        lookup: Grid,
        range_ms: i64,
        grid: Grid,
    ) -> usize {
        let start_ms = lookup.start_ms.saturating_sub(range_ms).saturating_sub(self.edge_ms());
        let end_ms = lookup.end_ms();
        self.fragments.push(Fragment {
            matchers: selector.to_matchers(),
            start_ms: start_ms.saturating_add(1),
            end_ms,
            open_end: self.open_end(selector, grid),
            work: LeafWork::Raw { start_ms, end_ms },
            pushed: None,
            strip: Vec::new(),
            samples_max: self.params.samples_max,
        });
        let fragment = self.fragments.len() - 1;
        self.add(Op::RawLeaf { fragment }, vec![], grid)
    }

    /// Where a selector looks for the samples of `grid`, and whether one look-up serves all steps.
    pub(crate) fn place(
        &self,
        selector: &VectorSelector,
        grid: Grid,
    ) -> Result<(Grid, bool), QueryError> {
        let offset_ms = self.offset(selector.offset.as_ref())?;
        Ok(match selector.at.map(|at| self.at(at)) {
            Some(at) => (Grid::single(at).earlier(offset_ms), grid.count != 1),
            None => (grid.earlier(offset_ms), false),
        })
    }

    /// Whether the last step of a selector on `grid` misses a sample of exactly its time.
    pub(crate) fn open_end(&self, selector: &VectorSelector, grid: Grid) -> bool {
        selector.at.is_none() && self.is_open_end(selector.offset.is_some(), grid)
    }

    /// M3 does it without an offset too; ours shows an acknowledged sample at its own time.
    pub(crate) fn is_open_end(&self, has_offset: bool, grid: Grid) -> bool {
        let is_shifted = has_offset || self.fetch_end_ms != self.query_end_ms();
        self.params.closed_windows && is_shifted && grid.end_ms() == self.fetch_end_ms
    }

    fn query_end_ms(&self) -> i64 {
        if self.params.instant { self.params.start_ms } else { self.params.end_ms }
    }

    /// Plans the inner expression of a subquery: its node, and the windows' ends and length.
    pub(crate) fn subquery(
        &mut self,
        expr: &Expr,
        grid: Grid,
    ) -> Result<(usize, (Grid, i64)), QueryError> {
        let ExprKind::Subquery { expr: inner, range, step, offset, at } = &expr.kind else {
            unreachable!("the caller matched a subquery");
        };
        let range_ms = self.positive(range)?;
        let step_ms = match step {
            Some(step) => self.positive(step)?,
            None => self.params.default_step_ms,
        }
        .max(1);
        let offset_ms = self.offset(offset.as_ref())?;
        let ends = match at.map(|at| self.at(at)) {
            Some(at) => Grid { start_ms: at, step_ms: 0, count: grid.count },
            None => grid,
        }
        .earlier(offset_ms);
        // Inner steps are multiples of the step, the first one after the left edge.
        let edge = ends.start_ms.saturating_sub(range_ms).saturating_sub(self.edge_ms());
        let mut start_ms = edge / step_ms * step_ms;
        if start_ms <= edge {
            start_ms = start_ms.saturating_add(step_ms);
        }
        let inner_grid = Grid::new(start_ms, ends.end_ms(), step_ms);
        if inner_grid.count as u64 > self.params.samples_max {
            return Err(QueryError::TooManySamples);
        }
        let outer_end_ms = self.fetch_end_ms;
        let end_ms = at.map_or(outer_end_ms, |at| self.at(at));
        self.fetch_end_ms = end_ms.saturating_sub(offset_ms);
        let inner = self.node(inner, inner_grid);
        self.fetch_end_ms = outer_end_ms;
        Ok((inner?, (ends, range_ms)))
    }

    /// What a window reaches further to the left to hold its edge: times are whole milliseconds.
    fn edge_ms(&self) -> i64 {
        i64::from(self.params.closed_windows)
    }

    pub(crate) fn lookback_ms(&self) -> i64 {
        self.params.lookback_ms.saturating_add(self.edge_ms())
    }

    pub(crate) fn range_call(
        &self,
        function: RangeFunction,
        range_ms: i64,
        lookup: Grid,
        eval: Grid,
        pos: Pos,
    ) -> RangeCall {
        RangeCall { function, range_ms, edge_ms: self.edge_ms(), lookup, eval, pos }
    }

    fn at(&self, at: At) -> i64 {
        match at {
            At::Ms(ms) => ms,
            At::Start => self.params.start_ms,
            At::End => self.params.end_ms,
        }
    }

    fn steps(&self) -> (i64, i64) {
        if self.params.instant {
            return (0, 0);
        }
        (self.params.step_ms, self.params.end_ms.saturating_sub(self.params.start_ms))
    }

    fn offset(&self, offset: Option<&DurationExpr>) -> Result<i64, QueryError> {
        let (step, range) = self.steps();
        let offset = offset.map(|o| o.eval(step, range)).transpose();
        offset.map(Option::unwrap_or_default).map_err(|e| QueryError::BadData(e.to_string()))
    }

    pub(crate) fn positive(&self, duration: &DurationExpr) -> Result<i64, QueryError> {
        let (step, range) = self.steps();
        duration.eval_positive(step, range).map_err(|e| QueryError::BadData(e.to_string()))
    }
}

/// Whether the metric's name is the same for all series, so that dropping it keeps them apart.
fn is_name_fixed(matchers: &[Matcher]) -> bool {
    matchers.iter().any(|m| m.op == MatchOp::Equal && m.name == METRIC_NAME && !m.value.is_empty())
}

#[cfg(test)]
mod tests;
