//! What a read asks of storage beside its selectors, and what the read cost.

use crate::Matcher;

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
    /// The aggregated namespace of this policy; without one the request is refused.
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
