//! The engine's requests and outputs. They contain no texts or codes of any protocol.

use m3_io::budget::Promise;
use m3_metric::fetch::{FetchStats, StorageRestriction, TagRestriction};
use m3_metric::value::{Series, Value};
use m3_metric::{Labels, Matcher};
use std::time::Duration;

/// A query over one instant or a range of steps.
#[derive(Clone, Debug)]
pub struct QueryRequest {
    /// PromQL.
    pub text: String,
    /// The first step, in milliseconds since the epoch.
    pub start_ms: i64,
    /// No step is after this, in milliseconds since the epoch.
    pub end_ms: i64,
    /// Milliseconds between steps; `None` is an instant query at `start_ms`.
    pub step_ms: Option<i64>,
    /// Prometheus' `limit`: series of the answer; `None` and 0 are all of them.
    pub series_shown_max: Option<u64>,
    /// How to fetch.
    pub fetch: FetchOptions,
}

/// How to fetch; `None` means the node's configuration.
#[derive(Clone, Debug, Default)]
pub struct FetchOptions {
    /// Which namespaces; `None` is the unaggregated one.
    pub storage: Option<StorageRestriction>,
    /// How long it may take.
    pub timeout: Duration,
    /// How long a sample stays valid for its series, in milliseconds.
    pub lookback_ms: Option<i64>,
    /// The restriction of every selector.
    pub restriction: Option<TagRestriction>,
    /// Series; 0 is no limit.
    pub series_max: Option<u64>,
    /// Index documents: series times blocks; 0 is no limit.
    pub docs_max: Option<u64>,
    /// Length of time in milliseconds; 0 is no limit.
    pub range_max_ms: Option<i64>,
    /// Whether a fetch over its limits is refused rather than cut, with a warning.
    pub require_exhaustive: Option<bool>,
}

/// A query's result.
#[derive(Debug)]
pub struct QueryOutput {
    /// The result.
    pub value: Value,
    /// What the answer says besides its data.
    pub notes: Notes,
}

/// What an answer says besides its data.
#[derive(Debug, Default)]
pub struct Notes {
    /// Prometheus' `warnings`.
    pub warnings: Vec<String>,
    /// Prometheus' `infos`.
    pub infos: Vec<String>,
    /// The limits that left something out.
    pub limited: Vec<Limited>,
    /// What the fetch cost; `None` when nothing was fetched.
    pub fetched: Option<FetchStats>,
    /// The memory that is reserved until the answer is written.
    pub held: Option<Promise>,
}

/// A limit that left something out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// The limit of series or index documents.
    Series,
    /// The limit of the range, whose earlier part was left out.
    Range,
}

/// A search of labels or series.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// What is searched.
    pub selectors: Selectors,
    /// Earliest time of interest, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Latest time of interest, inclusive, in milliseconds since the epoch.
    pub end_ms: i64,
    /// How to search.
    pub fetch: FetchOptions,
}

/// Selectors; the search covers their union. None: all series.
#[derive(Clone, Debug)]
pub enum Selectors {
    /// In PromQL.
    Texts(Vec<String>),
    /// All of these matchers.
    Matchers(Vec<Matcher>),
}

/// Whole series to read.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// The series, by one selector.
    pub selection: Selection,
    /// Earliest sample, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Latest sample, inclusive, in milliseconds since the epoch.
    pub end_ms: i64,
}

/// Which series to read.
#[derive(Clone, Debug)]
pub enum Selection {
    /// Series that match all of these matchers.
    Matchers(Vec<Matcher>),
    /// Series of this PromQL selector.
    Text(String),
}

/// What was read for one [`ReadRequest`].
#[derive(Debug)]
pub struct ReadOutput {
    /// The matchers that were asked for.
    pub matchers: Vec<Matcher>,
    /// Sorted by labels.
    pub series: Vec<Series>,
}

/// Names or values that were found, sorted.
#[derive(Debug)]
pub struct NamesOutput {
    /// The names or values.
    pub names: Vec<String>,
    /// What the answer says besides its data.
    pub notes: Notes,
}

/// Series that were found, sorted.
#[derive(Debug)]
pub struct SeriesOutput {
    /// Their labels.
    pub series: Vec<Labels>,
    /// What the answer says besides its data.
    pub notes: Notes,
}

/// Label names with their values, both sorted.
#[derive(Debug)]
pub struct TagsOutput {
    /// Name and values.
    pub tags: Vec<(String, Vec<String>)>,
    /// What the answer says besides its data.
    pub notes: Notes,
}
