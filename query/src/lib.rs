//! What a query means: text to plan to values. No I/O, no clock, no async.
//!
//! plan -> fetches -> eval: [`promql`] reads the text, [`plan`] finds the leaves (fragments) that
//! can run where the data are, [`fragment`] runs one leaf on one core over the series it is given,
//! [`eval`] puts the partial results together.
//!
//! Always holds: time inside this crate is i64 milliseconds, as Prometheus' semantics are; the
//! storage's nanoseconds are rounded towards the past before samples are handed in.

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
