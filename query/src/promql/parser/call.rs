//! Constructs with arguments in parentheses: functions, and aggregations with their labels.

use super::super::functions::function;
use super::super::quote::quote;
use super::super::token::{Keyword, Kind, Token};
use super::super::{AggregateOp, Expr, ExprKind};
use super::{Outcome, Parser, pos_of, said, unexpected};

impl Parser<'_> {
    #[inline(never)]
    pub(super) fn call(&mut self, name: Token) -> Outcome<Expr> {
        let args = self.arguments()?;
        let word = name.text(self.text);
        let Some(function) = function(word) else {
            let message = format!("unknown function with name {}", quote(word));
            return said(pos_of(name), message);
        };
        self.grow(self.height)?;
        let kind = ExprKind::Call { name: function.name, name_pos: pos_of(name), args };
        Ok(Expr { pos: self.pos_from(name.start), kind })
    }

    /// A list of arguments in parentheses. The height becomes that of the tallest argument.
    fn arguments(&mut self) -> Outcome<Vec<Expr>> {
        self.expect(Kind::LeftParen)?;
        let mut args = Vec::new();
        let mut height = 0;
        if !self.take_if(Kind::RightParen)? {
            loop {
                args.push(self.expr(0)?);
                height = height.max(self.height);
                let token = self.peek()?;
                match token.kind {
                    Kind::Comma => self.take()?,
                    Kind::RightParen => break,
                    _ => return unexpected(token),
                };
                if !self.peek()?.kind.begins_expr() {
                    let message = "trailing commas not allowed in function call args";
                    return said(pos_of(token), message);
                }
            }
            self.take()?;
        }
        self.height = height;
        Ok(args)
    }

    #[inline(never)]
    pub(super) fn aggregate(&mut self, name: Token, op: AggregateOp) -> Outcome<Expr> {
        let mut modifier = self.aggregate_modifier()?;
        let mut args = self.arguments()?;
        let height = self.height;
        let mut pos = self.pos_from(name.start);
        if modifier.is_none() {
            modifier = self.aggregate_modifier()?;
            if modifier.is_some() {
                pos = self.pos_from(name.start);
            }
        }
        let (grouping, without) = modifier.unwrap_or_default();
        if args.is_empty() {
            return said(pos, "no arguments for aggregate expression provided");
        }
        let wanted = 1 + usize::from(op.takes_param());
        if args.len() != wanted {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, \
                 got {}",
                args.len()
            );
            return said(pos, message);
        }
        let expr = Box::new(args.pop().expect("it has at least one argument"));
        let param = args.pop().map(Box::new);
        self.grow(height)?;
        Ok(Expr { pos, kind: ExprKind::Aggregate { op, expr, param, grouping, without } })
    }

    /// `by (...)` or `without (...)`: the labels, and whether it is `without`.
    fn aggregate_modifier(&mut self) -> Outcome<Option<(Vec<String>, bool)>> {
        let Kind::Key(key @ (Keyword::By | Keyword::Without)) = self.peek()?.kind else {
            return Ok(None);
        };
        self.take()?;
        Ok(Some((self.grouping()?, key == Keyword::Without)))
    }

    /// A list of label names in parentheses.
    pub(super) fn grouping(&mut self) -> Outcome<Vec<String>> {
        const PLACE: &str = "grouping opts";
        let open = self.expect(Kind::LeftParen);
        self.within(open, PLACE, "\"(\"")?;
        let mut labels = Vec::new();
        while !self.take_if(Kind::RightParen)? {
            let label = self.grouping_label();
            labels.push(self.within(label, PLACE, "label")?);
            if !self.take_if(Kind::Comma)? {
                let close = self.expect(Kind::RightParen);
                self.within(close, PLACE, "\",\" or \")\"")?;
                break;
            }
        }
        Ok(labels)
    }

    fn grouping_label(&mut self) -> Outcome<String> {
        let token = self.peek()?;
        if token.kind == Kind::String {
            self.take()?;
            let label = self.unquote(token);
            if label.as_label().is_empty() {
                let message = format!("invalid label name for grouping: {}", label.quoted());
                return said(pos_of(token), message);
            }
            return Ok(label.to_string());
        }
        if !token.kind.names_label() {
            return unexpected(token);
        }
        self.take()?;
        Ok(token.text(self.text).to_owned())
    }
}
