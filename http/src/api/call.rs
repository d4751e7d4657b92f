//! What a request asks of the node: a [`Call`] and its data.
//!
//! Always holds: a `Call` carries only checked values. Times are milliseconds since the epoch
//! between [`TIME_MS_MIN`] and [`TIME_MS_MAX`], so they convert to nanoseconds and can be added
//! without overflow. No type here refers to a socket.

use super::reply::Reply;
use crate::message::{Method, Params};
use m3_metric::fetch::{StorageRestriction, TagRestriction};
use m3_metric::{Matcher, WriteBatch, WriteOutcome};
use std::time::Duration;

/// The earliest time a request can name, in milliseconds since the epoch: 1677, the first instant
/// that nanoseconds can express. Prometheus' minimum time is clamped to it.
pub const TIME_MS_MIN: i64 = -9_223_372_036_854;
/// The latest time a request can name, in milliseconds since the epoch: 2262, the last instant that
/// nanoseconds can express. Prometheus' maximum time is clamped to it.
pub const TIME_MS_MAX: i64 = 9_223_372_036_854;

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
    /// Whether the process is alive. Answered with [`Reply::Health`].
    Health,
    /// Which namespaces are ready. Answered with [`Reply::Ready`].
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
    /// Reads the log level, after changing it to this one if there is one. Answered with
    /// [`Reply::Data`].
    LogLevel(Option<String>),
    /// An admin route. Answered with [`Reply::Admin`] or an error, which is then written as M3
    /// writes it, without `errorType`.
    Admin(Box<AdminCall>),
    /// The HTTP layer knows the answer already: return it unchanged.
    Answered(Reply),
}

/// Samples to store.
#[derive(Debug)]
pub struct WriteCall {
    /// The samples. For remote write the label bytes are unchecked, see
    /// [`crate::ingest::remote_write`]; for JSON they are canonical.
    pub batch: WriteBatch,
    /// The source of the batch, which decides how to decode it strictly.
    pub source: WriteSource,
    /// What the body held besides the samples of the batch. Series that cannot be stored are
    /// already counted here as bad requests; the coordinator adds its own outcome.
    pub outcome: WriteOutcome,
    /// How to store.
    pub options: WriteOptions,
    /// The body as received, if it was taken out of the request.
    pub body: Vec<u8>,
}

/// Where the samples of a [`WriteCall`] came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteSource {
    /// A remote-write v1 body of which only times, values and the labels' fingerprints were read. A
    /// core that does not know all of the fingerprints has the body decoded
    /// ([`super::Api::decode`]).
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
    /// The series selectors of `match[]`; the search covers their union. Empty: all series.
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
    /// Only series that match all of these matchers.
    pub matchers: Vec<Matcher>,
    /// Only these labels; empty: all.
    pub names: Vec<String>,
    /// Whether only names are wanted, without their values.
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

/// The engine that a request names in `M3-Engine`. One engine answers all of them; the name decides
/// what its JSON looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineName {
    /// Prometheus' JSON.
    #[default]
    Prometheus,
    /// M3's: `step_size_ms` per series.
    M3Query,
}

impl EngineName {
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
    /// The engine whose format the answer has.
    pub engine: EngineName,
    /// How long the query may take, at most ten minutes.
    pub timeout: Duration,
    /// The lookback in milliseconds; `None` is the node's default.
    pub lookback_ms: Option<i64>,
    /// `M3-Restrict-By-Tags-JSON`: matchers that are added to every selector, and labels that are
    /// removed from results.
    pub tags: Option<TagRestriction>,
    /// Which namespaces, by `M3-Metrics-Type` and `M3-Storage-Policy`.
    pub storage: Option<StorageRestriction>,
    /// Limits of the fetch.
    pub limits: FetchLimits,
    /// Prometheus' `limit`: results beyond it are left out with the warning
    /// [`super::WARNING_TRUNCATED`]. The reply writer cuts names, values and series; the
    /// coordinator may stop early once it has one more than this. The coordinator cuts the results
    /// of a query, because in a namespace that M3's routes created `limit` is M3's limit of the
    /// fetch. `None` and zero: all.
    pub truncate: Option<u64>,
    /// Whether the parameter `stats` asks for the cost of the query.
    pub stats: bool,
}

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
    /// Refuse the query rather than let it wait for its turn.
    pub require_no_wait: bool,
}

/// A request to an admin route.
#[derive(Debug)]
pub struct AdminCall {
    /// Which.
    pub route: AdminRoute,
    /// The method; the route accepts it.
    pub method: Method,
    /// The last part of the path, if the route has one: namespace or instance.
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
    /// The body, regardless of its content type.
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
