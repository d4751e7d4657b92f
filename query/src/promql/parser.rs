//! Parses a query into a syntax tree: recursive descent, with binary operators by precedence.
//!
//! [`parse`] parses and checks an expression; [`parse_selector`] parses the value of `match[]`.
//! Grammar and messages are those of Prometheus 3.14. Its parser is generated, and its message for
//! an unexpected token depends on the innermost construct that has a message. So a
//! [`Failure::Unexpected`] travels outwards until such a construct adds its text. Of several
//! mistakes the first is reported. To report the same one as Prometheus, a token is read only when
//! a decision needs it.
//!
//! Always holds: neither the recursion nor the tree is deeper than [`QUERY_DEPTH_MAX`], so parsing,
//! walking or dropping a tree cannot overflow the stack.

mod binary;
mod call;
mod duration;
mod modifier;
mod selector;

use super::check::check;
use super::duration::parse_seconds;
use super::lexer::Lexer;
use super::number::parse_number;
use super::pattern;
use super::quote::{quote, unquote};
use super::token::{Keyword, Kind, Token};
use super::{BinaryOp, Expr, ExprKind, Literal, Matcher, ParseError, Pos};
use m3_metric::limits::{
    PATTERNS_COST_MAX, QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_OPERATORS_MAX, QUERY_SELECTORS_MAX,
};

/// Parses a query and checks it: argument counts, types, matchers.
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

/// Parses the selector of a `match[]` parameter: a name, matchers, or both.
///
/// # Errors
/// The first mistake, in Prometheus' words; also a selector whose matchers all accept an empty
/// value, since it would select every series.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let matchers = parse_any_selector(text)?;
    if matchers.iter().any(|matcher| pattern::matches_empty(matcher) == Ok(false)) {
        return Ok(matchers);
    }
    Err(ParseError::whole("match[] must contain at least one non-empty matcher"))
}

/// As [`parse_selector`], but the selector may select every series.
///
/// # Errors
/// The first mistake, in Prometheus' words.
pub fn parse_any_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    check_length(text)?;
    let mut parser = Parser::new(text);
    parser.whole_selector().map_err(|failure| failure.into_error(text))
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
    /// A token that is not allowed there; no construct has added its text yet.
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

/// Precedence of unary signs: they bind tighter than `+` and weaker than `^`.
const UNARY: u8 = 6;

/// How tightly an operator binds.
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

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    ahead: Option<Token>,
    /// The end of the last token.
    end: u32,
    /// The depth of the recursion.
    depth: usize,
    /// The height of the tree that the last call returned.
    height: usize,
    /// The number of selectors so far.
    selectors: usize,
    /// The number of binary operators so far.
    operators: usize,
    /// The cost of the patterns so far.
    patterns: u64,
    /// Positions of selectors that match series without labels.
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
            selectors: 0,
            operators: 0,
            patterns: 0,
            match_all: Vec::new(),
        }
    }

    /// The next token, without taking it.
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

    /// Takes the token that [`Self::peek`] returned.
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

    /// Completes the message for an unexpected token: its context, and what is expected there.
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

    /// Records the height of a tree whose tallest child has height `below`.
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

    /// Counts a binary operator.
    fn count_operator(&mut self) -> Outcome<()> {
        self.operators += 1;
        if self.operators <= QUERY_OPERATORS_MAX {
            return Ok(());
        }
        let message =
            format!("the query has too many operators: the limit is {QUERY_OPERATORS_MAX}");
        said(Pos { start: self.end, end: self.end }, message)
    }

    /// Counts a selector.
    fn count_selector(&mut self) -> Outcome<()> {
        self.selectors += 1;
        if self.selectors <= QUERY_SELECTORS_MAX {
            return Ok(());
        }
        let message =
            format!("the query has too many selectors: the limit is {QUERY_SELECTORS_MAX}");
        said(Pos { start: self.end, end: self.end }, message)
    }

    /// Adds the cost of a pattern, before it is compiled.
    fn weigh_pattern(&mut self, pattern: &str) -> Outcome<()> {
        self.patterns = self.patterns.saturating_add(m3_metric::pattern::cost(pattern));
        if self.patterns <= PATTERNS_COST_MAX {
            return Ok(());
        }
        let message = "error parsing regexp: the patterns of the query are too large together";
        said(Pos { start: self.end, end: self.end }, message.to_owned())
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
        Ok(selector.to_matchers())
    }

    /// An expression whose binary operators have at least precedence `least`.
    fn expr(&mut self, least: u8) -> Outcome<Expr> {
        self.enter()?;
        let mut expr = self.operand()?;
        // Most operands stand alone: what a chain needs on the stack is not needed for them.
        if self.operator(least)?.is_some() {
            expr = self.operators(expr, least)?;
        }
        self.depth -= 1;
        Ok(expr)
    }

    /// The operator that follows, if it has at least precedence `least`.
    fn operator(&mut self, least: u8) -> Outcome<Option<BinaryOp>> {
        let token = self.peek()?;
        match token.kind {
            Kind::Op(op) if precedence(op) >= least => Ok(Some(op)),
            Kind::TrimUpper | Kind::TrimLower if precedence(BinaryOp::Lss) >= least => {
                self.no_trim(token)
            }
            _ => Ok(None),
        }
    }

    #[inline(never)]
    fn no_trim<T>(&self, token: Token) -> Outcome<T> {
        said(
            pos_of(token),
            format!(
                "the operator {} trims native histograms, which m3ring does not have yet",
                quote(token.text(self.text))
            ),
        )
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
            parse_seconds(word).map_err(|error| error.to_string())
        } else {
            parse_number(word)
        };
        value.or_else(|message| said(pos_of(token), message))
    }

    /// The operand of an operator: a sign and its operand, or a primary expression with the ranges,
    /// offsets and `@` after it.
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
            // Functions take patterns as strings.
            let string = self.unquote(token);
            self.weigh_pattern(&string.to_string())?;
            ExprKind::String(string)
        } else {
            ExprKind::Number(self.number(token)?)
        };
        Ok(Expr { pos: pos_of(token), kind })
    }

    fn unquote(&self, token: Token) -> Literal {
        unquote(token.text(self.text))
    }

    /// An expression that begins with a name: an aggregation, a call, or a selector.
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
    fn vector(&mut self, name: Option<Token>) -> Outcome<Expr> {
        let selector = self.selector(name)?;
        Ok(Expr { pos: selector.pos, kind: ExprKind::Vector(selector) })
    }
}
