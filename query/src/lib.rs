//! What a query means: text to plan to values. No I/O, no clock, no async.
//!
//! plan -> fetches -> eval: [`promql`] reads the text, [`plan`] finds the leaves (fragments) that
//! can run where the data are, [`fragment`] runs one leaf on one core over the series it is given,
//! [`eval`] puts the partial results together.
//!
//! Always holds: time inside this crate is i64 milliseconds, as Prometheus' semantics are; the
//! storage's nanoseconds are rounded towards the past before samples are handed in.

pub mod promql;
