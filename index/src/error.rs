//! Errors in a set of matchers.

use m3_metric::quote::quote;
use std::fmt;

/// Why matchers cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexError {
    /// A pattern that is not a regular expression.
    PatternInvalid {
        /// The label it is for.
        label: String,
        /// The pattern as the user wrote it.
        pattern: String,
        /// What is wrong and where, in RE2's words.
        reason: String,
    },
    /// A pattern of too many bytes.
    PatternTooLong {
        /// The label it is for.
        label: String,
        /// Bytes of the pattern.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A pattern whose compiled form would be too large, such as `(\pL{100}){100}`.
    PatternTooLarge {
        /// The label it is for.
        label: String,
        /// The pattern as the user wrote it.
        pattern: String,
        /// Bytes allowed for the compiled form.
        max: usize,
    },
    /// The patterns of a selector would cost too much to compile in total.
    PatternsTooLarge {
        /// Their cost ([`m3_metric::pattern::cost`]).
        cost: u64,
        /// The allowed cost.
        max: u64,
    },
    /// More matchers than one selector may have.
    TooManyMatchers {
        /// How many there are.
        count: usize,
        /// How many are allowed.
        max: usize,
    },
}

/// Most characters of a pattern that an error text repeats.
const PATTERN_SHOWN_CHARS: usize = 200;

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PatternInvalid { label, pattern, reason } => {
                write!(f, "error parsing regexp: {reason} (pattern ")?;
                shown(f, pattern)?;
                write!(f, " of label {})", quote(label))
            }
            Self::PatternTooLong { label, bytes, max } => write!(
                f,
                "regular expression of label {} is too long: bytes={bytes}, max={max}",
                quote(label)
            ),
            Self::PatternTooLarge { label, pattern, max } => {
                f.write_str("regular expression ")?;
                shown(f, pattern)?;
                write!(
                    f,
                    " of label {} needs more than {max} bytes when compiled; \
                     use smaller repetition counts or narrower classes",
                    quote(label)
                )
            }
            Self::PatternsTooLarge { cost, max } => write!(
                f,
                "the patterns of a selector are too large together: cost={cost}, max={max}; use \
                 smaller repetition counts or narrower classes"
            ),
            Self::TooManyMatchers { count, max } => {
                write!(f, "too many label matchers in one selector: count={count}, max={max}")
            }
        }
    }
}

fn shown(f: &mut fmt::Formatter<'_>, pattern: &str) -> fmt::Result {
    match pattern.char_indices().nth(PATTERN_SHOWN_CHARS) {
        Some((end, _)) => write!(f, "{}...", quote(&pattern[..end])),
        None => f.write_str(&quote(pattern)),
    }
}

impl std::error::Error for IndexError {}
