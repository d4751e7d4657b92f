//! PromQL's tokens: their kinds, the keywords, and their names in error messages.

use super::quote::{quote, quote_short};
use super::{AggregateOp, BinaryOp};

/// A token of a query's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: Kind,
    /// Its first byte.
    pub(super) start: u32,
    /// The byte after its last.
    pub(super) end: u32,
}

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The end of the text.
    End,
    /// A name without a colon.
    Identifier,
    /// A name with a colon, which only a metric's may have.
    MetricIdentifier,
    /// A number, `Inf` and `NaN` included.
    Number,
    /// `5m`
    Duration,
    /// A quoted text.
    String,
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `{`
    LeftBrace,
    /// `}`
    RightBrace,
    /// `[`
    LeftBracket,
    /// `]`
    RightBracket,
    /// `,`
    Comma,
    /// `:` between brackets.
    Colon,
    /// `=`
    Equal,
    /// `=~`
    EqualRegex,
    /// `!~`
    NotEqualRegex,
    /// `@`
    At,
    /// `</`
    TrimUpper,
    /// `>/`
    TrimLower,
    /// A binary operator; `+` and `-` also stand before an operand, `!=` also between braces.
    Op(BinaryOp),
    /// The name of an aggregation.
    Aggregate(AggregateOp),
    /// A keyword.
    Key(Keyword),
}

/// The keywords that are neither operators nor aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Offset,
    Smoothed,
    Anchored,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Bool,
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

/// The meaning of `word` outside braces, in any mixture of cases; `None` if it is just a name.
pub(super) fn keyword(word: &str) -> Option<Kind> {
    const LONGEST: usize = "count_values".len();
    if word.len() > LONGEST {
        return None;
    }
    let mut lower = [0u8; LONGEST];
    let lower = &mut lower[..word.len()];
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"and" => Kind::Op(BinaryOp::And),
        b"or" => Kind::Op(BinaryOp::Or),
        b"unless" => Kind::Op(BinaryOp::Unless),
        b"atan2" => Kind::Op(BinaryOp::Atan2),
        b"sum" => Kind::Aggregate(AggregateOp::Sum),
        b"avg" => Kind::Aggregate(AggregateOp::Avg),
        b"count" => Kind::Aggregate(AggregateOp::Count),
        b"min" => Kind::Aggregate(AggregateOp::Min),
        b"max" => Kind::Aggregate(AggregateOp::Max),
        b"group" => Kind::Aggregate(AggregateOp::Group),
        b"stddev" => Kind::Aggregate(AggregateOp::Stddev),
        b"stdvar" => Kind::Aggregate(AggregateOp::Stdvar),
        b"topk" => Kind::Aggregate(AggregateOp::Topk),
        b"bottomk" => Kind::Aggregate(AggregateOp::Bottomk),
        b"count_values" => Kind::Aggregate(AggregateOp::CountValues),
        b"quantile" => Kind::Aggregate(AggregateOp::Quantile),
        b"limitk" => Kind::Aggregate(AggregateOp::Limitk),
        b"limit_ratio" => Kind::Aggregate(AggregateOp::LimitRatio),
        b"offset" => Kind::Key(Keyword::Offset),
        b"smoothed" => Kind::Key(Keyword::Smoothed),
        b"anchored" => Kind::Key(Keyword::Anchored),
        b"by" => Kind::Key(Keyword::By),
        b"without" => Kind::Key(Keyword::Without),
        b"on" => Kind::Key(Keyword::On),
        b"ignoring" => Kind::Key(Keyword::Ignoring),
        b"group_left" => Kind::Key(Keyword::GroupLeft),
        b"group_right" => Kind::Key(Keyword::GroupRight),
        b"fill" => Kind::Key(Keyword::Fill),
        b"fill_left" => Kind::Key(Keyword::FillLeft),
        b"fill_right" => Kind::Key(Keyword::FillRight),
        b"bool" => Kind::Key(Keyword::Bool),
        b"start" => Kind::Key(Keyword::Start),
        b"end" => Kind::Key(Keyword::End),
        b"inf" | b"nan" => Kind::Number,
        other => return duration_keyword(other).map(Kind::Key),
    })
}

/// The meaning of a lower-case word between brackets.
pub(super) fn duration_keyword(lower: &[u8]) -> Option<Keyword> {
    Some(match lower {
        b"step" => Keyword::Step,
        b"range" => Keyword::Range,
        b"max_of" => Keyword::MaxOf,
        b"min_of" => Keyword::MinOf,
        _ => return None,
    })
}

impl Kind {
    /// Whether this word may be the name of a metric.
    pub(super) fn names_metric(self) -> bool {
        use Keyword::{Bool, GroupLeft, GroupRight, Ignoring, On};
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) => true,
            Self::Op(op) => op.is_set(),
            Self::Key(key) => !matches!(key, Bool | GroupLeft | GroupRight | Ignoring | On),
            _ => false,
        }
    }

    /// Whether this word may be the name of a label in a list of labels.
    pub(super) fn names_label(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) => true,
            Self::Op(op) => op.is_set() || op == BinaryOp::Atan2,
            Self::Key(key) => key != Keyword::Without,
            _ => false,
        }
    }

    /// Whether an expression can begin with this token.
    pub(super) fn begins_expr(self) -> bool {
        self.names_metric()
            || matches!(
                self,
                Self::Number
                    | Self::Duration
                    | Self::String
                    | Self::LeftParen
                    | Self::LeftBrace
                    | Self::Op(BinaryOp::Add | BinaryOp::Sub)
            )
    }
}

impl Token {
    /// The text of the token.
    pub(super) fn text<'a>(&self, query: &'a str) -> &'a str {
        &query[self.start as usize..self.end as usize]
    }

    /// How a message names the token: by its kind, if that says more than its text.
    pub(super) fn describe(&self, query: &str) -> String {
        let text = self.text(query);
        match self.kind {
            Kind::End => "end of input".to_owned(),
            Kind::Identifier => format!("identifier {}", quote(text)),
            Kind::MetricIdentifier => format!("metric identifier {}", quote(text)),
            Kind::Number => format!("number {}", quote_short(text)),
            Kind::Duration => format!("duration {}", quote_short(text)),
            Kind::String => format!("string {}", quote_short(text)),
            Kind::Aggregate(_) => format!("<aggr:{text}>"),
            Kind::Op(_)
            | Kind::At
            | Kind::TrimUpper
            | Kind::TrimLower
            | Kind::EqualRegex
            | Kind::NotEqualRegex => format!("<op:{text}>"),
            Kind::Key(key) => match key {
                Keyword::Start
                | Keyword::End
                | Keyword::Step
                | Keyword::Range
                | Keyword::MaxOf
                | Keyword::MinOf => quote(text),
                _ => format!("<{text}>"),
            },
            _ => quote(text),
        }
    }
}
