//! A label matcher: what a selector asks of one label.
//!
//! Prometheus' meaning: regular expressions are anchored at both ends, `.` matches newlines too,
//! and an absent label is the empty value (so `{a=""}` and `{a!="x"}` match series without `a`).

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

/// One label matcher. For the regular-expression operators `value` is the pattern, unanchored as
/// the user wrote it; whoever compiles it anchors it.
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
        write!(f, "{}{}{:?}", self.name, self.op.symbol(), self.value)
    }
}
