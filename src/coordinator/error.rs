//! The engine's errors as M3's and Prometheus' texts and status codes.

use crate::engine::EngineError;
use m3_http::api::ApiError;
use m3_query::QueryError;

/// Seconds after which a node that stops may be running again.
const STOPPING_RETRY_S: u32 = 5;

/// The error that a client gets.
pub(super) fn refuse(error: EngineError) -> ApiError {
    match error {
        EngineError::Query(error) => refuse_query(&error),
        EngineError::Selector(text) => ApiError::bad_parameter("match[]", &text),
        EngineError::Invalid(text) => ApiError::bad_data(text),
        EngineError::NoSuchPolicy(policy) => ApiError::no_such_policy(&policy),
        EngineError::Timeout => ApiError::timeout(error.to_string()),
        EngineError::Memory(no_memory) => ApiError::exhausted(no_memory.text),
        EngineError::Stopping => ApiError::unavailable(error.to_string(), STOPPING_RETRY_S),
        EngineError::Panicked(_) | EngineError::BrokenStream => {
            ApiError::internal(error.to_string())
        }
    }
}

fn refuse_query(error: &QueryError) -> ApiError {
    match error {
        QueryError::Parse(_) | QueryError::BadData(_) => {
            ApiError::bad_parameter("query", &error.to_string())
        }
        QueryError::Execution(_) | QueryError::TooManySamples => {
            ApiError::execution(error.to_string())
        }
    }
}
