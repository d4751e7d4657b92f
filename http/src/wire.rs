//! The HTTP/1.1 wire format: heads, targets, bodies. No I/O.
//!
//! Suggested reading order: [`head`], [`target`], [`body`], [`multipart`].
//!
//! Always holds: a request whose end is ambiguous is refused and its connection closed, so that a
//! proxy and this server cannot disagree about where the next request begins.
//!
//! Format: RFC 9110 and RFC 9112; multipart forms, RFC 7578.

pub mod body;
pub mod head;
pub mod multipart;
pub mod target;

/// Why bytes are not a request that this server accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The head breaks the grammar or a rule of this server.
    BadRequest(&'static str),
    /// A parameter or the path has a `%` without two hexadecimal digits, or decodes to text that is
    /// not UTF-8.
    BadEscape(String),
    /// The head is longer than it may be.
    HeadTooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// More headers than a request may have.
    TooManyHeaders {
        /// Headers allowed.
        limit: usize,
    },
    /// The body is longer than it may be.
    BodyTooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// The method is unknown.
    UnknownMethod(String),
    /// A transfer coding other than `chunked`.
    UnknownCoding(String),
    /// An expectation other than `100-continue`.
    UnknownExpectation(String),
    /// Not HTTP/1.0 or 1.1.
    Version,
}

impl WireError {
    /// The status code of the refusal.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::BadRequest(_) | Self::BadEscape(_) => 400,
            Self::HeadTooLong { .. } | Self::TooManyHeaders { .. } => 431,
            Self::BodyTooLong { .. } => 413,
            Self::UnknownMethod(_) | Self::UnknownCoding(_) => 501,
            Self::UnknownExpectation(_) => 417,
            Self::Version => 505,
        }
    }
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BadRequest(why) => write!(f, "malformed request: {why}"),
            Self::BadEscape(text) => write!(f, "invalid URL escape \"{text}\""),
            Self::HeadTooLong { limit } => {
                write!(f, "request head too long: at most {limit} bytes of line and headers")
            }
            Self::TooManyHeaders { limit } => {
                write!(f, "too many headers: at most {limit} are taken")
            }
            Self::BodyTooLong { limit } => {
                write!(f, "request body too large: at most {limit} bytes")
            }
            Self::UnknownMethod(name) => write!(f, "unknown method {name:?}"),
            Self::UnknownCoding(name) => {
                write!(f, "unknown transfer coding {name:?}: only chunked is known")
            }
            Self::UnknownExpectation(name) => {
                write!(f, "unknown expectation {name:?}: only 100-continue is known")
            }
            Self::Version => f.write_str("unsupported HTTP version: use 1.0 or 1.1"),
        }
    }
}

impl std::error::Error for WireError {}
