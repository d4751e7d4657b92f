//! The meaning of queries: text, plan, values. No I/O, no clock, no async.
//!
//! [`promql`] parses the text. [`plan`] finds the leaves (fragments) that can run beside the data.
//! [`fragment`] runs one leaf on one core, over the series it is given. [`eval`] combines the
//! partial results.
//!
//! Always holds: time in this crate is i64 milliseconds, as in Prometheus. The storage's
//! nanoseconds are rounded down before samples are passed in.

mod aggregate;
mod annotation;
mod binary;
mod error;
pub mod eval;
mod fold;
pub mod fragment;
mod functions;
mod matrix;
mod number;
pub mod plan;
pub mod promql;
mod rank;
mod text;
mod window;
mod work;

pub use error::QueryError;
pub use eval::{Evaluation, QueryOutput, Step};
pub use fragment::{Fragment, FragmentEval, Partial};
pub use plan::{Plan, QueryParams, plan};
