//! The data that all cores share: facts of the node's start, and the memory budget.

use crate::config::QueryConfig;
use crate::memory::Memory;
use crate::quarantine::Quarantine;
use m3_io::driver::DriverReport;
use m3_io::time::Monotonic;
use m3_metric::fetch::TagRestriction;
use m3_shard::ShardMap;

/// The data that all cores share and none changes.
#[derive(Debug)]
pub struct Shared {
    /// When the cores were started.
    pub started: Monotonic,
    /// How series are distributed over cores.
    pub shards: ShardMap,
    /// The driver in use.
    pub driver: DriverReport,
    /// Bounds and defaults of queries.
    pub query: QueryConfig,
    /// The restriction of every query that names none.
    pub restriction: Option<TagRestriction>,
    /// The memory budget.
    pub memory: Memory,
    /// Series of one namespace on this node; 0 means no limit.
    pub series_per_namespace_max: u64,
    /// Bodies that ended the node before and are refused now.
    pub quarantine: Quarantine,
}
