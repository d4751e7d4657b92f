//! Selectors: a metric's name and the matchers between braces.

use super::super::token::{Kind, Token};
use super::super::{BinaryOp, MatchOp, Matcher, VectorSelector, pattern};
use super::{Outcome, Parser, Pos, pos_of, said, unexpected};
use m3_metric::labels::METRIC_NAME;

const PLACE: &str = "label matching";

impl Parser<'_> {
    /// A selector, after its name, if it has one before the braces.
    pub(super) fn selector(&mut self, name: Option<Token>) -> Outcome<VectorSelector> {
        let mut metric_name = name.map(|token| token.text(self.text).to_owned());
        let mut matchers: Vec<_> = metric_name
            .iter()
            .map(|name| Matcher::new(MatchOp::Equal, METRIC_NAME, name))
            .collect();
        self.count_selector()?;
        let mut selects = name.is_some();
        let start = match name {
            Some(token) => token.start,
            None => self.peek()?.start,
        };
        let open = self.peek()?;
        if open.kind == Kind::LeftBrace {
            self.take()?;
            while !self.take_if(Kind::RightBrace)? {
                let (matcher, is_name, takes_empty) = self.matcher()?;
                selects |= !takes_empty;
                if is_name && metric_name.is_none() {
                    metric_name = Some(matcher.value.clone());
                }
                matchers.push(matcher);
                if !self.take_if(Kind::Comma)? {
                    let close = self.expect(Kind::RightBrace);
                    self.within(close, PLACE, "\",\" or \"}\"")?;
                    break;
                }
            }
        }
        if !selects {
            self.match_all.push(start);
        }
        let pos = self.pos_from(start);
        Ok(VectorSelector { pos, matchers, metric_name, offset: None, at: None })
    }

    /// One matcher, whether it is just a quoted metric name, and whether it matches series without
    /// the label.
    fn matcher(&mut self) -> Outcome<(Matcher, bool, bool)> {
        let label = self.peek()?;
        let name = match label.kind {
            Kind::Identifier => {
                self.take()?;
                label.text(self.text).to_owned()
            }
            Kind::String => {
                self.take()?;
                self.unquote(label)
            }
            _ => return self.within(unexpected(label), PLACE, "identifier or \"}\""),
        };
        let token = self.peek()?;
        let op = match token.kind {
            Kind::Equal => MatchOp::Equal,
            Kind::Op(BinaryOp::Neq) => MatchOp::NotEqual,
            Kind::EqualRegex => MatchOp::Regex,
            Kind::NotEqualRegex => MatchOp::NotRegex,
            _ if label.kind == Kind::String => {
                let takes_empty = name.is_empty();
                return Ok((Matcher::new(MatchOp::Equal, METRIC_NAME, name), true, takes_empty));
            }
            _ => return self.within(unexpected(token), PLACE, "label matching operator"),
        };
        self.take()?;
        let value = self.expect(Kind::String);
        let value = self.within(value, PLACE, "string")?;
        let matcher = Matcher::new(op, name, self.unquote(value));
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex) {
            self.weigh_pattern(&matcher.value)?;
        }
        match pattern::matches_empty(&matcher) {
            Ok(takes_empty) => Ok((matcher, false, takes_empty)),
            Err(message) => said(Pos { start: label.start, end: pos_of(value).end }, message),
        }
    }
}
