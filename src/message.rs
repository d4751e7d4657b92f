//! The messages between cores: a closed enum, one message for each core and request.
//!
//! If an inbox is full, the sender waits, so back-pressure reaches the client's socket; no message
//! is dropped. Every message carries its reply channel; a reply whose receiver is gone (the client
//! closed its connection) has no effect.

use crate::catalog::Catalog;
use crate::memory::NoMemory;
use crate::telemetry::CoreStats;
use m3_cluster::admin::{AdminReply, AdminRequest};
use m3_io::ReplyTo;
use m3_io::panics::Panicked;
use m3_io::time::Monotonic;
use m3_metric::value::Series;
use m3_metric::{Labels, Matcher, NamespaceId, Record, WriteOutcome};
use m3_query::Fragment;
use m3_query::Partial;
use m3_shard::{KnownRecord, SeriesSample};
use std::sync::Arc;

/// What one core asks another.
pub enum Message {
    /// Store records. Sent by the core that decoded a request to each other owner of its samples.
    Write(WriteJob),
    /// Evaluate a fragment of a query over this core's series.
    Fragment(Box<FragmentJob>),
    /// Search labels or series.
    Metadata(MetadataJob),
    /// Read whole series.
    Read(ReadJob),
    /// An admin request, to core 0, which keeps the KV.
    Admin(AdminRequest, ReplyTo<AdminReply>),
    /// Use this catalog of namespaces from now on. From core 0 to all.
    Catalog(Arc<Catalog>, ReplyTo<()>),
    /// Return the core's counters.
    Stats(ReplyTo<Box<CoreStats>>),
    /// All cores have replayed: start to listen. From core 0 to the others.
    Serve,
    /// Take no more requests and answer when those in progress are done. From core 0 to all.
    Drain(ReplyTo<()>),
    /// Close the log and end. From core 0 to all, once all have drained.
    Close,
}

impl Message {
    /// The kind of message, for the log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Write(_) => "write",
            Self::Fragment(_) => "fragment",
            Self::Metadata(_) => "metadata",
            Self::Read(_) => "read",
            Self::Admin(..) => "admin",
            Self::Catalog(..) => "catalog",
            Self::Stats(_) => "stats",
            Self::Serve => "serve",
            Self::Drain(_) => "drain",
            Self::Close => "close",
        }
    }
}

const _: () = assert!(size_of::<Message>() <= 256, "a message is moved often: box what is large");

/// Records to store.
pub struct WriteJob {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The bytes the records point into; empty if there are no records.
    pub buffer: Arc<Vec<u8>>,
    /// The records that belong to the receiving core, as far as the sender knows.
    pub records: Vec<Record>,
    /// Samples of series whose ordinals the receiving core has reported to the sender.
    pub known: Vec<SeriesSample>,
    /// The reply channel.
    pub reply: ReplyTo<WriteAnswer>,
}

/// The outcome of a [`WriteJob`]; sent when the log has acknowledged it.
#[derive(Debug, Default)]
pub struct WriteAnswer {
    /// The count of samples.
    pub counts: WriteOutcome,
    /// Records whose label bytes are not label fields; they are counted as bad too.
    pub malformed: u64,
    /// The series of the records by their position in the job. From now on the sender may refer to
    /// them by ordinal. Ordinals are valid as long as the process runs; a namespace's number, to
    /// which they belong, is never reused.
    pub known: Vec<KnownRecord>,
    /// Storing the job panicked. The node ends after the sender's core has saved the request's
    /// body.
    pub panicked: Option<Panicked>,
}

/// A fragment to evaluate.
pub struct FragmentJob {
    /// The namespace.
    pub namespace: NamespaceId,
    /// What to evaluate.
    pub fragment: Fragment,
    /// Series this core may fetch; if there are more, the job is refused or cut.
    pub series_max: u64,
    /// Whether to cut instead of refuse.
    pub cut: bool,
    /// When the query's time is up.
    pub deadline: Monotonic,
    /// The reply channel.
    pub reply: ReplyTo<FragmentAnswer>,
}

/// What one core found for a fragment.
pub struct FragmentAnswer {
    /// Series that matched, fetched or not.
    pub matched: u64,
    /// The number of matched series times the blocks they are in.
    pub docs: u64,
    /// Series with a sample in the range.
    pub with_samples: u64,
    /// Bytes of labels and samples, roughly.
    pub bytes: u64,
    /// Series by metric name: with samples, without; at most [`METRIC_NAMES_MAX`] names.
    pub metrics: Vec<(String, u64, u64)>,
    /// The result, or the error.
    pub partial: Result<Partial, FetchError>,
}

/// Metric names that one core counts for `M3-Metric-Stats`.
pub const METRIC_NAMES_MAX: usize = 64;

/// Why a core did not fetch.
#[derive(Clone, Debug, PartialEq)]
pub enum FetchError {
    /// More series matched than may be fetched.
    TooManySeries,
    /// The evaluation failed.
    Query(m3_query::QueryError),
    /// A matcher does not compile.
    Matcher(String),
    /// The query's time is up.
    Timeout,
    /// The node's memory limit is reached.
    Memory(NoMemory),
    /// More series or samples than allowed; the text says how many may be.
    TooMuch(String),
    /// The work panicked; it changed nothing.
    Panicked(Panicked),
    /// The node ends because its store may be half changed.
    Ending,
    /// A stream in memory does not decode.
    Broken,
}

/// Labels or series to search.
pub struct MetadataJob {
    /// The namespace.
    pub namespace: NamespaceId,
    /// Selectors; the search covers their union. None: all series.
    pub selectors: Vec<Vec<Matcher>>,
    /// Start, in milliseconds since the epoch.
    pub start_ms: i64,
    /// End, inclusive.
    pub end_ms: i64,
    /// What is wanted.
    pub want: MetadataWant,
    /// When the search's time is up.
    pub deadline: Monotonic,
    /// The reply channel.
    pub reply: ReplyTo<Result<MetadataAnswer, FetchError>>,
}

/// What a [`MetadataJob`] wants.
#[derive(Clone)]
pub enum MetadataWant {
    /// Label names.
    Names,
    /// Values of one label.
    Values(String),
    /// Series, at most this many.
    Series(u64),
    /// Names with their values; only these names, unless none is given.
    Tags {
        /// The names.
        names: Vec<String>,
        /// Whether values are left out.
        names_only: bool,
    },
}

/// What one core found.
#[derive(Debug)]
pub enum MetadataAnswer {
    /// Sorted names or values.
    Names(Vec<String>),
    /// Series.
    Series(Vec<Labels>),
    /// Names and their values.
    Tags(Vec<(String, Vec<String>)>),
}

/// Series to read whole.
pub struct ReadJob {
    /// The namespace.
    pub namespace: NamespaceId,
    /// All of these must match.
    pub matchers: Vec<Matcher>,
    /// Start, in milliseconds since the epoch.
    pub start_ms: i64,
    /// End, inclusive.
    pub end_ms: i64,
    /// Series this core may read.
    pub series_max: u64,
    /// Whether to cut instead of refuse.
    pub cut: bool,
    /// Samples this core may read.
    pub samples_max: u64,
    /// When the read's time is up.
    pub deadline: Monotonic,
    /// The reply channel.
    pub reply: ReplyTo<Result<Vec<Series>, FetchError>>,
}
