//! The result of a query.

use crate::Labels;

/// One series of a range result.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Milliseconds since the epoch, and value; times ascend.
    pub points: Vec<(i64, f64)>,
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Its labels.
    pub labels: Labels,
    /// Milliseconds since the epoch.
    pub time_ms: i64,
    /// The value.
    pub value: f64,
}

/// A query's result.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number.
    Scalar {
        /// Milliseconds since the epoch.
        time_ms: i64,
        /// The number.
        value: f64,
    },
    /// One text.
    String {
        /// Milliseconds since the epoch.
        time_ms: i64,
        /// The text.
        text: String,
    },
    /// At most one sample per series.
    Vector(Vec<Element>),
    /// Many samples per series.
    Matrix(Vec<Series>),
}
