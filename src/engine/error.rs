//! Why the engine refuses a request or fails. Each protocol turns this into its own errors.

use crate::memory::NoMemory;
use crate::message::FetchError;
use m3_io::Gone;
use m3_io::panics::Panicked;
use m3_metric::fetch::StoragePolicy;
use m3_query::QueryError;
use std::fmt;

/// Why the engine refuses or fails.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineError {
    /// The request is wrong or exceeds a limit; the text says what would be right.
    Invalid(String),
    /// A selector does not parse; the text says where.
    Selector(String),
    /// The query does not parse, or failed while it ran.
    Query(QueryError),
    /// No namespace has this storage policy.
    NoSuchPolicy(StoragePolicy),
    /// The request took longer than it may.
    Timeout,
    /// The node's memory limit is reached; a later attempt may succeed.
    Memory(NoMemory),
    /// The node is stopping or about to end.
    Stopping,
    /// The work panicked; it changed nothing.
    Panicked(Panicked),
    /// A stream in memory does not decode.
    BrokenStream,
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) | Self::Selector(text) => f.write_str(text),
            Self::Query(error) => error.fmt(f),
            Self::NoSuchPolicy(policy) => {
                write!(f, "could not find namespace for storage policy: {}", policy.text)
            }
            Self::Timeout => f.write_str("query timed out in expression evaluation"),
            Self::Memory(no_memory) => no_memory.fmt(f),
            Self::Stopping => f.write_str("the node is stopping"),
            Self::Panicked(panicked) => panicked.fmt(f),
            Self::BrokenStream => f.write_str("a stream in memory does not decode"),
        }
    }
}

impl std::error::Error for EngineError {}

impl From<QueryError> for EngineError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<NoMemory> for EngineError {
    fn from(no_memory: NoMemory) -> Self {
        Self::Memory(no_memory)
    }
}

/// A core that does not answer has closed.
impl From<Gone> for EngineError {
    fn from(Gone: Gone) -> Self {
        Self::Stopping
    }
}

impl From<FetchError> for EngineError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Query(error) => Self::Query(error),
            FetchError::Matcher(text) => Self::Invalid(text),
            FetchError::TooMuch(text) => Self::Invalid(text),
            FetchError::TooManySeries => {
                Self::Invalid("query exceeded limit: too many series".to_owned())
            }
            FetchError::Timeout => Self::Timeout,
            FetchError::Memory(no_memory) => Self::Memory(no_memory),
            FetchError::Broken => Self::BrokenStream,
            FetchError::Panicked(panicked) => Self::Panicked(panicked),
            FetchError::Ending => Self::Stopping,
        }
    }
}
