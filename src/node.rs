//! The life of a node: lock the data, choose the driver, start the cores, replay, serve, stop.
//!
//! Core 0 keeps the KV. It loads the namespaces and tells every core; each core replays its logs
//! and answers; when all have, core 0 says so and all listen. To stop, all finish what clients are
//! waiting for first, and close their logs after that, since a write may concern two cores.

mod core;
mod keeper;

use crate::config::{CommitAck, Config, RestrictTags};
use crate::memory::{self, Memory};
use crate::message::Message;
use m3_http::ServerLimits;
use m3_http::api::TagRestriction;
use m3_io::driver::{DriverChoice, DriverReport};
use m3_io::mesh::{Port, mesh};
use m3_io::net::Reservation;
use m3_io::runtime;
use m3_io::time::Monotonic;
use m3_io::{IoError, blocking, driver};
use m3_metric::labels::LabelLimits;
use m3_metric::{MatchOp, Matcher};
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
    /// Whether a durable commit log may be written past the page cache.
    pub direct: bool,
    /// Bytes at which a segment of the commit log is followed by the next.
    pub segment_bytes: u64,
    /// `hashing.seed`.
    pub hash_seed: u32,
    /// Limits of the servers.
    pub server: ServerLimits,
    /// Bytes of a body after decompression.
    pub body_decoded_bytes_max: usize,
    /// Limits of queries.
    pub query: QuerySettings,
    /// Resident bytes at which writes and queries are refused.
    pub memory_limit: u64,
    /// Series of one namespace on this node; 0 is no bound.
    pub series_per_namespace_max: u64,
    /// Labels of a new series.
    pub labels: LabelLimits,
    /// The node's name in placements.
    pub host_id: String,
    /// The port that a local placement shows.
    pub node_port: u16,
}

/// Limits of queries; 0 is no limit.
#[derive(Clone, Debug, PartialEq)]
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
    /// What every query is restricted to unless it says otherwise.
    pub restrict: Option<TagRestriction>,
    /// Whether a search of labels must name its range.
    pub labels_need_range: bool,
    /// Whether a search of series must name its range.
    pub series_need_range: bool,
}

impl Settings {
    /// The settings that a configuration means.
    ///
    /// # Errors
    /// A restriction that cannot be read, or no cpu to run on.
    pub fn from_config(config: &Config) -> Result<Self, String> {
        let cpus = config.cores.clone().unwrap_or_else(runtime::affinity);
        if cpus.is_empty() {
            return Err("there is no cpu to run on: give a list with --cores".to_owned());
        }
        let query = &config.query;
        Ok(Self {
            data_dir: config.data_dir.clone(),
            http_listen: config.http_listen,
            metrics_listen: config.metrics_listen,
            cpus,
            driver: config.io_driver,
            ack: match config.ack {
                CommitAck::Durable => Ack::Durable,
                CommitAck::Buffered => Ack::Buffered,
            },
            direct: config.direct,
            segment_bytes: m3_shard::commitlog::writer::SEGMENT_BYTES,
            hash_seed: 0,
            server: config.http,
            body_decoded_bytes_max: config.body_decoded_bytes_max,
            query: QuerySettings {
                lookback_ms: query.lookback.as_millis() as i64,
                timeout: query.timeout,
                samples_max: query.samples_max,
                series_max: query.series_max,
                docs_max: query.docs_max,
                range_max_ms: query.range_max.as_millis() as i64,
                require_exhaustive: query.require_exhaustive,
                restrict: query.restrict.as_ref().map(restriction).transpose()?,
                labels_need_range: query.labels_need_range,
                series_need_range: query.series_need_range,
            },
            memory_limit: match config.memory_limit {
                0 => memory::share_of(m3_io::process::memory_available()),
                limit => limit,
            },
            series_per_namespace_max: config.series_per_namespace_max,
            labels: config.labels,
            host_id: config.host.id.clone(),
            node_port: config.node_listen.port(),
        })
    }
}

fn restriction(configured: &RestrictTags) -> Result<TagRestriction, String> {
    let matcher = |m: &crate::config::RestrictMatcher| {
        let (op, value) = match m.kind.as_str() {
            "EQUAL" => (MatchOp::Equal, m.value.as_str()),
            "NOTEQUAL" => (MatchOp::NotEqual, m.value.as_str()),
            "REGEXP" => (MatchOp::Regex, m.value.as_str()),
            "NOTREGEXP" => (MatchOp::NotRegex, m.value.as_str()),
            "EXISTS" => (MatchOp::NotEqual, ""),
            "NOTEXISTS" => (MatchOp::Equal, ""),
            other => {
                return Err(format!(
                    "query.restrictTags: unknown matcher type {other:?}; it is EQUAL, NOTEQUAL, \
                     REGEXP, NOTREGEXP, EXISTS or NOTEXISTS"
                ));
            }
        };
        Ok(Matcher::new(op, m.name.clone(), value))
    };
    let matchers = configured.matchers.iter().map(matcher).collect::<Result<Vec<_>, _>>()?;
    let matched = || configured.matchers.iter().map(|m| m.name.clone()).collect();
    let strip = configured.strip.clone().unwrap_or_else(matched);
    Ok(TagRestriction { matchers, strip })
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
    /// What memory there is and how much of it is in use.
    pub memory: Memory,
    /// Series of one namespace on this node; 0 is no bound.
    pub series_per_namespace_max: u64,
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

/// What a node that is about to serve says of itself.
#[derive(Debug)]
pub struct Announcement<'a> {
    /// What it was started with.
    pub settings: &'a Settings,
    /// The driver it has.
    pub driver: &'a DriverReport,
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where the metrics are served.
    pub metrics: SocketAddr,
}

/// Runs a node until SIGTERM or SIGINT. Once it has what it needs from the machine, `announce` is
/// told.
///
/// # Errors
/// When it cannot start. Once it serves, a fault of a core or of the log ends the process.
pub fn run(settings: &Settings, announce: impl FnOnce(&Announcement)) -> Result<(), NodeError> {
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
        memory: Memory::new(settings.memory_limit),
        series_per_namespace_max: settings.series_per_namespace_max,
    });
    let (driver, api_addr, metrics_addr) = (&report, api.addr(), metrics.addr());
    announce(&Announcement { settings, driver, api: api_addr, metrics: metrics_addr });

    let plans = mesh(cores, MESH_CAPACITY).into_iter().map(|port| CorePlan {
        settings: settings.clone(),
        shared: Arc::clone(&shared),
        listing: listing.clone(),
        log_dir: log_dir.clone(),
        api_addr,
        metrics_addr,
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
