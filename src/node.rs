//! The life of a node: lock the data, choose the driver, start the cores, replay, serve, stop.
//!
//! Core 0 keeps the KV. It loads the namespaces and sends them to every core. Each core replays its
//! logs and reports that; when all have, core 0 tells all cores to listen. To stop, all cores first
//! finish the requests in progress and then close their logs, because a write may involve two
//! cores.

mod core;
mod keeper;
mod signals;
mod start;

use crate::memory::Memory;
use crate::message::Message;
use crate::quarantine::Quarantine;
use crate::settings::Settings;
use crate::shared::Shared;
use m3_io::driver::DriverReport;
use m3_io::held::{HELD_WAIT_MAX, Patience};
use m3_io::mesh::{Port, mesh};
use m3_io::net::Reservation;
use m3_io::runtime;
use m3_io::{IoError, blocking, driver};
use m3_shard::ShardMap;
use m3_shard::commitlog::segment::Listing;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Virtual shards of a local placement, as in M3.
pub const LOCAL_SHARDS: u32 = 64;
/// Messages that may wait for one core.
const MESH_CAPACITY: usize = 4096;

/// Why a node did not start or ended.
#[derive(Debug)]
pub enum NodeError {
    /// An operation of the system failed.
    Io(IoError),
    /// A directory cannot be used.
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A core could not start; the text says which and why.
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

/// What one core starts with.
struct CorePlan {
    settings: Settings,
    shared: Arc<Shared>,
    listing: Listing,
    log_dir: PathBuf,
    api_addr: SocketAddr,
    metrics_addr: SocketAddr,
    port: Port<Message>,
}

/// What a node reports of itself just before it serves.
#[derive(Debug)]
pub struct Announcement<'a> {
    /// The settings of the node.
    pub settings: &'a Settings,
    /// The I/O driver in use.
    pub driver: &'a DriverReport,
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where the metrics are served.
    pub metrics: SocketAddr,
}

/// Runs a node until SIGTERM or SIGINT. `announce` is called when all resources are acquired,
/// before the node serves.
///
/// # Errors
/// The node could not start. Once it serves, a fault of a core or of the log ends the process.
pub fn run(settings: &Settings, announce: impl FnOnce(&Announcement)) -> Result<(), NodeError> {
    let log_dir = settings.config.data_dir.join("commitlog");
    let directory =
        |source| NodeError::Directory { path: settings.config.data_dir.clone(), source };
    blocking::create_dir_all(&log_dir).map_err(directory)?;
    let mut patience = Patience::new(HELD_WAIT_MAX);
    let _lock = patience.until_free(|| blocking::lock_dir(&settings.config.data_dir))?;
    let entries = blocking::list_dir(&log_dir).map_err(directory)?;
    let listing = Listing::from_names(entries.iter().map(|entry| entry.name.as_str()));

    let cores = settings.cpus.len();
    let report = driver::probe(settings.config.io_driver, cores, runtime::RING_ENTRIES_DEFAULT)?;
    let api = patience.until_free(|| Reservation::take(settings.config.http_listen))?;
    let metrics = patience.until_free(|| Reservation::take(settings.config.metrics_listen))?;
    let core_count = u16::try_from(cores).map_err(|_| {
        NodeError::Start(format!("{cores} cores are more than the {} a node can have", u16::MAX))
    })?;
    let hash_seed = settings.hash_seed;
    let shared = Arc::new(Shared {
        started: m3_io::time::now(),
        shards: ShardMap { num_shards: LOCAL_SHARDS, core_count, hash_seed },
        driver: report.clone(),
        query: settings.config.query.clone(),
        restriction: settings.restriction.clone(),
        memory: Memory::new(settings.memory_limit),
        series_per_namespace_max: settings.config.series_per_namespace_max,
        quarantine: Quarantine::load(&settings.config.data_dir),
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
