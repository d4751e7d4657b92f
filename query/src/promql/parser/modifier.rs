//! Modifiers after an expression: ranges, subqueries, `offset`, `@`.

use super::super::token::{Keyword, Kind, Token};
use super::super::{At, DurationExpr, Expr, ExprKind};
use super::{Outcome, Parser, Pos, pos_of, said, unexpected};

/// Takes a node's place while the node is moved into another.
const NOTHING: ExprKind = ExprKind::Number(0.0);
const ANY_DURATION: &str = "number, duration, step(), or range()";

impl Parser<'_> {
    /// Parses one modifier of `expr`; false if there is none.
    pub(super) fn modifier(&mut self, expr: &mut Expr) -> Outcome<bool> {
        let token = self.peek()?;
        match token.kind {
            Kind::LeftBracket => self.range(expr)?,
            Kind::At => self.at(expr)?,
            Kind::Key(Keyword::Offset) => self.offset(expr)?,
            Kind::Key(Keyword::Anchored | Keyword::Smoothed) => return self.no_modifier(token),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn no_modifier(&self, token: Token) -> Outcome<bool> {
        let word = token.text(self.text);
        said(pos_of(token), format!("m3ring does not have the {word} modifier yet"))
    }

    #[inline(never)]
    fn range(&mut self, expr: &mut Expr) -> Outcome<()> {
        let open = self.take()?;
        let range = self.duration(0);
        let range = self.within(range, "subquery or range selector", ANY_DURATION)?;
        let token = self.peek()?;
        let range = range.positive()?;
        match token.kind {
            Kind::RightBracket => {
                self.take()?;
                self.matrix(expr, open, range)
            }
            Kind::Colon => {
                self.take()?;
                self.subquery(expr, range)
            }
            _ => self.within(unexpected(token), "subquery or range", "\":\" or \"]\""),
        }
    }

    fn matrix(&mut self, expr: &mut Expr, open: Token, range: DurationExpr) -> Outcome<()> {
        let ExprKind::Vector(selector) = &expr.kind else {
            return said(self.pos_from(open.start), "ranges only allowed for vector selectors");
        };
        if selector.offset.is_some() {
            return said(self.pos_from(open.start), "no offset modifiers allowed before range");
        }
        if selector.at.is_some() {
            return said(self.pos_from(open.start), "no @ modifiers allowed before range");
        }
        if let ExprKind::Vector(selector) = std::mem::replace(&mut expr.kind, NOTHING) {
            expr.kind = ExprKind::Matrix { selector, range };
        }
        expr.pos.end = self.end;
        Ok(())
    }

    fn subquery(&mut self, expr: &mut Expr, range: DurationExpr) -> Outcome<()> {
        const PLACE: &str = "subquery selector";
        let mut step = None;
        if !self.take_if(Kind::RightBracket)? {
            let duration = self.duration(0);
            let duration =
                self.within(duration, PLACE, "number, duration, step(), range(), or \"]\"")?;
            let close = self.peek();
            step = Some(duration.positive()?);
            close?;
            let close = self.expect(Kind::RightBracket);
            self.within(close, PLACE, "\"]\"")?;
        }
        self.grow(self.height)?;
        let kind = std::mem::replace(&mut expr.kind, NOTHING);
        let inner = Box::new(Expr { pos: expr.pos, kind });
        expr.pos = self.pos_from(inner.pos.start);
        expr.kind = ExprKind::Subquery { expr: inner, range, step, offset: None, at: None };
        Ok(())
    }

    #[inline(never)]
    fn offset(&mut self, expr: &mut Expr) -> Outcome<()> {
        self.take()?;
        let offset = self.offset_duration();
        let offset = self.within(offset, "offset", ANY_DURATION)?.any();
        let pos = expr.pos;
        let slot = match &mut expr.kind {
            ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => &mut selector.offset,
            ExprKind::Subquery { offset, .. } => offset,
            _ => {
                return said(
                    pos,
                    "offset modifier must be preceded by an instant vector selector or range \
                     vector selector or a subquery",
                );
            }
        };
        if slot.is_some() {
            return said(pos, "offset may not be set multiple times");
        }
        // As in Prometheus, a zero offset counts as none, so another one may follow.
        *slot = Some(offset).filter(|offset| *offset != DurationExpr::Ms(0));
        expr.pos.end = self.end;
        Ok(())
    }

    #[inline(never)]
    fn at(&mut self, expr: &mut Expr) -> Outcome<()> {
        self.take()?;
        let time = self.at_time();
        let at = match self.within(time, "@", "timestamp")? {
            Time::Seconds(seconds) => At::Ms(at_ms(seconds, expr.pos)?),
            Time::Bound(at) => at,
        };
        let pos = expr.pos;
        let slot = match &mut expr.kind {
            ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => &mut selector.at,
            ExprKind::Subquery { at, .. } => at,
            _ => {
                return said(
                    pos,
                    "@ modifier must be preceded by an instant vector selector or range vector \
                     selector or a subquery",
                );
            }
        };
        if slot.is_some() {
            return said(pos, "@ <timestamp> may not be set multiple times");
        }
        *slot = Some(at);
        expr.pos.end = self.end;
        Ok(())
    }

    fn at_time(&mut self) -> Outcome<Time> {
        let bound = match self.peek()?.kind {
            Kind::Key(Keyword::Start) => At::Start,
            Kind::Key(Keyword::End) => At::End,
            _ => return Ok(Time::Seconds(self.signed_number()?)),
        };
        self.take()?;
        self.expect(Kind::LeftParen)?;
        self.expect(Kind::RightParen)?;
        Ok(Time::Bound(bound))
    }
}

/// The time after `@`.
enum Time {
    /// A number of seconds.
    Seconds(f64),
    /// `start()` or `end()`.
    Bound(At),
}

fn at_ms(seconds: f64, pos: Pos) -> Outcome<i64> {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if seconds > -BOUND && seconds < BOUND {
        // The cast returns the nearest value that milliseconds can express.
        return Ok((seconds * 1e3).round() as i64);
    }
    let shown = match seconds {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ if seconds.is_nan() => "NaN".to_owned(),
        _ => format!("{seconds:.6}"),
    };
    said(pos, format!("timestamp out of bounds for @ modifier: {shown}"))
}
