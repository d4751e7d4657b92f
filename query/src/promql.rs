//! PromQL: its syntax tree and types are here; the modules below parse, check and print them.
//!
//! [`parse`] turns a text into an [`Expr`], whose nodes know their positions in the text. Suggested
//! reading order: `lexer`, `parser`, `literal`, `chain`, `check`, [`functions`], [`pattern`],
//! `printer`.

use m3_metric::Matcher;

mod chain;
mod check;
mod duration;
mod error;
pub mod functions;
mod lexer;
mod literal;
mod number;
mod parser;
pub mod pattern;
mod printer;
mod quote;
#[cfg(test)]
mod tests;
mod token;

pub use chain::Operation;
pub(crate) use chain::group;
pub use duration::DurationError;
pub use error::{ParseError, Place};
pub use literal::{LabelMatcher, Literal};
pub use parser::{parse, parse_any_selector, parse_selector};
pub use quote::quote;

/// A half-open range of byte offsets in the query's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Pos {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

/// The type of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// One float per step.
    Scalar,
    /// A text.
    String,
    /// At most one sample per series and step.
    InstantVector,
    /// A window of samples per series and step.
    RangeVector,
}

impl ValueType {
    /// The name in Prometheus' error texts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::InstantVector => "instant vector",
            Self::RangeVector => "range vector",
        }
    }
}

/// An expression and its position in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Its position.
    pub pos: Pos,
    /// Its content.
    pub kind: ExprKind,
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `0x1f`, `Inf`; also a duration literal in the place of a number (`5m` is 300).
    Number(f64),
    /// `"text"`
    String(Literal),
    /// `metric{a="b"} offset 5m @ 12`
    Vector(VectorSelector),
    /// `metric[5m]`: a selector and its window in milliseconds.
    Matrix {
        /// The selector, with its offset and `@`.
        selector: VectorSelector,
        /// The window's length.
        range: DurationExpr,
    },
    /// `expr[1h:5m]`
    Subquery {
        /// What is evaluated at every inner step.
        expr: Box<Expr>,
        /// The window's length.
        range: DurationExpr,
        /// The inner step; `None` means the default evaluation interval.
        step: Option<DurationExpr>,
        /// `offset`.
        offset: Option<DurationExpr>,
        /// `@`.
        at: Option<At>,
    },
    /// `rate(x[5m])`; the parser has checked the arguments against the table of functions.
    Call {
        /// The function's name as in the table.
        name: &'static str,
        /// The position of the name.
        name_pos: Pos,
        /// The arguments.
        args: Vec<Expr>,
    },
    /// `sum by (a) (x)`
    Aggregate {
        /// The operator.
        op: AggregateOp,
        /// The aggregated expression.
        expr: Box<Expr>,
        /// `topk`'s k, `quantile`'s q, `count_values`' label.
        param: Option<Box<Expr>>,
        /// The labels of `by` or `without`, as written.
        grouping: Vec<String>,
        /// Whether `grouping` is a `without`.
        without: bool,
    },
    /// `-x`, `+x`
    Unary {
        /// Whether the sign is a minus.
        negative: bool,
        /// The operand.
        expr: Box<Expr>,
    },
    /// `a + on (x) group_left (y) b - c`: a chain of operators. If one of them is `^`, all are.
    Binary {
        /// The first operand.
        first: Box<Expr>,
        /// The operators with the operands after them; at least one.
        rest: Vec<Operation>,
    },
    /// `(x)`
    Paren(Box<Expr>),
}

/// A vector selector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The position of the selector itself (without offset and `@`).
    pub pos: Pos,
    /// All matchers; a metric name before the braces becomes a `__name__` matcher at the front.
    pub matchers: Vec<LabelMatcher>,
    /// The metric name, if it was written before the braces or as a quoted string inside.
    pub metric_name: Option<Literal>,
    /// `offset`; may be negative.
    pub offset: Option<DurationExpr>,
    /// `@`.
    pub at: Option<At>,
}

impl VectorSelector {
    /// What is asked of series.
    #[must_use]
    pub fn to_matchers(&self) -> Vec<Matcher> {
        self.matchers.iter().map(LabelMatcher::to_matcher).collect()
    }
}

/// The `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// `@ 1609746000.5`, in milliseconds.
    Ms(i64),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// A duration: a literal, or an expression over the query's `step()` and `range()`.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExpr {
    /// Milliseconds, with sign.
    Ms(i64),
    /// An expression to be evaluated once the query's start, end and step are known.
    Computed(Box<DurationNode>, Pos),
}

/// A node of a duration expression; leaves are in seconds, as numbers in PromQL are.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationNode {
    /// A number or duration literal, in seconds.
    Seconds(f64),
    /// `step()`
    Step,
    /// `range()`
    Range,
    /// `-x`
    Negate(Box<DurationNode>),
    /// `x + y - z`, `* / % ^`: a chain as in [`ExprKind::Binary`].
    Binary(Box<DurationNode>, Vec<(BinaryOp, DurationNode)>),
    /// `min(x, y)`
    Min(Box<DurationNode>, Box<DurationNode>),
    /// `max(x, y)`
    Max(Box<DurationNode>, Box<DurationNode>),
}

/// Aggregation operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is PromQL's keyword of the same name")]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    /// PromQL's keyword.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::Quantile => "quantile",
            Self::CountValues => "count_values",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }

    /// Whether the operator takes a parameter before the expression.
    #[must_use]
    pub const fn takes_param(self) -> bool {
        matches!(
            self,
            Self::Topk
                | Self::Bottomk
                | Self::Quantile
                | Self::CountValues
                | Self::Limitk
                | Self::LimitRatio
        )
    }
}

/// Binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is named as Prometheus names it")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eql,
    Neq,
    Gtr,
    Lss,
    Gte,
    Lte,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    /// The operator as PromQL writes it.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Eql => "==",
            Self::Neq => "!=",
            Self::Gtr => ">",
            Self::Lss => "<",
            Self::Gte => ">=",
            Self::Lte => "<=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    /// Whether it is a comparison.
    #[must_use]
    pub const fn is_comparison(self) -> bool {
        matches!(self, Self::Eql | Self::Neq | Self::Gtr | Self::Lss | Self::Gte | Self::Lte)
    }

    /// Whether a chain of it groups from the right.
    #[must_use]
    pub const fn groups_from_right(self) -> bool {
        matches!(self, Self::Pow)
    }

    /// Whether it is `and`, `or` or `unless`.
    #[must_use]
    pub const fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

/// How many series of each side pair up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// Each with at most one.
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// How series of two vectors are paired.
#[derive(Clone, Debug, PartialEq)]
pub struct Matching {
    /// The cardinality.
    pub card: Cardinality,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Whether `labels` is an `on`.
    pub on: bool,
    /// Extra labels of `group_left` or `group_right`.
    pub include: Vec<String>,
    /// `fill_left` (or `fill`): the value for a missing left side.
    pub fill_left: Option<f64>,
    /// `fill_right` (or `fill`).
    pub fill_right: Option<f64>,
}
