//! Expressions whose value is known without data: literals, and what is computed from them.

use super::{Planner, bare};
use crate::binary::of_scalars;
use crate::functions::DatePart;
use crate::number::{go_max, go_min, seconds};
use crate::promql::{Expr, ExprKind, Operation, group};

/// Whether an expression has the same value at every step because `@` pins all its selectors.
/// Prometheus evaluates such expressions once, like an instant query.
pub(super) fn is_step_invariant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => true,
        ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => selector.at.is_some(),
        ExprKind::Subquery { at, .. } => at.is_some(),
        ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => is_step_invariant(inner),
        ExprKind::Aggregate { expr: inner, .. } => is_step_invariant(inner),
        ExprKind::Binary { first, rest } => {
            is_step_invariant(first) && rest.iter().all(|o| is_step_invariant(&o.operand))
        }
        ExprKind::Call { name: "start" | "end" | "range" | "step", .. } => true,
        ExprKind::Call { name: "timestamp", args, .. } => {
            let selector = |a: &Expr| matches!(bare(a).kind, ExprKind::Vector(_));
            args.iter().all(|a| selector(a) && is_step_invariant(a))
        }
        ExprKind::Call { name, args, .. } => {
            let uses_time =
                matches!(*name, "time" | "predict_linear") || DatePart::from_name(name).is_some();
            !uses_time && args.iter().all(is_step_invariant)
        }
    }
}

impl Planner {
    /// The value of a scalar expression, if it is the same at every step.
    pub(crate) fn constant(&self, expr: &Expr) -> Option<f64> {
        match &bare(expr).kind {
            ExprKind::Number(value) => Some(*value),
            ExprKind::Unary { negative, expr } => {
                let value = self.constant(expr)?;
                Some(if *negative { -value } else { value })
            }
            ExprKind::Binary { first, rest } => self.constant_chain(first, rest),
            ExprKind::Call { name, args, .. } => self.constant_call(name, args),
            _ => None,
        }
    }

    fn constant_chain(&self, first: &Expr, rest: &[Operation]) -> Option<f64> {
        if rest.iter().any(|o| o.matching.is_some() || o.op.is_set()) {
            return None;
        }
        let from_right = rest.iter().any(|o| o.op.groups_from_right());
        let operand = |(): &mut (), o: &Operation| Ok((o.op, self.constant(&o.operand).ok_or(())?));
        let combine = |(): &mut (), left, op, right| Ok::<_, ()>(of_scalars(op, left, right));
        group(&mut (), self.constant(first)?, rest, from_right, operand, combine).ok()
    }

    fn constant_call(&self, name: &str, args: &[Expr]) -> Option<f64> {
        let params = &self.params;
        let pair = || Some((self.constant(args.first()?)?, self.constant(args.get(1)?)?));
        match name {
            "pi" => Some(std::f64::consts::PI),
            "start" => Some(seconds(params.start_ms)),
            "end" => Some(seconds(params.end_ms)),
            "range" => Some(seconds(params.end_ms.saturating_sub(params.start_ms))),
            "step" if params.instant || params.start_ms == params.end_ms => Some(0.0),
            "step" => Some(seconds(params.step_ms)),
            "max_of" => pair().map(|(a, b)| go_max(a, b)),
            "min_of" => pair().map(|(a, b)| go_min(a, b)),
            _ => None,
        }
    }
}
