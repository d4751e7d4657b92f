//! Plans function calls.

use super::constant::is_step_invariant;
use super::node::Op;
use super::{Leaf, Planner, bare};
use crate::error::QueryError;
use crate::fragment::LeafWork;
use crate::functions::histogram::{HistogramCall, HistogramFunction};
use crate::functions::info::InfoCall;
use crate::functions::labels::LabelChange;
use crate::functions::{DatePart, MapFunction};
use crate::matrix::Grid;
use crate::promql::{At, DurationExpr, Expr, ExprKind, Literal, Pos, VectorSelector};
use crate::window::RangeFunction;
use m3_metric::labels::METRIC_NAME;
use m3_metric::{Labels, LabelsBuilder, MatchOp};

impl Planner {
    pub(crate) fn call(
        &mut self,
        expr: &Expr,
        name: &str,
        args: &[Expr],
        grid: Grid,
    ) -> Result<usize, QueryError> {
        if let Some(leaf) = self.call_leaf(expr, grid)? {
            return Ok(leaf);
        }
        if let Some(function) = RangeFunction::from_name(name) {
            return self.window(function, args, grid);
        }
        let args: Vec<&Expr> = args.iter().map(bare).collect();
        match name {
            "absent_over_time" => self.absent_over_time(&args, grid),
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => {
                self.sort(expr.pos, name, &args, grid)
            }
            "histogram_quantile" | "histogram_fraction" | "histogram_quantiles" => {
                self.histogram(name, &args, grid)
            }
            "info" => self.info(&args, grid),
            _ => {
                let (op, inputs) = plain_call(name, &args)?;
                self.over(op, &args[..inputs], grid)
            }
        }
    }

    pub(crate) fn call_leaf(
        &mut self,
        expr: &Expr,
        grid: Grid,
    ) -> Result<Option<usize>, QueryError> {
        let leaf = self.leaf(expr, grid)?;
        Ok(leaf.map(|leaf| self.add_leaf(leaf, None, grid)))
    }

    /// A node over all `args`. The operation is boxed because this function recurses, so each level
    /// of a deep query must use little stack.
    #[allow(clippy::boxed_local, reason = "see above")]
    fn over(&mut self, op: Box<Op>, args: &[&Expr], grid: Grid) -> Result<usize, QueryError> {
        let mut inputs = Vec::with_capacity(args.len());
        for arg in args {
            inputs.push(self.node(arg, grid)?);
        }
        Ok(self.add(*op, inputs, grid))
    }

    /// A range function that the cores cannot compute: over a subquery, or with arguments that
    /// change.
    fn window(
        &mut self,
        function: RangeFunction,
        args: &[Expr],
        grid: Grid,
    ) -> Result<usize, QueryError> {
        let args: Vec<&Expr> = args.iter().map(bare).collect();
        let mut inputs = Vec::new();
        let mut found = None;
        for arg in &args {
            match &arg.kind {
                ExprKind::Matrix { .. } | ExprKind::Subquery { .. } => {
                    found = Some(self.source(arg, grid)?);
                }
                _ => inputs.push(self.node(arg, grid)?),
            }
        }
        let Some((source, lookup, range_ms)) = found else {
            let text = "expected type range vector in call to a range function";
            return Err(QueryError::BadData(text.to_owned()));
        };
        // Prometheus does not keep the position of a subquery after evaluating it.
        let pos = match args.first() {
            Some(first) if !matches!(first.kind, ExprKind::Subquery { .. }) => first.pos,
            _ => Pos::default(),
        };
        inputs.insert(0, source);
        let call = self.range_call(function, range_ms, lookup, grid, pos);
        Ok(self.add(Op::Window(call), inputs, grid))
    }

    /// The samples from which windows are cut: node, ends of the windows, length of the windows.
    fn source(&mut self, arg: &Expr, grid: Grid) -> Result<(usize, Grid, i64), QueryError> {
        if let ExprKind::Matrix { selector, range } = &arg.kind {
            let range_ms = self.positive(range)?;
            let (mut lookup, repeat) = self.place(selector, grid)?;
            if repeat {
                lookup = Grid { step_ms: 0, count: grid.count, ..lookup };
            }
            return Ok((self.raw_leaf(selector, lookup, range_ms, grid), lookup, range_ms));
        }
        let (inner, (lookup, range_ms)) = self.subquery(arg, grid)?;
        Ok((inner, lookup, range_ms))
    }

    fn absent_over_time(&mut self, args: &[&Expr], grid: Grid) -> Result<usize, QueryError> {
        let Some(arg) = args.first() else {
            let text = "expected 1 argument(s) in call to \"absent_over_time\", got 0";
            return Err(QueryError::BadData(text.to_owned()));
        };
        let presence = match &arg.kind {
            ExprKind::Matrix { .. } => {
                let leaf = self.range_leaf("present_over_time", &[(*arg).clone()], grid)?;
                let mut leaf = leaf.expect("a matrix selector is a leaf");
                // Only presence matters, so all series form one group.
                leaf.drops_name = false;
                let pushed = crate::fragment::Pushed {
                    op: crate::promql::AggregateOp::Group,
                    k: 0,
                    grouping: crate::fold::Grouping::default(),
                };
                self.add_leaf(leaf, Some(pushed), grid)
            }
            _ => {
                let (source, lookup, range_ms) = self.source(arg, grid)?;
                let function = RangeFunction::Last;
                let pos = Pos::default();
                let call = self.range_call(function, range_ms, lookup, grid, pos);
                self.add(Op::Window(call), vec![source], grid)
            }
        };
        let labels = absent_labels(arg);
        Ok(self.add(Op::AbsentOverTime(labels), vec![presence], grid))
    }

    fn sort(
        &mut self,
        pos: Pos,
        name: &str,
        args: &[&Expr],
        grid: Grid,
    ) -> Result<usize, QueryError> {
        let descending = name.ends_with("_desc");
        if grid.count != 1 {
            // The order is visible only in an instant query. A range query gets a warning, unless
            // it is pinned to one time.
            if args.iter().all(|a| is_step_invariant(a)) {
                return self.node(args[0], grid);
            }
            return self.over(Box::new(Op::SortWarning(pos)), &args[..1], grid);
        }
        let op = if name.starts_with("sort_by_label") {
            let names = texts(&args[1..]).iter().map(|name| name.as_label().to_owned()).collect();
            Op::SortByLabel { names, descending }
        } else {
            Op::Sort { descending }
        };
        self.over(Box::new(op), &args[..1], grid)
    }

    /// `info`: its info series are looked up at the time of the first argument's selector.
    fn info(&mut self, args: &[&Expr], grid: Grid) -> Result<usize, QueryError> {
        let matchers = match args.get(1).map(|a| &a.kind) {
            Some(ExprKind::Vector(selector)) => selector.matchers.as_slice(),
            _ => &[],
        };
        let (call, matchers) = InfoCall::new(matchers)?;
        let base = self.node(args[0], grid)?;
        let mut outer = Vec::new();
        let selector = first_selector(args[0], &mut outer);
        let mut at = selector.and_then(|s| s.at);
        let mut offset_ms = self.offset(selector.and_then(|s| s.offset.as_ref()))?;
        for (outer_at, outer_offset) in outer.into_iter().rev() {
            if at.is_some() {
                break;
            }
            offset_ms = offset_ms.saturating_add(self.offset(outer_offset)?);
            at = outer_at;
        }
        let (lookup, repeat) = match at {
            Some(at) => (Grid::single(self.at(at)), grid.count != 1),
            None => (grid, false),
        };
        let work = LeafWork::Timestamp {
            lookup: lookup.earlier(offset_ms),
            lookback_ms: self.lookback_ms(),
            keeps_name: true,
        };
        let open_end = at.is_none() && self.is_open_end(offset_ms != 0, grid);
        let leaf = Leaf { matchers, work, repeat, drops_name: false, open_end };
        let infos = self.add_leaf(leaf, None, grid);
        Ok(self.add(Op::Info(call), vec![base, infos], grid))
    }

    fn histogram(&mut self, name: &str, args: &[&Expr], grid: Grid) -> Result<usize, QueryError> {
        let (function, scalars, vector) = match (name, args) {
            ("histogram_quantile", [q, vector]) => (HistogramFunction::Quantile, vec![*q], *vector),
            ("histogram_fraction", [lower, upper, vector]) => {
                (HistogramFunction::Fraction, vec![*lower, *upper], *vector)
            }
            (_, [vector, label, quantiles @ ..]) => {
                let label = texts(&[label]).pop().unwrap_or_default().to_string();
                (HistogramFunction::Quantiles { label }, quantiles.to_vec(), *vector)
            }
            _ => {
                let text = format!("missing arguments in call to \"{name}\"");
                return Err(QueryError::BadData(text));
            }
        };
        let quantile_pos = scalars.iter().map(|s| s.pos).collect();
        let call = HistogramCall { function, vector_pos: vector.pos, quantile_pos };
        let mut inputs = scalars;
        inputs.push(vector);
        self.over(Box::new(Op::Histogram(call)), &inputs, grid)
    }
}

/// The first selector of an expression; `outer` receives the modifiers of the subqueries around it.
fn first_selector<'e>(
    expr: &'e Expr,
    outer: &mut Vec<(Option<At>, Option<&'e DurationExpr>)>,
) -> Option<&'e VectorSelector> {
    match &expr.kind {
        ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => Some(selector),
        ExprKind::Subquery { expr, offset, at, .. } => {
            outer.push((*at, offset.as_ref()));
            let found = first_selector(expr, outer);
            if found.is_none() {
                outer.pop();
            }
            found
        }
        ExprKind::Call { args, .. } => args.iter().find_map(|a| first_selector(a, outer)),
        ExprKind::Aggregate { expr, param, .. } => first_selector(expr, outer)
            .or_else(|| param.as_deref().and_then(|p| first_selector(p, outer))),
        ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } => first_selector(expr, outer),
        ExprKind::Binary { first, rest } => first_selector(first, outer)
            .or_else(|| rest.iter().find_map(|o| first_selector(&o.operand, outer))),
        ExprKind::Number(_) | ExprKind::String(_) => None,
    }
}

/// The operation of a function whose inputs are its first arguments, and the number of these
/// arguments.
#[inline(never)]
fn plain_call(name: &str, args: &[&Expr]) -> Result<(Box<Op>, usize), QueryError> {
    let op = match name {
        "time" => Op::Time,
        "absent" => Op::Absent(args.first().map(|a| absent_labels(a)).unwrap_or_default()),
        "vector" => Op::ToVector,
        "scalar" => Op::ToScalar,
        "max_of" => Op::ScalarExtreme { max: true },
        "min_of" => Op::ScalarExtreme { max: false },
        "label_replace" => {
            let change = LabelChange::replace(&texts(&args[1..]))?;
            return Ok((Box::new(Op::Label(change)), 1));
        }
        "label_join" => {
            let change = LabelChange::join(&texts(&args[1..]))?;
            return Ok((Box::new(Op::Label(change)), 1));
        }
        // They exist only for native histograms and start times, neither of which is stored.
        "histogram_count" | "histogram_sum" | "histogram_avg" | "histogram_stddev"
        | "histogram_stdvar" | "start_timestamp" => Op::Nothing,
        _ => match (DatePart::from_name(name), MapFunction::from_name(name)) {
            (Some(part), _) if args.is_empty() => Op::DateNow(part),
            (_, Some(function)) => Op::Map(function),
            _ => {
                let text = format!("function {name}() is not supported yet");
                return Err(QueryError::Execution(text));
            }
        },
    };
    Ok((Box::new(op), args.len()))
}

fn texts(args: &[&Expr]) -> Vec<Literal> {
    let text = |arg: &&Expr| match &arg.kind {
        ExprKind::String(text) => Some(text.clone()),
        _ => None,
    };
    args.iter().filter_map(text).collect()
}

/// The labels that a selector fixes, which `absent` puts on its result.
fn absent_labels(arg: &Expr) -> Labels {
    let (ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. }) = &arg.kind else {
        return Labels::default();
    };
    fixed_labels(selector)
}

fn fixed_labels(selector: &VectorSelector) -> Labels {
    let mut builder = LabelsBuilder::default();
    let mut seen: Vec<&Literal> = Vec::new();
    for matcher in selector.matchers.iter().filter(|m| m.name != *METRIC_NAME) {
        let name = matcher.name.to_string();
        // A label with two matchers is not reported, even if both ask for the same value.
        if matcher.op == MatchOp::Equal && !seen.contains(&&matcher.name) {
            builder.set(&name, &matcher.value.to_string());
            seen.push(&matcher.name);
        } else {
            builder.remove(&name);
        }
    }
    builder.finish()
}
