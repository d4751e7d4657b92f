//! Checks what the grammar cannot: types, numbers of arguments, matching, empty selectors. The
//! order of the checks is that of Prometheus, so that the same one of several mistakes is reported.

use super::functions::{Function, function};
use super::quote::quote;
use super::{
    AggregateOp, BinaryOp, Cardinality, Expr, ExprKind, Matching, Operation, ParseError, Pos,
    ValueType, VectorSelector, group,
};
use m3_metric::labels::METRIC_NAME;

impl Expr {
    /// The type of the expression.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Vector(_) | ExprKind::Aggregate { .. } => ValueType::InstantVector,
            ExprKind::Matrix { .. } | ExprKind::Subquery { .. } => ValueType::RangeVector,
            ExprKind::Call { name, .. } => {
                function(name).map_or(ValueType::InstantVector, |function| function.returns)
            }
            ExprKind::Unary { expr, .. } | ExprKind::Paren(expr) => expr.value_type(),
            ExprKind::Binary { first, rest } => {
                let mut operands = rest.iter().map(|o| &o.operand).chain([&**first]);
                if operands.all(|operand| operand.value_type() == ValueType::Scalar) {
                    ValueType::Scalar
                } else {
                    ValueType::InstantVector
                }
            }
        }
    }
}

/// Checks `expr`, parsed from `text`. `match_all` holds the positions of selectors that match
/// series without labels. Completes the matching of binary expressions.
pub(super) fn check(text: &str, match_all: &[u32], expr: &mut Expr) -> Result<(), ParseError> {
    Checker { text, match_all }.expr(expr).map(|_| ())
}

struct Checker<'a> {
    text: &'a str,
    match_all: &'a [u32],
}

type Checked<T> = Result<T, ParseError>;

/// One side of an operator: an operand, or what operators have made of several.
#[derive(Clone, Copy)]
struct Side {
    pos: Pos,
    value_type: ValueType,
}

impl Checker<'_> {
    fn fail<T>(&self, pos: Pos, message: impl Into<String>) -> Checked<T> {
        Err(ParseError::new(self.text, pos, message))
    }

    /// Checks an expression and returns its type.
    fn expr(&self, expr: &mut Expr) -> Checked<ValueType> {
        let pos = expr.pos;
        match &mut expr.kind {
            ExprKind::Number(_) => Ok(ValueType::Scalar),
            ExprKind::String(_) => Ok(ValueType::String),
            ExprKind::Vector(selector) => {
                self.selector(pos, selector, false).map(|()| ValueType::InstantVector)
            }
            ExprKind::Matrix { selector, .. } => {
                self.selector(pos, selector, false).map(|()| ValueType::RangeVector)
            }
            ExprKind::Subquery { expr, .. } => self.subquery(pos, expr),
            ExprKind::Call { name, args, .. } => {
                let function = function(name).expect("the parser has looked it up");
                self.call(pos, function, args)
            }
            ExprKind::Aggregate { op, expr, param, .. } => {
                self.aggregate(*op, expr, param.as_deref_mut())
            }
            ExprKind::Unary { expr, .. } => self.unary(pos, expr),
            ExprKind::Paren(inner) => self.expr(inner),
            ExprKind::Binary { first, rest } => self.chain(first, rest),
        }
    }

    fn selector(&self, pos: Pos, selector: &VectorSelector, any: bool) -> Checked<()> {
        if let Some(name) = &selector.metric_name {
            // A name without a label before it is one of these matchers itself.
            let names = selector.matchers.iter().filter(|matcher| matcher.name == *METRIC_NAME);
            let mut own = Some(name);
            let other =
                names.map(|m| &m.value).find(|&value| own.take_if(|n| *n == value).is_none());
            if let Some(other) = other {
                let (name, other) = (name.quoted(), other.quoted());
                let message = format!("metric name must not be set twice: {name} or {other}");
                return self.fail(pos, message);
            }
        }
        if any || !self.match_all.contains(&selector.pos.start) {
            return Ok(());
        }
        self.fail(pos, "vector selector must contain at least one non-empty matcher")
    }

    fn subquery(&self, pos: Pos, inner: &mut Expr) -> Checked<ValueType> {
        let got = match self.expr(inner)? {
            ValueType::InstantVector => return Ok(ValueType::RangeVector),
            ValueType::RangeVector => "matrix",
            other => other.name(),
        };
        self.fail(pos, format!("subquery is only allowed on instant vector, got {got} instead"))
    }

    fn unary(&self, pos: Pos, inner: &mut Expr) -> Checked<ValueType> {
        let got = self.expr(inner)?;
        if matches!(got, ValueType::Scalar | ValueType::InstantVector) {
            return Ok(got);
        }
        self.fail(
            pos,
            format!(
                "unary expression only allowed on expressions of type scalar or instant vector, \
                 got {}",
                quote(got.name())
            ),
        )
    }

    fn expect(&self, expr: &mut Expr, wanted: ValueType, place: &str) -> Checked<()> {
        let got = self.expr(expr)?;
        if got == wanted { Ok(()) } else { self.mismatch(expr.pos, wanted, place, got) }
    }

    fn mismatch(&self, pos: Pos, wanted: ValueType, place: &str, got: ValueType) -> Checked<()> {
        let (wanted, got) = (wanted.name(), got.name());
        self.fail(pos, format!("expected type {wanted} in {place}, got {got}"))
    }

    fn aggregate(
        &self,
        op: AggregateOp,
        expr: &mut Expr,
        param: Option<&mut Expr>,
    ) -> Checked<ValueType> {
        self.expect(expr, ValueType::InstantVector, "aggregation expression")?;
        if let Some(param) = param {
            let wanted = match op {
                AggregateOp::CountValues => ValueType::String,
                _ => ValueType::Scalar,
            };
            self.expect(param, wanted, "aggregation parameter")?;
        }
        Ok(ValueType::InstantVector)
    }

    fn call(&self, pos: Pos, function: &Function, args: &mut [Expr]) -> Checked<ValueType> {
        self.arity(pos, function, args.len())?;
        let is_info = function.name == "info";
        if is_info && args.len() > 1 {
            self.info_labels(pos, &args[1])?;
        }
        let place = || format!("call to function {}", quote(function.name));
        for (index, arg) in args.iter_mut().enumerate() {
            let Some(wanted) = function.arg(index) else { break };
            if let (true, 1, ExprKind::Vector(selector)) = (is_info, index, &arg.kind) {
                self.selector(arg.pos, selector, true)?;
                continue;
            }
            let got = self.expr(arg)?;
            if got != wanted {
                self.mismatch(arg.pos, wanted, &place(), got)?;
            }
        }
        Ok(function.returns)
    }

    fn arity(&self, pos: Pos, function: &Function, got: usize) -> Checked<()> {
        let (least, most) = function.arity();
        let (bound, wanted) = if got < least {
            ("at least ", least)
        } else if let Some(most) = most.filter(|&most| got > most) {
            ("at most ", most)
        } else {
            return Ok(());
        };
        let bound = if function.variadic == 0 { "" } else { bound };
        let name = quote(function.name);
        self.fail(pos, format!("expected {bound}{wanted} argument(s) in call to {name}, got {got}"))
    }

    /// The second argument of `info`: only matchers, which may match everything.
    fn info_labels(&self, pos: Pos, arg: &Expr) -> Checked<()> {
        let got = arg.value_type();
        if got != ValueType::InstantVector {
            let message = format!(
                "expected type instant vector in call to function \"info\", got {}",
                got.name()
            );
            return self.fail(pos, message);
        }
        let ExprKind::Vector(selector) = &arg.kind else {
            return self.fail(arg.pos, "expected label selectors only");
        };
        if self.text.as_bytes().get(selector.pos.start as usize) == Some(&b'{') {
            return Ok(());
        }
        self.fail(arg.pos, "expected label selectors only, got vector selector instead")
    }

    #[inline(never)]
    fn chain(&self, first: &mut Expr, rest: &mut [Operation]) -> Checked<ValueType> {
        let from_right = rest.iter().any(|operation| operation.op.groups_from_right());
        let first = self.side(first)?;
        let operand = |checker: &mut &Self, operation| checker.operand(operation);
        let combine =
            |checker: &mut &Self, left, operation, right| checker.operation(left, operation, right);
        group(&mut &*self, first, rest, from_right, operand, combine).map(|all| all.value_type)
    }

    fn side(&self, expr: &mut Expr) -> Checked<Side> {
        Ok(Side { pos: expr.pos, value_type: self.expr(expr)? })
    }

    fn operand<'o>(&self, operation: &'o mut Operation) -> Checked<(&'o mut Operation, Side)> {
        let side = self.side(&mut operation.operand)?;
        Ok((operation, side))
    }

    fn operation(&self, left: Side, operation: &mut Operation, right: Side) -> Checked<Side> {
        let pos = Pos { start: left.pos.start, end: right.pos.end };
        let Operation { op, return_bool, matching, .. } = operation;
        let op = *op;
        let types = (left.value_type, right.value_type);
        let op_pos = || self.skip_blank(left.pos.end);
        if *return_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            return self.fail(op_pos(), message);
        }
        let both = |wanted| types == (wanted, wanted);
        if op.is_comparison() && !*return_bool && both(ValueType::Scalar) {
            let message = "comparisons between scalars must use BOOL modifier";
            return self.fail(op_pos(), message);
        }
        if let Some(matching) = matching {
            self.matching_labels(op_pos(), matching)?;
        }
        for side in [left, right] {
            if !matches!(side.value_type, ValueType::Scalar | ValueType::InstantVector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return self.fail(side.pos, message);
            }
        }
        if both(ValueType::InstantVector) {
            if let Some(matching) = matching.as_mut().filter(|_| op.is_set()) {
                self.set_matching(pos, op, matching)?;
            }
            return Ok(Side { pos, value_type: ValueType::InstantVector });
        }
        if let Some(matching) = matching.take() {
            self.no_matching(pos, &matching)?;
        }
        if op.is_set() {
            let message = format!(
                "set operator {} not allowed in binary scalar expression",
                quote(op.symbol())
            );
            return self.fail(pos, message);
        }
        let value_type =
            if both(ValueType::Scalar) { ValueType::Scalar } else { ValueType::InstantVector };
        Ok(Side { pos, value_type })
    }

    fn matching_labels(&self, op_pos: Pos, matching: &Matching) -> Checked<()> {
        let twice = matching.labels.iter().find(|label| matching.include.contains(label));
        match twice.filter(|_| matching.on) {
            None => Ok(()),
            Some(label) => self.fail(
                op_pos,
                format!("label {} must not occur in ON and GROUP clause at once", quote(label)),
            ),
        }
    }

    /// If one side is not a vector, there is nothing to match.
    fn no_matching(&self, pos: Pos, matching: &Matching) -> Checked<()> {
        if !matching.labels.is_empty() {
            return self.fail(pos, "vector matching only allowed between instant vectors");
        }
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            let message = "filling in missing series only allowed between instant vectors";
            return self.fail(pos, message);
        }
        Ok(())
    }

    fn set_matching(&self, pos: Pos, op: BinaryOp, matching: &mut Matching) -> Checked<()> {
        if matching.card != Cardinality::OneToOne {
            let symbol = quote(op.symbol());
            return self.fail(pos, format!("no grouping allowed for {symbol} operation"));
        }
        matching.card = Cardinality::ManyToMany;
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            return self.fail(pos, "filling in missing series not allowed for set operators");
        }
        Ok(())
    }

    /// The position of an operator: the first byte after the left side that is not a space.
    fn skip_blank(&self, from: u32) -> Pos {
        let rest = &self.text.as_bytes()[from as usize..];
        let blank = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        let start = from + blank as u32;
        Pos { start, end: start + 1 }
    }
}
