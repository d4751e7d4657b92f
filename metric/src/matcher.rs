//! A label matcher: a condition on one label.
//!
//! It means what it means in Prometheus: regular expressions are anchored at both ends, `.` also
//! matches newlines, and an absent label has the empty value (so `{a=""}` and `{a!="x"}` match
//! series without `a`).

use crate::quote::quote;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as PromQL writes it.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// A label matcher. For the regular-expression operators, `value` is the pattern as the user wrote
/// it; anchoring it is left to whoever compiles it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Matcher {
    /// How to compare.
    pub op: MatchOp,
    /// The label's name.
    pub name: String,
    /// The value or the pattern.
    pub value: String,
}

impl Matcher {
    /// A matcher of `name` and `value` under `op`.
    #[must_use]
    pub fn new(op: MatchOp, name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { op, name: name.into(), value: value.into() }
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}{}", self.name, self.op.symbol(), quote(&self.value))
    }
}
