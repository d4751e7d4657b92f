//! Binary operators: the right side, and the modifiers that say how series are paired.

use super::super::token::{Keyword, Kind};
use super::super::{BinaryOp, Cardinality, Expr, ExprKind, Matching};
use super::{Outcome, Parser, Pos, right_precedence};

impl Parser<'_> {
    /// The rest of a binary expression, after its left side and operator.
    #[inline(never)]
    pub(super) fn binary(&mut self, left: Expr, op: BinaryOp) -> Outcome<Expr> {
        let left_height = self.height;
        let left = Box::new(left);
        let (return_bool, matching) = self.binary_modifiers()?;
        let matching = Some(matching);
        let right = Box::new(self.expr(right_precedence(op))?);
        self.grow(left_height.max(self.height))?;
        let pos = Pos { start: left.pos.start, end: right.pos.end };
        Ok(Expr { pos, kind: ExprKind::Binary { op, left, right, return_bool, matching } })
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
