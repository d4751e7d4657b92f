//! The node's own metrics: every core's plain counters, collected at a scrape and rendered as text.
//!
//! Families that exist in M3's coordinator have M3's names; our own begin with `m3ring_`. Always
//! holds: counters are plain fields of one core; nothing is shared between cores for counting.

mod exposition;
mod families;

use crate::dbnode::DbNode;
use m3_http::server::StatsSnapshot;
use m3_metric::{NamespaceId, WriteOutcome};
use m3_shard::WriteStats;
use m3_shard::commitlog::ReplayStats;
use m3_shard::commitlog::writer::LogStats;
use std::time::Duration;

pub use families::render;

/// Upper bounds of the latency buckets, in seconds.
pub const LATENCY_BOUNDS_S: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// A histogram of latencies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency {
    /// Observations by bucket; the last bucket holds all longer ones.
    pub buckets: [u64; LATENCY_BOUNDS_S.len() + 1],
    /// Sum of all observations in seconds.
    pub sum_s: f64,
}

impl Latency {
    /// Adds an observation.
    pub fn observe(&mut self, span: Duration) {
        let seconds = span.as_secs_f64();
        let bucket = LATENCY_BOUNDS_S.iter().take_while(|bound| seconds > **bound).count();
        self.buckets[bucket] += 1;
        self.sum_s += seconds;
    }

    /// Adds another histogram.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.sum_s += other.sum_s;
    }
}

/// The counters of a coordinator.
#[derive(Clone, Debug, Default)]
pub struct CallStats {
    /// Writes answered with 200.
    pub writes: u64,
    /// Writes answered otherwise.
    pub write_errors: u64,
    /// Samples acknowledged.
    pub samples: u64,
    /// Samples refused permanently.
    pub samples_bad: u64,
    /// Samples that were not stored but may be sent again.
    pub samples_retryable: u64,
    /// Time from the call to its acknowledgment.
    pub write_latency: Latency,
    /// Queries answered.
    pub queries: u64,
    /// Queries refused or failed.
    pub query_errors: u64,
    /// Time from the call to its answer.
    pub query_latency: Latency,
}

impl CallStats {
    /// Counts a write.
    pub fn write(&mut self, outcome: &WriteOutcome, span: Duration) {
        if outcome.is_whole() {
            self.writes += 1;
        } else {
            self.write_errors += 1;
        }
        self.samples += outcome.accepted;
        self.samples_bad += outcome.bad.count;
        self.samples_retryable += outcome.retryable.count + outcome.exhausted.count;
        self.write_latency.observe(span);
    }

    /// Counts a query.
    pub fn query(&mut self, ok: bool, span: Duration) {
        if ok {
            self.queries += 1;
        } else {
            self.query_errors += 1;
        }
        self.query_latency.observe(span);
    }
}

/// The counters of one namespace on one core.
#[derive(Clone, Debug)]
pub struct NamespaceStats {
    /// Which.
    pub id: NamespaceId,
    /// Its counters.
    pub writes: WriteStats,
    /// Series it has.
    pub series: u64,
    /// Bytes of memory it holds.
    pub memory_bytes: u64,
}

/// All counters of one core.
#[derive(Clone, Debug, Default)]
pub struct CoreStats {
    /// By namespace.
    pub namespaces: Vec<NamespaceStats>,
    /// The commit log.
    pub log: LogStats,
    /// What was replayed at the start.
    pub replay: ReplayStats,
    /// Calls.
    pub calls: CallStats,
    /// The API's server.
    pub api: StatsSnapshot,
    /// The metrics' server.
    pub metrics: StatsSnapshot,
    /// Tasks alive.
    pub tasks: u64,
    /// Messages waiting.
    pub backlog: u64,
    /// Requests whose work panicked.
    pub panics: u64,
    /// Bytes that retention has freed.
    pub expired_bytes: u64,
}

impl CoreStats {
    /// Copies the counters of `node` and its coordinator.
    #[must_use]
    pub fn gather(node: &DbNode, calls: CallStats) -> Self {
        let store = node.store();
        let namespaces = store.namespaces().map(|store| NamespaceStats {
            id: store.id(),
            writes: store.stats(),
            series: u64::from(store.series_count()),
            memory_bytes: store.memory_bytes(),
        });
        Self {
            namespaces: namespaces.collect(),
            log: node.log().stats(),
            calls,
            tasks: m3_io::task::live_tasks() as u64,
            panics: m3_io::panics::caught(),
            expired_bytes: node.expired_bytes.get(),
            ..Self::default()
        }
    }
}
