//! Reads a query's text into a syntax tree: recursive descent, binary operators by precedence.
//!
//! [`parse`] reads an expression and checks its types, [`parse_selector`] reads what `match[]`
//! takes. The grammar and the messages are Prometheus 3.14's. Prometheus' parser is generated, and
//! what it says about a word it does not expect depends on the innermost construct that knows how
//! to complain: a [`Failure::Unexpected`] therefore travels outwards until such a construct adds
//! its words. Of several mistakes the first is reported; so that it is the same one as
//! Prometheus', a word is read only when the decision needs it.
//!
//! Always holds: no recursion and no tree is deeper than [`QUERY_DEPTH_MAX`], so neither parsing
//! nor walking nor dropping a tree can exhaust a stack.

mod duration;
mod modifier;
mod selector;

use super::check::check;
use super::functions::function;
use super::lexer::Lexer;
use super::pattern;
use super::token::{Keyword, Kind, Token};
use super::{
    AggregateOp, BinaryOp, Cardinality, Expr, ExprKind, Matcher, Matching, ParseError, Pos,
};
use super::{number, quote};
use m3_metric::limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX};

/// Reads a query and checks it: argument counts, types, matchers.
///
/// # Errors
/// The first mistake, in Prometheus' words, or the limit that the text exceeds.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    check_length(text)?;
    let mut parser = Parser::new(text);
    let result = parser.whole_expr().map_err(|failure| failure.into_error(text));
    let mut expr = result?;
    check(text, &parser.match_all, &mut expr)?;
    Ok(expr)
}

/// Reads the selector of a `match[]` parameter: a name, matchers, or both.
///
/// # Errors
/// The first mistake, in Prometheus' words; a selector whose matchers all match nothing-at-all,
/// which would select every series.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    check_length(text)?;
    let mut parser = Parser::new(text);
    let matchers = parser.whole_selector().map_err(|failure| failure.into_error(text))?;
    if matchers.iter().any(|matcher| pattern::matches_empty(matcher) == Ok(false)) {
        return Ok(matchers);
    }
    Err(ParseError::whole("match[] must contain at least one non-empty matcher"))
}

fn check_length(text: &str) -> Result<(), ParseError> {
    if text.len() <= QUERY_BYTES_MAX {
        return Ok(());
    }
    let message =
        format!("the query is too long: {} bytes, the limit is {QUERY_BYTES_MAX}", text.len());
    Err(ParseError::new(text, Pos::default(), message))
}

/// Why the parser stopped.
#[derive(Debug)]
enum Failure {
    /// A word that may not stand where it does; nobody has said yet what would be right.
    Unexpected(Token),
    /// The message is complete.
    Said { pos: Pos, message: String },
}

/// Boxed, so that results stay small on a deep stack.
type Outcome<T> = Result<T, Box<Failure>>;

impl Failure {
    fn into_error(self, text: &str) -> ParseError {
        match self {
            Self::Unexpected(token) => {
                ParseError::new(text, pos_of(token), format!("unexpected {}", token.describe(text)))
            }
            Self::Said { pos, message } => ParseError::new(text, pos, message),
        }
    }
}

fn unexpected<T>(token: Token) -> Outcome<T> {
    Err(Box::new(Failure::Unexpected(token)))
}

fn said<T>(pos: Pos, message: impl Into<String>) -> Outcome<T> {
    Err(Box::new(Failure::Said { pos, message: message.into() }))
}

fn pos_of(token: Token) -> Pos {
    Pos { start: token.start, end: token.end }
}

/// Precedence of unary signs: they bind tighter than `+`, weaker than `^`.
const UNARY: u8 = 6;

/// How tight an operator binds.
fn precedence(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And | BinaryOp::Unless => 2,
        BinaryOp::Add | BinaryOp::Sub => 4,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => 5,
        BinaryOp::Pow => 6,
        _ => 3,
    }
}

/// The least precedence of what may stand to the right of `op`.
fn right_precedence(op: BinaryOp) -> u8 {
    precedence(op) + u8::from(op != BinaryOp::Pow)
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    ahead: Option<Token>,
    /// The end of the last word read.
    end: u32,
    /// How many calls deep the parser is.
    depth: usize,
    /// The height of the tree that the last call gave.
    height: usize,
    /// Where the selectors stand that match series without any label.
    match_all: Vec<u32>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            lexer: Lexer::new(text),
            ahead: None,
            end: 0,
            depth: 0,
            height: 0,
            match_all: Vec::new(),
        }
    }

    /// The next word, which stays.
    fn peek(&mut self) -> Outcome<Token> {
        if let Some(token) = self.ahead {
            return Ok(token);
        }
        match self.lexer.next() {
            Ok(token) => {
                self.ahead = Some(token);
                Ok(token)
            }
            Err(error) => {
                let end = self.text.len() as u32;
                said(Pos { start: error.start, end }, error.message)
            }
        }
    }

    /// Takes the word that [`Self::peek`] showed.
    fn take(&mut self) -> Outcome<Token> {
        let token = self.peek()?;
        self.ahead = None;
        self.end = token.end;
        Ok(token)
    }

    fn take_if(&mut self, kind: Kind) -> Outcome<bool> {
        let found = self.peek()?.kind == kind;
        if found {
            self.take()?;
        }
        Ok(found)
    }

    fn expect(&mut self, kind: Kind) -> Outcome<Token> {
        let token = self.peek()?;
        if token.kind == kind { self.take() } else { unexpected(token) }
    }

    /// Adds to an unexpected word where it stands and what would be right there.
    fn within<T>(&self, outcome: Outcome<T>, place: &str, expected: &str) -> Outcome<T> {
        outcome.map_err(|failure| match *failure {
            Failure::Unexpected(token) => {
                let mut message = format!("unexpected {} in {place}", token.describe(self.text));
                if !expected.is_empty() {
                    message.push_str(", expected ");
                    message.push_str(expected);
                }
                Box::new(Failure::Said { pos: pos_of(token), message })
            }
            said @ Failure::Said { .. } => Box::new(said),
        })
    }

    fn pos_from(&self, start: u32) -> Pos {
        Pos { start, end: self.end }
    }

    fn enter(&mut self) -> Outcome<()> {
        self.depth += 1;
        self.check_depth(self.depth)
    }

    /// Notes the height of a tree whose tallest child has height `below`.
    fn grow(&mut self, below: usize) -> Outcome<()> {
        self.height = below + 1;
        self.check_depth(self.height)
    }

    fn check_depth(&self, depth: usize) -> Outcome<()> {
        if depth <= QUERY_DEPTH_MAX {
            return Ok(());
        }
        let message =
            format!("the query is nested too deeply: the limit is {QUERY_DEPTH_MAX} levels");
        said(Pos { start: self.end, end: self.end }, message)
    }

    fn whole_expr(&mut self) -> Outcome<Expr> {
        if self.peek()?.kind == Kind::End {
            return said(Pos::default(), "no expression found in input");
        }
        let expr = self.expr(0)?;
        self.expect(Kind::End)?;
        Ok(expr)
    }

    fn whole_selector(&mut self) -> Outcome<Vec<Matcher>> {
        let token = self.peek()?;
        let selector = if token.kind == Kind::LeftBrace {
            self.selector(None)?
        } else if token.kind.names_metric() {
            self.take()?;
            self.selector(Some(token))?
        } else {
            return unexpected(token);
        };
        self.expect(Kind::End)?;
        Ok(selector.matchers)
    }

    /// An expression whose binary operators all have at least precedence `least`.
    fn expr(&mut self, least: u8) -> Outcome<Expr> {
        self.enter()?;
        let mut left = self.operand()?;
        loop {
            let token = self.peek()?;
            let op = match token.kind {
                Kind::Op(op) if precedence(op) >= least => op,
                Kind::TrimUpper | Kind::TrimLower if precedence(BinaryOp::Lss) >= least => {
                    return self.no_trim(token);
                }
                _ => break,
            };
            self.take()?;
            left = self.binary(left, op)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    #[inline(never)]
    fn no_trim(&self, token: Token) -> Outcome<Expr> {
        said(
            pos_of(token),
            format!(
                "the operator {} trims native histograms, which m3ring does not have yet",
                quote::quote(token.text(self.text))
            ),
        )
    }

    /// The rest of a binary expression whose left side and operator have been read.
    #[inline(never)]
    fn binary(&mut self, left: Expr, op: BinaryOp) -> Outcome<Expr> {
        let left_height = self.height;
        let left = Box::new(left);
        let (return_bool, matching) = self.binary_modifiers()?;
        let matching = Some(matching);
        let right = Box::new(self.expr(right_precedence(op))?);
        self.grow(left_height.max(self.height))?;
        let pos = Pos { start: left.pos.start, end: right.pos.end };
        Ok(Expr { pos, kind: ExprKind::Binary { op, left, right, return_bool, matching } })
    }

    /// `bool`, `on`, `group_left`, `fill` and their like, in the only order they may have.
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

    /// A number or duration in seconds, with or without a sign.
    fn signed_number(&mut self) -> Outcome<f64> {
        let token = self.peek()?;
        let sign = match token.kind {
            Kind::Op(BinaryOp::Add) => Some(1.0),
            Kind::Op(BinaryOp::Sub) => Some(-1.0),
            _ => None,
        };
        if sign.is_some() {
            self.take()?;
        }
        let token = self.peek()?;
        if !matches!(token.kind, Kind::Number | Kind::Duration) {
            return unexpected(token);
        }
        self.take()?;
        Ok(self.number(token)? * sign.unwrap_or(1.0))
    }

    /// The value of a number or duration, the latter in seconds.
    fn number(&self, token: Token) -> Outcome<f64> {
        let word = token.text(self.text);
        let value = if token.kind == Kind::Duration {
            super::duration::parse_seconds(word).map_err(|error| error.to_string())
        } else {
            number::parse_number(word)
        };
        value.or_else(|message| said(pos_of(token), message))
    }

    /// What an operator stands between: a sign and its operand, or a primary expression and the
    /// ranges, offsets and `@` behind it.
    fn operand(&mut self) -> Outcome<Expr> {
        let token = self.peek()?;
        if let Kind::Op(BinaryOp::Add | BinaryOp::Sub) = token.kind {
            return self.unary(token);
        }
        let mut expr = self.primary(token)?;
        while self.modifier(&mut expr)? {}
        Ok(expr)
    }

    #[inline(never)]
    fn unary(&mut self, sign: Token) -> Outcome<Expr> {
        self.take()?;
        let negative = sign.kind == Kind::Op(BinaryOp::Sub);
        let mut expr = self.expr(UNARY)?;
        let pos = Pos { start: sign.start, end: expr.pos.end };
        if let ExprKind::Number(value) = &mut expr.kind {
            *value = if negative { -*value } else { *value };
            expr.pos = pos;
            return Ok(expr);
        }
        self.grow(self.height)?;
        Ok(Expr { pos, kind: ExprKind::Unary { negative, expr: Box::new(expr) } })
    }

    fn primary(&mut self, token: Token) -> Outcome<Expr> {
        self.height = 1;
        match token.kind {
            Kind::LeftParen => self.paren(token),
            Kind::Number | Kind::Duration | Kind::String => self.literal(token),
            Kind::LeftBrace => self.vector(None),
            kind if kind.names_metric() => self.named(token),
            _ => unexpected(token),
        }
    }

    #[inline(never)]
    fn paren(&mut self, open: Token) -> Outcome<Expr> {
        self.take()?;
        let inner = Box::new(self.expr(0)?);
        self.expect(Kind::RightParen)?;
        self.grow(self.height)?;
        Ok(Expr { pos: self.pos_from(open.start), kind: ExprKind::Paren(inner) })
    }

    #[inline(never)]
    fn literal(&mut self, token: Token) -> Outcome<Expr> {
        self.take()?;
        let kind = if token.kind == Kind::String {
            ExprKind::String(self.unquote(token))
        } else {
            ExprKind::Number(self.number(token)?)
        };
        Ok(Expr { pos: pos_of(token), kind })
    }

    fn unquote(&self, token: Token) -> String {
        quote::unquote(token.text(self.text))
    }

    /// What begins with a name: an aggregation, a call, or a selector.
    fn named(&mut self, name: Token) -> Outcome<Expr> {
        use Keyword::{End, MaxOf, MinOf, Range, Start, Step};
        self.take()?;
        let next = self.peek()?.kind;
        match name.kind {
            Kind::Aggregate(op)
                if matches!(next, Kind::LeftParen | Kind::Key(Keyword::By | Keyword::Without)) =>
            {
                let outcome = self.aggregate(name, op);
                self.within(outcome, "aggregation", "")
            }
            Kind::Identifier | Kind::Key(Start | End | Step | Range | MaxOf | MinOf)
                if next == Kind::LeftParen =>
            {
                self.call(name)
            }
            _ => self.vector(Some(name)),
        }
    }

    #[inline(never)]
    fn call(&mut self, name: Token) -> Outcome<Expr> {
        let args = self.arguments()?;
        let word = name.text(self.text);
        let Some(function) = function(word) else {
            let message = format!("unknown function with name {}", quote::quote(word));
            return said(pos_of(name), message);
        };
        self.grow(self.height)?;
        let kind = ExprKind::Call { name: function.name, name_pos: pos_of(name), args };
        Ok(Expr { pos: self.pos_from(name.start), kind })
    }

    /// A list of arguments in parentheses. The height becomes the tallest argument's.
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
    fn aggregate(&mut self, name: Token, op: AggregateOp) -> Outcome<Expr> {
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

    /// `by (...)` or `without (...)`: the labels, and whether it is the latter.
    fn aggregate_modifier(&mut self) -> Outcome<Option<(Vec<String>, bool)>> {
        let Kind::Key(key @ (Keyword::By | Keyword::Without)) = self.peek()?.kind else {
            return Ok(None);
        };
        self.take()?;
        Ok(Some((self.grouping()?, key == Keyword::Without)))
    }

    /// A list of label names in parentheses.
    fn grouping(&mut self) -> Outcome<Vec<String>> {
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
            if label.is_empty() || quote::has_raw_bytes(&label) {
                let message =
                    format!("invalid label name for grouping: {}", quote::quote(&label));
                return said(pos_of(token), message);
            }
            return Ok(label);
        }
        if !token.kind.names_label() {
            return unexpected(token);
        }
        self.take()?;
        Ok(token.text(self.text).to_owned())
    }

    #[inline(never)]
    fn vector(&mut self, name: Option<Token>) -> Outcome<Expr> {
        let selector = self.selector(name)?;
        Ok(Expr { pos: selector.pos, kind: ExprKind::Vector(selector) })
    }
}
