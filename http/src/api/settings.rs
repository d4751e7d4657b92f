//! The settings of the node that the HTTP layer needs.

use m3_io::budget::Budget;
use m3_metric::FingerprintKey;
use m3_metric::limits::BODY_DECODED_BYTES_MAX;
use std::sync::Arc;
use std::time::Duration;

/// Entries of `M3-Metric-Stats`, as in M3.
pub const METRIC_STATS_MAX: u64 = 4;

/// The settings of the node that the HTTP layer needs.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// How long a query may take when it does not say; M3's 30 s.
    pub query_timeout: Duration,
    /// Bytes of a body after decompression.
    pub body_decoded_bytes_max: usize,
    /// The memory budget from which bodies are unpacked.
    pub budget: Arc<Budget>,
    /// The key of the fingerprints, on a node that knows series by their fingerprints.
    pub fingerprints: Option<Arc<FingerprintKey>>,
    /// Entries of `M3-Metric-Stats` unless the request says otherwise.
    pub metric_stats_max: u64,
    /// Whether a request to `/labels` must name its range.
    pub labels_need_range: bool,
    /// Whether a request to `/series` must name its range.
    pub series_need_range: bool,
    /// The node's own version, for `/api/v1/status/buildinfo`.
    pub version: &'static str,
    /// The commit it was built from; may be empty.
    pub revision: &'static str,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            query_timeout: Duration::from_secs(30),
            body_decoded_bytes_max: BODY_DECODED_BYTES_MAX,
            budget: Budget::new(0),
            fingerprints: None,
            metric_stats_max: METRIC_STATS_MAX,
            labels_need_range: false,
            series_need_range: false,
            version: env!("CARGO_PKG_VERSION"),
            revision: "",
        }
    }
}
