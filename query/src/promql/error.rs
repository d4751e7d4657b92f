//! Parse errors, in the words that users of Prometheus know.

use super::Pos;
use std::fmt;

/// The position of an error, as its message shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Line and column, from 1; columns count bytes, as in Prometheus.
    At {
        /// The line.
        line: u32,
        /// The column.
        column: u32,
    },
    /// Unknown, because the text is empty.
    Unknown,
    /// None: the message concerns the whole parameter.
    Whole,
}

/// Why a text is not PromQL. Displayed as in Prometheus: `1:5: parse error: unclosed left
/// parenthesis`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The bytes that are wrong.
    pub pos: Pos,
    /// The same as line and column.
    pub place: Place,
    /// What is wrong with them.
    pub message: String,
}

impl ParseError {
    /// An error about `pos` of `text`.
    #[must_use]
    pub fn new(text: &str, pos: Pos, message: impl Into<String>) -> Self {
        let place = if text.is_empty() { Place::Unknown } else { place_of(text, pos.start) };
        Self { pos, place, message: message.into() }
    }

    /// An error about a whole parameter, shown without a position.
    #[must_use]
    pub fn whole(message: impl Into<String>) -> Self {
        Self { pos: Pos::default(), place: Place::Whole, message: message.into() }
    }
}

fn place_of(text: &str, start: u32) -> Place {
    let before = &text.as_bytes()[..(start as usize).min(text.len())];
    let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
    Place::At { line: as_u32(line), column: as_u32(before.len() - line_start + 1) }
}

/// Converts a count, which the limit on the text's length keeps far below `u32::MAX`.
fn as_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::At { line, column } => write!(f, "{line}:{column}: parse error: ")?,
            Place::Unknown => f.write_str("unknown position: parse error: ")?,
            Place::Whole => {}
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ParseError {}
