//! How the node refuses: an [`ApiError`] says what was wrong, and its kind gives the status code.

use m3_io::budget::Budget;
use m3_metric::fetch::StoragePolicy;

/// Seconds after which a sender that was refused at the memory limit may try again.
pub const NO_MEMORY_RETRY_S: u32 = 5;

/// The kinds of refusal, with Prometheus' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong: 400.
    BadData,
    /// The query failed while it ran: 400, as M3 has it.
    Execution,
    /// The client went away: 499.
    Canceled,
    /// The query took longer than it may: 504.
    Timeout,
    /// The node is at fault: 500.
    Internal,
    /// Not there: 404.
    NotFound,
    /// Already there, or changed meanwhile: 409.
    Conflict,
    /// A limit that may have room again later: 429.
    Exhausted,
    /// Not yet or no longer serving: 503.
    Unavailable,
    /// The content type or encoding is unknown: 415.
    Unsupported,
    /// The body is over the limit: 413.
    TooLarge,
    /// The path does not take this method: 405.
    Method,
}

impl ErrorKind {
    /// The status code.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadData | Self::Execution => 400,
            Self::Canceled => 499,
            Self::Timeout => 504,
            Self::Internal => 500,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Exhausted => 429,
            Self::Unavailable => 503,
            Self::Unsupported => 415,
            Self::TooLarge => 413,
            Self::Method => 405,
        }
    }

    /// Prometheus' `errorType`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Execution => "execution",
            Self::Canceled => "canceled",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
            Self::NotFound => "not_found",
            Self::Exhausted => "too_many_requests",
            Self::Unavailable => "unavailable",
            Self::BadData | Self::Conflict | Self::Unsupported | Self::TooLarge | Self::Method => {
                "bad_data"
            }
        }
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// What kind.
    pub kind: ErrorKind,
    /// What was wrong and what would be right.
    pub message: String,
    /// For [`ErrorKind::Method`]: the methods that the path takes.
    pub allow: Option<&'static str>,
    /// Seconds after which a retry makes sense.
    pub retry_after_s: Option<u32>,
}

impl ApiError {
    /// A refusal of `kind`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), allow: None, retry_after_s: None }
    }

    /// The request is wrong.
    pub fn bad_data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadData, message)
    }

    /// A parameter is wrong, in Prometheus' words.
    #[must_use]
    pub fn bad_parameter(name: &str, why: &str) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {why}"))
    }

    /// The query failed while it ran.
    pub fn execution(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Execution, message)
    }

    /// The query took longer than it may.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Timeout, message)
    }

    /// The node is at fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Already there.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// Not serving now; a retry may succeed after `retry_after_s` seconds.
    pub fn unavailable(message: impl Into<String>, retry_after_s: u32) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::new(ErrorKind::Unavailable, message) }
    }

    /// The memory limit is reached, with the consequence `what`: 429 with `Retry-After`.
    #[must_use]
    pub fn no_memory(what: &str, budget: &Budget) -> Self {
        Self::exhausted(budget.refusal(what))
    }

    /// A limit is reached that may have room again later: 429 with `Retry-After`.
    pub fn exhausted(message: impl Into<String>) -> Self {
        Self { retry_after_s: Some(NO_MEMORY_RETRY_S), ..Self::new(ErrorKind::Exhausted, message) }
    }

    /// No namespace has this storage policy, in M3's words.
    #[must_use]
    pub fn no_such_policy(policy: &StoragePolicy) -> Self {
        Self::bad_data(format!("could not find namespace for storage policy: {}", policy.text))
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.kind.name())
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests;
