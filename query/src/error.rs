//! Why a query has no answer. The texts are those of Prometheus, if it has one.

use crate::promql::ParseError;
use std::fmt;

/// Why a query could not be planned or evaluated.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryError {
    /// The text is not PromQL (HTTP 400, `bad_data`).
    Parse(ParseError),
    /// The query is well formed but not possible in this form (HTTP 400, `bad_data`).
    BadData(String),
    /// Evaluation failed (HTTP 422, `execution`).
    Execution(String),
    /// The query would hold more samples at once than the limit allows (HTTP 422, `execution`).
    TooManySamples,
}

impl QueryError {
    pub(crate) fn same_labelset() -> Self {
        Self::Execution("vector cannot contain metrics with the same labelset".to_owned())
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(error) => error.fmt(f),
            Self::BadData(text) | Self::Execution(text) => f.write_str(text),
            Self::TooManySamples => f.write_str(
                "query processing would load too many samples into memory in query execution",
            ),
        }
    }
}

impl std::error::Error for QueryError {}

impl From<ParseError> for QueryError {
    fn from(error: ParseError) -> Self {
        Self::Parse(error)
    }
}
