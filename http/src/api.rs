//! The typed seam between the door and the coordinator: what a request asks ([`Call`]), what the
//! node answers ([`Reply`]) and how it refuses ([`ApiError`]).
//!
//! [`route::Api::route`] turns a request into a [`Routed`]: a `Call` or an error, and the
//! [`crate::reply::Shape`] that knows how this route wants its answer written. Parameters are
//! parsed and checked here; PromQL text is not, it travels as text to the query crate.
//!
//! Always holds: a `Call` carries only checked values. Times are milliseconds since the epoch
//! within [`TIME_MS_MIN`] and [`TIME_MS_MAX`], so that they convert to nanoseconds and survive
//! ordinary arithmetic. No type here knows a socket.

use crate::message::{Method, Params};
use m3_io::budget::{Budget, Promise};
use m3_metric::value::{Series, Value};
use m3_metric::{Labels, Matcher, Timestamp, WriteBatch, WriteOutcome};
use std::time::Duration;

pub mod build;
pub mod duration;
pub mod options;
pub mod route;
pub mod time;

pub use route::{Api, ApiSettings, Listener, Routed};

/// The earliest time a request can name, in milliseconds since the epoch: 1677, where nanoseconds
/// begin. Prometheus' minimum time is held here.
pub const TIME_MS_MIN: i64 = -9_223_372_036_854;
/// The latest time a request can name, in milliseconds since the epoch: 2262, where nanoseconds
/// end. Prometheus' maximum time is held here.
pub const TIME_MS_MAX: i64 = 9_223_372_036_854;

/// Seconds after which a sender may try again that the memory limit refused.
pub const NO_MEMORY_RETRY_S: u32 = 5;

/// What a request asks of the node.
#[derive(Debug)]
pub enum Call {
    /// Store samples. Answered with [`Reply::Write`].
    Write(Box<WriteCall>),
    /// An instant query. Answered with [`Reply::Value`].
    Query(QueryCall),
    /// A range query. Answered with [`Reply::Value`].
    QueryRange(QueryRangeCall),
    /// The names of labels. Answered with [`Reply::Names`].
    Labels(MetadataCall),
    /// The values of one label. Answered with [`Reply::Names`].
    LabelValues {
        /// The label, unescaped.
        name: String,
        /// What to search.
        metadata: MetadataCall,
    },
    /// Series by selectors; there is at least one. Answered with [`Reply::Series`].
    Series(MetadataCall),
    /// M3's tag completion. Answered with [`Reply::Search`].
    Search(SearchCall),
    /// Remote read. Answered with [`Reply::RemoteRead`].
    RemoteRead(RemoteReadCall),
    /// Is the process alive. Answered with [`Reply::Health`].
    Health,
    /// Which namespaces serve. Answered with [`Reply::Ready`].
    Ready {
        /// Whether readiness for reads is asked.
        reads: bool,
        /// Whether readiness for writes is asked.
        writes: bool,
    },
    /// Prometheus' `/-/ready`. Answered with [`Reply::Text`], or refused as unavailable.
    ReadyText,
    /// The node's own metrics. Answered with [`Reply::Metrics`].
    Metrics,
    /// The level of the log, and the one it is to have from here on. Answered with [`Reply::Data`].
    LogLevel(Option<String>),
    /// An admin route. Answered with [`Reply::Admin`] or an error, which is then written as M3
    /// writes it, without `errorType`.
    Admin(Box<AdminCall>),
    /// The door knows the answer: give it back as it is.
    Answered(Reply),
}

/// Samples to store.
#[derive(Debug)]
pub struct WriteCall {
    /// The samples. For remote write the label bytes are unchecked, see
    /// [`crate::ingest::remote_write`]; for JSON they are canonical.
    pub batch: WriteBatch,
    /// Where the batch came from, and with it how to decode it strictly.
    pub source: WriteSource,
    /// What the body held beside the samples of the batch; series that cannot be stored are
    /// counted here as bad requests already. The coordinator adds its own outcome to it.
    pub outcome: WriteOutcome,
    /// How to store.
    pub options: WriteOptions,
    /// The body as it came, where it was taken out of the request.
    pub body: Vec<u8>,
}

/// Where the samples of a [`WriteCall`] came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteSource {
    /// A remote-write v1 body of which only times, values and the labels' fingerprints were read.
    /// Who does not know all of them has it decoded ([`Api::decode`]).
    RemoteWritePacked,
    /// A remote-write v1 body, split by the fast path.
    RemoteWriteFast {
        /// Bytes of the body at the front of the batch's buffer.
        body_len: usize,
    },
    /// A remote-write v1 body, parsed strictly: every record's span is whole label fields.
    RemoteWriteStrict {
        /// Bytes of the body at the front of the batch's buffer.
        body_len: usize,
    },
    /// A JSON document: canonical labels.
    Json,
}

/// How to store the samples of a write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteOptions {
    /// Which namespace, by `M3-Metrics-Type` and `M3-Storage-Policy`; `None` is the default.
    pub storage: Option<StorageRestriction>,
    /// `M3-Write-Type: aggregate`: skip the unaggregated write.
    pub aggregate_only: bool,
}

/// An instant query.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryCall {
    /// PromQL, not empty, at most `QUERY_BYTES_MAX` bytes.
    pub text: String,
    /// When to evaluate, in milliseconds since the epoch.
    pub time_ms: i64,
    /// How to evaluate.
    pub options: QueryOptions,
}

/// A range query.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRangeCall {
    /// PromQL, not empty, at most `QUERY_BYTES_MAX` bytes.
    pub text: String,
    /// The first step, in milliseconds since the epoch.
    pub start_ms: i64,
    /// No step is after this, in milliseconds since the epoch; not before `start_ms`.
    pub end_ms: i64,
    /// Milliseconds between steps, positive; there are at most `QUERY_POINTS_PER_SERIES_MAX`.
    pub step_ms: i64,
    /// How to evaluate.
    pub options: QueryOptions,
}

/// A search of labels or series.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataCall {
    /// The texts of `match[]`, which are series selectors; their union is meant. Empty: all series.
    pub selectors: Vec<String>,
    /// Earliest time of interest, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Latest time of interest, inclusive, in milliseconds since the epoch.
    pub end_ms: i64,
    /// How to search.
    pub options: QueryOptions,
}

/// M3's tag completion.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchCall {
    /// Only series that match all of these.
    pub matchers: Vec<Matcher>,
    /// Only these labels; empty: all.
    pub names: Vec<String>,
    /// Whether values are wanted beside names.
    pub names_only: bool,
    /// Earliest time of interest, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Latest time of interest, inclusive, in milliseconds since the epoch.
    pub end_ms: i64,
    /// How to search.
    pub options: QueryOptions,
}

/// A remote read: samples of whole series.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteReadCall {
    /// The queries; the answer has one result for each, in their order.
    pub queries: Vec<ReadQuery>,
    /// How to fetch.
    pub options: QueryOptions,
}

/// One query of a remote read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadQuery {
    /// Earliest sample, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Latest sample, inclusive, in milliseconds since the epoch.
    pub end_ms: i64,
    /// Which series.
    pub selection: Selection,
}

/// Which series a remote read wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// Those that match all of these.
    Matchers(Vec<Matcher>),
    /// Those of this PromQL selector.
    Text(String),
}

/// Which engine's manners the answer has. There is one engine underneath.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// Prometheus' JSON.
    #[default]
    Prometheus,
    /// M3's: `step_size_ms` per series.
    M3Query,
}

impl Engine {
    /// The engine's name in `M3-Engine`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::M3Query => "m3query",
        }
    }
}

/// How to evaluate a query, from headers and parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryOptions {
    /// Whose manners the answer has.
    pub engine: Engine,
    /// How long the query may take, at most ten minutes.
    pub timeout: Duration,
    /// The lookback in milliseconds; `None` is the node's default.
    pub lookback_ms: Option<i64>,
    /// `M3-Restrict-By-Tags-JSON`: matchers that every selector gets, labels that results lose.
    pub tags: Option<TagRestriction>,
    /// Which namespaces, by `M3-Metrics-Type` and `M3-Storage-Policy`.
    pub storage: Option<StorageRestriction>,
    /// Limits of the fetch.
    pub limits: FetchLimits,
    /// Prometheus' `limit`: results beyond it are left out with the warning [`WARNING_TRUNCATED`].
    /// Names, values and series are cut by the reply writer; the coordinator may stop early once it
    /// has one more than this. The results of a query are cut by the coordinator, because there
    /// `limit` is M3's limit of the fetch where the namespace was created by M3's routes. `None`
    /// and zero: all.
    pub truncate: Option<u64>,
    /// Whether `stats` asks for the cost of the query.
    pub stats: bool,
}

/// Prometheus' warning where `limit` left results out.
pub const WARNING_TRUNCATED: &str = "results truncated due to limit";
/// M3's warning where a fetch limit left series out.
pub const WARNING_NOT_EXHAUSTIVE: &str = "m3db exceeded query limit: results not exhaustive";
/// The `M3-Results-Limited` entry where the series limit left series out.
pub const SERIES_LIMIT_APPLIED: &str = "max_fetch_series_limit_applied";

/// Limits of one fetch. `None` is the node's default and zero is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchLimits {
    /// Series (`M3-Limit-Max-Series`).
    pub series: Option<u64>,
    /// Index documents: series times blocks (`M3-Limit-Max-Docs`).
    pub docs: Option<u64>,
    /// Length of time in milliseconds (`M3-Limit-Max-Range`).
    pub range_ms: Option<i64>,
    /// Series of the answer (`M3-Limit-Max-Returned-Series`); the reply writer applies it.
    pub returned_series: Option<u64>,
    /// Samples of the answer (`M3-Limit-Max-Returned-Datapoints`); the reply writer applies it.
    pub returned_samples: Option<u64>,
    /// Names, values or labels of the answer (`M3-Limit-Max-Returned-SeriesMetadata`); the reply
    /// writer applies it.
    pub returned_metadata: Option<u64>,
    /// Entries of `M3-Metric-Stats`; the reply writer applies it.
    pub metric_stats: Option<u64>,
    /// Whether a fetch over its limits is refused (M3's default) or cut, with a warning.
    pub require_exhaustive: Option<bool>,
    /// Refuse rather than wait for a turn.
    pub require_no_wait: bool,
}

/// Matchers that a query gets and labels that its results lose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TagRestriction {
    /// ANDed into every selector.
    pub matchers: Vec<Matcher>,
    /// Labels taken out of results and of label lists.
    pub strip: Vec<String>,
}

/// Which namespaces serve a request.
#[derive(Clone, Debug, PartialEq)]
pub enum StorageRestriction {
    /// The unaggregated namespace.
    Unaggregated,
    /// The aggregated namespace of this policy; none there: refuse with
    /// [`ApiError::no_such_policy`].
    Aggregated(StoragePolicy),
}

/// A resolution and a retention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoragePolicy {
    /// Nanoseconds between samples.
    pub resolution_ns: i64,
    /// Nanoseconds for which they are kept.
    pub retention_ns: i64,
    /// The policy as the sender wrote it, e.g. `1m:14d`.
    pub text: String,
}

/// A request to an admin route.
#[derive(Debug)]
pub struct AdminCall {
    /// Which.
    pub route: AdminRoute,
    /// By which method; the route knows it.
    pub method: Method,
    /// The last part of the path where the route has one: namespace or instance.
    pub id: Option<String>,
    /// Parameters of the URL.
    pub params: Params,
    /// `Cluster-Environment-Name`, or M3's default.
    pub environment: String,
    /// `Cluster-Zone-Name`, or M3's default.
    pub zone: String,
    /// `Dry-Run: true`.
    pub dry_run: bool,
    /// `Force: true` or `?force=true`.
    pub force: bool,
    /// The body, whatever its content type says.
    pub body: Vec<u8>,
}

/// The admin routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdminRoute {
    /// POST `/api/v1/database/create` and its alias `.../namespace/create`.
    DatabaseCreate,
    /// GET, POST, DELETE `.../placement`.
    Placement(Service),
    /// POST `.../placement/init`.
    PlacementInit(Service),
    /// POST `.../placement/remove`.
    PlacementRemove(Service),
    /// POST `.../placement/replace`.
    PlacementReplace(Service),
    /// POST `.../placement/set`.
    PlacementSet(Service),
    /// DELETE `.../placement/{id}`.
    PlacementInstance(Service),
    /// GET, POST, PUT `/api/v1/services/m3db/namespace`.
    Namespace,
    /// POST `.../namespace/ready`.
    NamespaceReady,
    /// DELETE `.../namespace/{id}`.
    NamespaceNamed,
    /// POST, DELETE `/api/v1/services/m3db/schema`.
    Schema,
}

/// A service that has placements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// The database.
    M3db,
    /// The aggregator.
    M3aggregator,
    /// The coordinator.
    M3coordinator,
}

impl Service {
    /// The service's name in paths and keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::M3db => "m3db",
            Self::M3aggregator => "m3aggregator",
            Self::M3coordinator => "m3coordinator",
        }
    }
}

/// What the node answers.
#[derive(Debug)]
pub enum Reply {
    /// To a write: 200 and no body, or an error that tells what was not stored.
    Write(WriteOutcome),
    /// To a query.
    Value {
        /// The result, whole: the reply writer applies the `returned_*` limits.
        value: Value,
        /// What else to say.
        notes: Notes,
    },
    /// Label names or values, sorted.
    Names {
        /// The list, whole: the reply writer applies the limits.
        names: Vec<String>,
        /// What else to say.
        notes: Notes,
    },
    /// Series.
    Series {
        /// The list, whole: the reply writer applies the limits.
        series: Vec<Labels>,
        /// What else to say.
        notes: Notes,
    },
    /// Labels and, unless only names were asked, their values; both sorted.
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
        /// Since the start.
        uptime: Duration,
        /// The clock.
        now: Timestamp,
    },
    /// Which namespaces serve; not ready is status 500, as in M3.
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

/// What an answer says beside its data.
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
    pub held: Held,
}

/// Memory promised to an answer until it is written. It says nothing about the answer: all are
/// equal.
#[derive(Debug, Default)]
pub struct Held(pub Option<Promise>);

impl Clone for Held {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl PartialEq for Held {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What a fetch cost, for M3's response headers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FetchStats {
    /// Names of the namespaces that were asked (`M3-Namespaces`).
    pub namespaces: Vec<String>,
    /// Storage answers (`M3-Fetched-Responses`).
    pub responses: u64,
    /// Bytes of what was fetched, roughly (`M3-Fetched-Bytes-Estimate`).
    pub bytes: u64,
    /// Series with a sample in the range (`M3-Series-With-Samples-Count`).
    pub series_with_samples: u64,
    /// Series without one (`M3-Series-No-Samples-Count`).
    pub series_no_samples: u64,
    /// Of all series, those of aggregated namespaces (`M3-Aggregated-Series-Count`).
    pub series_aggregated: u64,
    /// Names or values that a metadata search saw (`M3-Metadata-Count`).
    pub metadata: u64,
    /// Series by metric name (`M3-Metric-Stats`).
    pub metrics: Vec<(String, MetricStats)>,
}

/// The series of one metric that a fetch saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricStats {
    /// Without a sample in the range.
    pub no_samples: u64,
    /// With one.
    pub with_samples: u64,
    /// From aggregated namespaces.
    pub aggregated: u64,
    /// From unaggregated ones.
    pub unaggregated: u64,
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

/// Which namespaces serve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Ready for reads.
    pub ready_reads: Vec<ReadyNamespace>,
    /// Not ready for reads; any makes the answer a 500.
    pub not_ready_reads: Vec<ReadyNamespace>,
    /// Ready for writes.
    pub ready_writes: Vec<ReadyNamespace>,
    /// Not ready for writes; any makes the answer a 500.
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
    /// A limit that passes with time: 429.
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

    /// Not serving now; `retry_after_s` seconds later perhaps.
    pub fn unavailable(message: impl Into<String>, retry_after_s: u32) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::new(ErrorKind::Unavailable, message) }
    }

    /// The memory limit is reached and `what` follows from it: 429, and when to come again.
    #[must_use]
    pub fn no_memory(what: &str, budget: &Budget) -> Self {
        let (used, limit) = (budget.used() >> 20, budget.limit() >> 20);
        let message = format!(
            "memory limit reached: {what}; {used} MiB are in use, memory.limit is {limit} MiB. \
             Raise memory.limit, shorten the retention or send fewer series"
        );
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
