//! Selectors: a metric's name and the matchers between braces.

use super::super::token::{Kind, Token};
use super::super::{BinaryOp, LabelMatcher, Literal, VectorSelector, pattern};
use super::{Outcome, Parser, Pos, pos_of, said, unexpected};
use m3_metric::MatchOp;
use m3_metric::labels::METRIC_NAME;

const PLACE: &str = "label matching";

impl Parser<'_> {
    /// A selector, after its name, if it has one before the braces.
    pub(super) fn selector(&mut self, name: Option<Token>) -> Outcome<VectorSelector> {
        let mut metric_name = name.map(|token| Literal::from(token.text(self.text)));
        let mut matchers: Vec<_> = metric_name.iter().cloned().map(name_matcher).collect();
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
    fn matcher(&mut self) -> Outcome<(LabelMatcher, bool, bool)> {
        let label = self.peek()?;
        let name = match label.kind {
            Kind::Identifier => {
                self.take()?;
                label.text(self.text).into()
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
                let takes_empty = name == *"";
                return Ok((name_matcher(name), true, takes_empty));
            }
            _ => return self.within(unexpected(token), PLACE, "label matching operator"),
        };
        self.take()?;
        let value = self.expect(Kind::String);
        let value = self.within(value, PLACE, "string")?;
        let matcher = LabelMatcher { op, name, value: self.unquote(value) };
        let pos = Pos { start: label.start, end: pos_of(value).end };
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex) {
            let Some(pattern) = matcher.value.as_str() else {
                let pattern = matcher.value;
                return said(pos, format!("error parsing regexp: invalid UTF-8: `{pattern}`"));
            };
            self.weigh_pattern(pattern)?;
        }
        match pattern::matches_empty(&matcher.to_matcher()) {
            Ok(takes_empty) => Ok((matcher, false, takes_empty)),
            Err(message) => said(pos, message),
        }
    }
}

/// The matcher of a metric's name.
fn name_matcher(name: Literal) -> LabelMatcher {
    LabelMatcher { op: MatchOp::Equal, name: METRIC_NAME.into(), value: name }
}
