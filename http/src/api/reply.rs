//! What the node answers: a [`Reply`] with its data and notes. [`crate::reply`] writes it.

use m3_io::budget::Promise;
use m3_metric::fetch::FetchStats;
use m3_metric::value::{Series, Value};
use m3_metric::{Labels, Matcher, Timestamp, WriteOutcome};
use std::time::Duration;

/// Prometheus' warning if `limit` left results out.
pub const WARNING_TRUNCATED: &str = "results truncated due to limit";
/// The `M3-Results-Limited` entry if the series limit left series out.
pub const SERIES_LIMIT_APPLIED: &str = "max_fetch_series_limit_applied";

/// What the node answers.
#[derive(Debug)]
pub enum Reply {
    /// To a write: 200 and no body, or an error that tells what was not stored.
    Write(WriteOutcome),
    /// To a query.
    Value {
        /// The complete result: the reply writer applies the `returned_*` limits.
        value: Value,
        /// What else to say.
        notes: Notes,
    },
    /// Label names or values, sorted.
    Names {
        /// The complete list: the reply writer applies the limits.
        names: Vec<String>,
        /// What else to say.
        notes: Notes,
    },
    /// Series.
    Series {
        /// The complete list: the reply writer applies the limits.
        series: Vec<Labels>,
        /// What else to say.
        notes: Notes,
    },
    /// Labels and, unless only names were asked for, their values; both sorted.
    Search {
        /// Name and values.
        tags: Vec<(String, Vec<String>)>,
        /// What else to say.
        notes: Notes,
    },
    /// To a remote read: one result for each query.
    RemoteRead {
        /// The results.
        results: Vec<ReadResult>,
        /// What else to say.
        notes: Notes,
    },
    /// The process is alive.
    Health {
        /// Time since the start.
        uptime: Duration,
        /// The clock.
        now: Timestamp,
    },
    /// Which namespaces are ready; not ready is status 500, as in M3.
    Ready(Readiness),
    /// Text with status 200.
    Text(String),
    /// The text exposition of the node's metrics.
    Metrics(Vec<u8>),
    /// `{"status":"success","data":...}` with this JSON as data.
    Data(String),
    /// The list of routes.
    Routes(Vec<&'static str>),
    /// An answer of an admin route.
    Admin {
        /// The status code.
        status: u16,
        /// The content type, e.g. [`crate::reply::JSON`].
        content_type: &'static str,
        /// The body; a newline is added if it has none.
        body: Vec<u8>,
    },
}

/// What an answer says besides its data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// Prometheus' `warnings`.
    pub warnings: Vec<String>,
    /// Prometheus' `infos`.
    pub infos: Vec<String>,
    /// Entries of `M3-Results-Limited`.
    pub limited: Vec<String>,
    /// What the fetch cost; `None` when nothing was fetched.
    pub fetched: Option<FetchStats>,
    /// The memory that writing the answer takes.
    pub held: HeldMemory,
}

/// Memory reserved for an answer until it is written. It is not part of the answer, so all values
/// compare as equal.
#[derive(Debug, Default)]
pub struct HeldMemory(pub Option<Promise>);

impl Clone for HeldMemory {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl PartialEq for HeldMemory {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// One query's result of a remote read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadResult {
    /// The matchers of the query, for the JSON form.
    pub matchers: Vec<Matcher>,
    /// Earliest sample asked, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Latest sample asked, in milliseconds since the epoch.
    pub end_ms: i64,
    /// Series sorted by labels, with their samples.
    pub series: Vec<Series>,
}

/// Which namespaces are ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Ready for reads.
    pub ready_reads: Vec<ReadyNamespace>,
    /// Not ready for reads; if there is any, the answer is a 500.
    pub not_ready_reads: Vec<ReadyNamespace>,
    /// Ready for writes.
    pub ready_writes: Vec<ReadyNamespace>,
    /// Not ready for writes; if there is any, the answer is a 500.
    pub not_ready_writes: Vec<ReadyNamespace>,
}

/// A namespace in [`Readiness`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyNamespace {
    /// Its name.
    pub id: String,
    /// Nanoseconds for which it keeps samples.
    pub retention_ns: i64,
    /// Nanoseconds between its samples; zero: unaggregated.
    pub resolution_ns: i64,
}
