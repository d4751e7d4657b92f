//! Chains of binary operators, and the modifiers that say how series are paired.

use super::super::token::{Keyword, Kind};
use super::super::{BinaryOp, Cardinality, Expr, ExprKind, Matching, Operation};
use super::{Outcome, Parser, Pos, precedence};

impl Parser<'_> {
    /// The chain of `first` and the operators after it that have at least precedence `least`.
    #[inline(never)]
    pub(super) fn operators(&mut self, first: Expr, least: u8) -> Outcome<Expr> {
        // `^` binds tighter than all others, so its chain is the first operand of theirs.
        let first = self.run(first, precedence(BinaryOp::Pow))?;
        self.run(first, least)
    }

    /// The chain of `first` and operators, which are all `^` or none is: where `least` allows
    /// others, a `^` belongs to an operand.
    fn run(&mut self, first: Expr, least: u8) -> Outcome<Expr> {
        let mut height = self.height;
        let mut rest = Vec::new();
        while let Some(op) = self.operator(least)? {
            self.take()?;
            rest.push(self.operation(op)?);
            height = height.max(self.height);
        }
        self.chain(first, rest, height)
    }

    /// The rest of an operation, after its operator.
    #[inline(never)]
    fn operation(&mut self, op: BinaryOp) -> Outcome<Operation> {
        self.count_operator()?;
        let (return_bool, matching) = self.binary_modifiers()?;
        let operand = if op == BinaryOp::Pow {
            self.enter()?;
            let operand = self.operand()?;
            self.depth -= 1;
            operand
        } else {
            self.expr(precedence(op) + 1)?
        };
        Ok(Operation { op, return_bool, matching: Some(matching), operand })
    }

    /// The chain of `first` and `rest`, whose tallest operand has height `below`.
    #[inline(never)]
    fn chain(&mut self, first: Expr, rest: Vec<Operation>, below: usize) -> Outcome<Expr> {
        let Some(last) = rest.last() else {
            self.height = below;
            return Ok(first);
        };
        let pos = Pos { start: first.pos.start, end: last.operand.pos.end };
        self.grow(below)?;
        Ok(Expr { pos, kind: ExprKind::Binary { first: Box::new(first), rest } })
    }

    /// `bool`, `on`, `group_left`, `fill` and so on, in the only order allowed.
    #[inline(never)]
    fn binary_modifiers(&mut self) -> Outcome<(bool, Matching)> {
        let mut matching = Matching {
            card: Cardinality::OneToOne,
            labels: Vec::new(),
            on: false,
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        let return_bool = self.take_if(Kind::Key(Keyword::Bool))?;
        if let Kind::Key(key @ (Keyword::On | Keyword::Ignoring)) = self.peek()?.kind {
            self.take()?;
            matching.on = key == Keyword::On;
            matching.labels = self.grouping()?;
            self.group_modifier(&mut matching)?;
        }
        self.fill_modifiers(&mut matching)?;
        Ok((return_bool, matching))
    }

    fn group_modifier(&mut self, matching: &mut Matching) -> Outcome<()> {
        matching.card = match self.peek()?.kind {
            Kind::Key(Keyword::GroupLeft) => Cardinality::ManyToOne,
            Kind::Key(Keyword::GroupRight) => Cardinality::OneToMany,
            _ => return Ok(()),
        };
        self.take()?;
        let next = self.peek()?.kind;
        if next == Kind::LeftParen || !next.begins_expr() {
            matching.include = self.grouping()?;
        }
        Ok(())
    }

    fn fill_modifiers(&mut self, matching: &mut Matching) -> Outcome<()> {
        let Kind::Key(first) = self.peek()?.kind else { return Ok(()) };
        let other = match first {
            Keyword::Fill => None,
            Keyword::FillLeft => Some(Keyword::FillRight),
            Keyword::FillRight => Some(Keyword::FillLeft),
            _ => return Ok(()),
        };
        let mut fill = |key: Keyword, value: f64| {
            if key != Keyword::FillRight {
                matching.fill_left = Some(value);
            }
            if key != Keyword::FillLeft {
                matching.fill_right = Some(value);
            }
        };
        self.take()?;
        fill(first, self.fill_value()?);
        if let Some(other) = other
            && self.take_if(Kind::Key(other))?
        {
            fill(other, self.fill_value()?);
        }
        Ok(())
    }

    fn fill_value(&mut self) -> Outcome<f64> {
        self.expect(Kind::LeftParen)?;
        let value = self.signed_number()?;
        self.expect(Kind::RightParen)?;
        Ok(value)
    }
}
