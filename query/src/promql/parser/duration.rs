//! Durations between brackets and after `offset`: literals, or expressions over them.

use super::super::duration::{literal_ms, out_of_range};
use super::super::token::{Keyword, Kind, Token};
use super::super::{BinaryOp, DurationExpr, DurationNode};
use super::{Outcome, Parser, Pos, UNARY, pos_of, precedence, said, unexpected};

/// A parsed duration.
pub(super) struct Duration {
    node: DurationNode,
    /// A bare number, with or without a sign, whose value is checked at once. In parentheses it is
    /// an expression, whose value is checked when the query runs, as in Prometheus.
    literal: bool,
    /// The position that Prometheus reports: an operation from its first to its last operand,
    /// without parentheses.
    pos: Pos,
    height: usize,
}

impl Duration {
    /// As a range, or as the step of a subquery.
    pub(super) fn positive(self) -> Outcome<DurationExpr> {
        match self.node {
            DurationNode::Seconds(seconds) if self.literal && seconds <= 0.0 => {
                said(self.pos, "duration must be greater than 0")
            }
            _ => Ok(self.any()),
        }
    }

    /// As an offset.
    pub(super) fn any(self) -> DurationExpr {
        match self.node {
            DurationNode::Seconds(seconds) if self.literal => DurationExpr::Ms(literal_ms(seconds)),
            node => DurationExpr::Computed(Box::new(node), self.pos),
        }
    }

    fn leaf(node: DurationNode, pos: Pos) -> Self {
        Self { node, literal: false, pos, height: 1 }
    }

    fn is_literal_zero(&self) -> bool {
        self.literal && matches!(self.node, DurationNode::Seconds(seconds) if seconds == 0.0)
    }

    /// The duration in parentheses that open at `start`.
    fn wrapped(mut self, start: u32) -> Self {
        if self.literal {
            self.literal = false;
            self.pos.start = start;
        }
        self
    }
}

/// A chain of operators that is being parsed.
struct Chain {
    first: Duration,
    rest: Vec<(BinaryOp, DurationNode)>,
    /// Where the last operand ends.
    end: u32,
    /// The height of the tallest operand.
    below: usize,
}

impl Chain {
    fn new(first: Duration) -> Self {
        let (end, below) = (first.pos.end, first.height);
        Self { first, rest: Vec::new(), end, below }
    }

    fn push(&mut self, op: BinaryOp, operand: Duration) {
        (self.end, self.below) = (operand.pos.end, self.below.max(operand.height));
        self.rest.push((op, operand.node));
    }
}

impl Parser<'_> {
    /// A duration whose binary operators have at least precedence `least`.
    pub(super) fn duration(&mut self, least: u8) -> Outcome<Duration> {
        self.enter()?;
        let first = self.duration_operand()?;
        let all = self.duration_operators(first, least)?;
        self.depth -= 1;
        Ok(all)
    }

    /// The chain of operators after `first`, if any.
    fn duration_operators(&mut self, first: Duration, least: u8) -> Outcome<Duration> {
        let mut chain = Chain::new(self.duration_powers(first)?);
        loop {
            let token = self.peek()?;
            let op = match token.kind {
                Kind::Op(
                    op @ (BinaryOp::Add
                    | BinaryOp::Sub
                    | BinaryOp::Mul
                    | BinaryOp::Div
                    | BinaryOp::Mod),
                ) if precedence(op) >= least => op,
                _ => return self.duration_chain(chain),
            };
            self.take()?;
            self.count_operator()?;
            let right = self.duration(precedence(op) + 1)?;
            if right.is_literal_zero() && matches!(op, BinaryOp::Div | BinaryOp::Mod) {
                let what = if op == BinaryOp::Div { "division" } else { "modulo" };
                return said(pos_of(token), format!("{what} by zero"));
            }
            chain.push(op, right);
        }
    }

    /// The chain of `^` after `first`, if any.
    fn duration_powers(&mut self, first: Duration) -> Outcome<Duration> {
        let mut chain = Chain::new(first);
        while self.take_if(Kind::Op(BinaryOp::Pow))? {
            self.count_operator()?;
            chain.push(BinaryOp::Pow, self.duration_operand()?);
        }
        self.duration_chain(chain)
    }

    fn duration_chain(&self, chain: Chain) -> Outcome<Duration> {
        if chain.rest.is_empty() {
            return Ok(chain.first);
        }
        let pos = Pos { start: chain.first.pos.start, end: chain.end };
        let height = 1 + chain.below;
        self.check_depth(height)?;
        let node = DurationNode::Binary(Box::new(chain.first.node), chain.rest);
        Ok(Duration { node, literal: false, pos, height })
    }

    fn pair(
        &self,
        left: Duration,
        right: Duration,
        node: impl FnOnce(DurationNode, DurationNode) -> DurationNode,
    ) -> Outcome<Duration> {
        let pos = Pos { start: left.pos.start, end: right.pos.end };
        let height = 1 + left.height.max(right.height);
        self.check_depth(height)?;
        Ok(Duration { node: node(left.node, right.node), literal: false, pos, height })
    }

    fn duration_operand(&mut self) -> Outcome<Duration> {
        let token = self.peek()?;
        match token.kind {
            Kind::Number | Kind::Duration => {
                self.take()?;
                self.duration_literal(token, None)
            }
            Kind::Op(BinaryOp::Add | BinaryOp::Sub) => {
                self.take()?;
                let inner = self.duration(UNARY)?;
                self.signed(token, inner)
            }
            Kind::LeftParen => self.duration_paren(),
            Kind::Key(key) => self.duration_call(token, key),
            _ => unexpected(token),
        }
    }

    fn duration_paren(&mut self) -> Outcome<Duration> {
        let open = self.take()?;
        let inner = self.duration(0)?;
        self.expect(Kind::RightParen)?;
        Ok(inner.wrapped(open.start))
    }

    /// `step()`, `range()`, `max_of(a, b)`, `min_of(a, b)`.
    fn duration_call(&mut self, token: Token, key: Keyword) -> Outcome<Duration> {
        let leaf = match key {
            Keyword::Step => Some(DurationNode::Step),
            Keyword::Range => Some(DurationNode::Range),
            Keyword::MaxOf | Keyword::MinOf => None,
            _ => return unexpected(token),
        };
        self.take()?;
        self.expect(Kind::LeftParen)?;
        if let Some(node) = leaf {
            self.expect(Kind::RightParen)?;
            return Ok(Duration::leaf(node, self.pos_from(token.start)));
        }
        let left = self.duration(0)?;
        self.expect(Kind::Comma)?;
        let right = self.duration(0)?;
        self.expect(Kind::RightParen)?;
        let node = if key == Keyword::MaxOf { DurationNode::Max } else { DurationNode::Min };
        self.pair(left, right, |a, b| node(Box::new(a), Box::new(b)))
    }

    /// A literal that has been read, with its sign, if any.
    fn duration_literal(&self, token: Token, sign: Option<Token>) -> Outcome<Duration> {
        let seconds = self.number(token)?;
        let negative = sign.is_some_and(|sign| sign.kind == Kind::Op(BinaryOp::Sub));
        let seconds = if negative { -seconds } else { seconds };
        if out_of_range(seconds) {
            return said(pos_of(sign.unwrap_or(token)), "duration out of range");
        }
        let pos = Pos { start: sign.unwrap_or(token).start, end: token.end };
        Ok(Duration { node: DurationNode::Seconds(seconds), literal: true, pos, height: 1 })
    }

    /// `inner` with `sign` before it.
    fn signed(&self, sign: Token, mut inner: Duration) -> Outcome<Duration> {
        let negative = sign.kind == Kind::Op(BinaryOp::Sub);
        if let DurationNode::Seconds(seconds) = &mut inner.node
            && inner.literal
        {
            *seconds = if negative { -*seconds } else { *seconds };
            inner.pos.start = sign.start;
            return Ok(inner);
        }
        if negative {
            inner.height += 1;
            self.check_depth(inner.height)?;
            inner.node = DurationNode::Negate(Box::new(inner.node));
            inner.pos.start = sign.start;
        }
        Ok(inner)
    }

    /// A duration after `offset`. Unlike between brackets, it ends after a literal or a call, so
    /// that `x offset 5m - 8` subtracts from `x`; an expression needs parentheses.
    pub(super) fn offset_duration(&mut self) -> Outcome<Duration> {
        let token = self.peek()?;
        match token.kind {
            Kind::LeftParen => {
                let inner = self.duration_paren()?;
                // Prometheus' grammar continues here: the offset of `x offset (5m) - 8` is 5m - 8.
                self.duration_operators(inner, 0)
            }
            Kind::Op(BinaryOp::Add | BinaryOp::Sub) => {
                self.take()?;
                let next = self.peek()?;
                match next.kind {
                    Kind::Number | Kind::Duration => {
                        self.take()?;
                        self.duration_literal(next, Some(token))
                    }
                    Kind::LeftParen => {
                        self.take()?;
                        let inner = self.duration(0)?;
                        self.expect(Kind::RightParen)?;
                        let start = inner.pos.start;
                        self.signed(token, inner.wrapped(start))
                    }
                    Kind::Key(key) => {
                        let mut inner = self.duration_call(next, key)?;
                        inner.pos.start = token.start;
                        self.signed(token, inner)
                    }
                    _ => {
                        let inner = self.duration(UNARY)?;
                        let left = self.signed(token, inner)?;
                        self.duration_operators(left, 0)
                    }
                }
            }
            _ => self.duration_operand(),
        }
    }
}
