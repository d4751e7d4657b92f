//! The life of a node: lock the data, choose the driver, start the cores, replay, serve, stop.
//!
//! Core 0 keeps the KV. It loads the namespaces and tells every core; each core replays its logs
//! and answers; when all have, core 0 says so and all listen. To stop, all finish what clients are
//! waiting for first, and close their logs after that, since a write may concern two cores.

mod core;
mod keeper;

use crate::message::Message;
use m3_http::server::ServerLimits;
use m3_io::driver::{DriverChoice, DriverReport};
use m3_io::mesh::{Port, mesh};
use m3_io::net::Reservation;
use m3_io::runtime;
use m3_io::time::Monotonic;
use m3_io::{IoError, blocking, driver};
use m3_shard::ShardMap;
use m3_shard::commitlog::Ack;
use m3_shard::commitlog::segment::Listing;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Virtual shards of a local placement, as in M3.
pub const LOCAL_SHARDS: u32 = 64;
/// Messages that may wait for one core.
const MESH_CAPACITY: usize = 4096;

/// What a node is started with; every value is checked already.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything is stored.
    pub data_dir: PathBuf,
    /// Where the API listens; port 0 takes a free one.
    pub http_listen: SocketAddr,
    /// Where the metrics are served.
    pub metrics_listen: SocketAddr,
    /// The cpus to run on, one core each.
    pub cpus: Vec<usize>,
    /// Which I/O driver is wanted.
    pub driver: DriverChoice,
    /// When a write is acknowledged.
    pub ack: Ack,
    /// `hashing.seed`.
    pub hash_seed: u32,
    /// Limits of the servers.
    pub server: ServerLimits,
    /// Bytes of a body after decompression.
    pub body_decoded_bytes_max: usize,
    /// Limits of queries.
    pub query: QuerySettings,
}

/// Limits of queries; 0 is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuerySettings {
    /// How long a sample stands for its series, in milliseconds.
    pub lookback_ms: i64,
    /// How long a query may take unless it says.
    pub timeout: Duration,
    /// Samples a query may hold.
    pub samples_max: u64,
    /// Series a query may fetch.
    pub series_max: u64,
    /// Series times blocks a query may fetch.
    pub docs_max: u64,
    /// Milliseconds a query may reach over.
    pub range_max_ms: i64,
    /// Whether a query over a limit fails, rather than being cut.
    pub require_exhaustive: bool,
}

impl Default for QuerySettings {
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            timeout: Duration::from_secs(30),
            samples_max: m3_metric::limits::QUERY_SAMPLES_MAX,
            series_max: m3_metric::limits::QUERY_SERIES_MAX,
            docs_max: 0,
            range_max_ms: 0,
            require_exhaustive: true,
        }
    }
}

/// What all cores know and none changes.
#[derive(Debug)]
pub struct Shared {
    /// When the cores were started.
    pub started: Monotonic,
    /// How series are spread.
    pub shards: ShardMap,
    /// The driver in use.
    pub driver: DriverReport,
    /// Limits of queries.
    pub query: QuerySettings,
}

/// Why a node did not start or did not stay.
#[derive(Debug)]
pub enum NodeError {
    /// The machine refused something.
    Io(IoError),
    /// A directory cannot be used.
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A core could not begin its work; the text says which and why.
    Start(String),
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Directory { path, source } => write!(
                f,
                "the data directory {} cannot be used: {source}; choose another with --data-dir or \
                 give this user the right to write there",
                path.display()
            ),
            Self::Start(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for NodeError {}

impl From<IoError> for NodeError {
    fn from(error: IoError) -> Self {
        Self::Io(error)
    }
}

/// What one core is started with.
struct CorePlan {
    settings: Settings,
    shared: Arc<Shared>,
    listing: Listing,
    log_dir: PathBuf,
    api_addr: SocketAddr,
    metrics_addr: SocketAddr,
    port: Port<Message>,
}

/// Runs a node until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start. Once it serves, a fault of a core or of the log ends the process.
pub fn run(settings: &Settings) -> Result<(), NodeError> {
    let log_dir = settings.data_dir.join("commitlog");
    let directory = |source| NodeError::Directory { path: settings.data_dir.clone(), source };
    blocking::create_dir_all(&log_dir).map_err(directory)?;
    let _lock = blocking::lock_dir(&settings.data_dir)?;
    let entries = blocking::list_dir(&log_dir).map_err(directory)?;
    let listing = Listing::from_names(entries.iter().map(|entry| entry.name.as_str()));

    let cores = settings.cpus.len();
    let report = driver::probe(settings.driver, cores, runtime::RING_ENTRIES_DEFAULT)?;
    let api = Reservation::take(settings.http_listen)?;
    let metrics = Reservation::take(settings.metrics_listen)?;
    let core_count = u16::try_from(cores).map_err(|_| {
        NodeError::Start(format!("{cores} cores are more than the {} a node can have", u16::MAX))
    })?;
    let hash_seed = settings.hash_seed;
    let shared = Arc::new(Shared {
        started: m3_io::time::now(),
        shards: ShardMap { num_shards: LOCAL_SHARDS, core_count, hash_seed },
        driver: report.clone(),
        query: settings.query.clone(),
    });
    crate::banner::print(settings, &report, api.addr(), metrics.addr());

    let plans = mesh(cores, MESH_CAPACITY).into_iter().map(|port| CorePlan {
        settings: settings.clone(),
        shared: Arc::clone(&shared),
        listing: listing.clone(),
        log_dir: log_dir.clone(),
        api_addr: api.addr(),
        metrics_addr: metrics.addr(),
        port,
    });
    let plans: Arc<Mutex<Vec<_>>> = Arc::new(Mutex::new(plans.map(Some).collect()));
    let failure: Arc<Mutex<Option<String>>> = Arc::default();
    let options = runtime::Options {
        cpus: settings.cpus.clone(),
        driver: report,
        ring_entries: runtime::RING_ENTRIES_DEFAULT,
        tasks_max: runtime::TASKS_MAX_DEFAULT,
    };
    let told = Arc::clone(&failure);
    runtime::run_cores(options, move |id| {
        let plan = plans.lock().expect("no core panicked")[id.index()].take();
        let plan = plan.expect("each core starts once");
        let told = Arc::clone(&told);
        Box::pin(async move {
            if let Err(text) = core::run(id, plan).await {
                told.lock().expect("no core panicked").get_or_insert(text);
            }
        })
    })?;
    let failed = failure.lock().expect("no core panicked").take();
    failed.map_or(Ok(()), |text| Err(NodeError::Start(text)))
}
