//! What a node is started with: a configuration, checked and in the units that the node uses.

use crate::config::{CommitAck, Config, RestrictTags};
use crate::memory;
use m3_http::ServerLimits;
use m3_io::driver::DriverChoice;
use m3_io::runtime;
use m3_metric::fetch::TagRestriction;
use m3_metric::labels::LabelLimits;
use m3_metric::{MatchOp, Matcher};
use m3_shard::commitlog::Ack;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

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
