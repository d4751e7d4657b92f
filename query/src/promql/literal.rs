//! The text of a string literal, whose bytes need not be UTF-8, and the matchers made of such.
//!
//! `"\xff"` is good PromQL, though no text of a series can equal it: names and values of labels are
//! always UTF-8. The tree keeps such bytes as they are, so that it can be written again. Where they
//! are asked of series they match none, and where they become a text each byte that is part of no
//! character shows as U+FFFD, as in Prometheus' JSON.

use super::quote::quote_bytes;
use m3_metric::{MatchOp, Matcher};
use std::fmt;

/// What a string literal stands for.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Literal(Vec<u8>);

impl Literal {
    /// The text; `None` if the bytes are not UTF-8.
    #[must_use]
    pub const fn as_str(&self) -> Option<&str> {
        match std::str::from_utf8(self.0.as_slice()) {
            Ok(text) => Some(text),
            Err(_) => None,
        }
    }

    /// The name of the label that is meant; the empty name, which no label has, where the bytes are
    /// not UTF-8, which no label's name is.
    #[must_use]
    pub fn as_label(&self) -> &str {
        self.as_str().unwrap_or_default()
    }

    /// In double quotes with Go's escapes, as PromQL reads it again.
    #[must_use]
    pub fn quoted(&self) -> String {
        quote_bytes(&self.0)
    }
}

impl From<Vec<u8>> for Literal {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&str> for Literal {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl PartialEq<str> for Literal {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

/// The text, with U+FFFD for every byte that is part of no character.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            for _ in chunk.invalid() {
                f.write_str("\u{fffd}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.quoted())
    }
}

/// A matcher as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMatcher {
    /// How to compare.
    pub op: MatchOp,
    /// The label's name.
    pub name: Literal,
    /// The value or the pattern; a pattern is always UTF-8.
    pub value: Literal,
}

impl LabelMatcher {
    /// What is asked of series. A name or a value that no series can have becomes a label that no
    /// series has, the one without a name: it equals no value and differs from all.
    #[must_use]
    pub fn to_matcher(&self) -> Matcher {
        let is_text = self.name.as_str().is_some() && self.value.as_str().is_some();
        let name = if is_text { self.name.as_label() } else { "" };
        Matcher::new(self.op, name, self.value.to_string())
    }
}

impl fmt::Display for LabelMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.name, self.op.symbol(), self.value.quoted())
    }
}
