//! `database/create`: one request that creates a namespace, optionally an aggregated one, and the
//! placement.
//!
//! Missing options are chosen as M3 does, above all the block size by retention.
#![warn(clippy::arithmetic_side_effects)]

use m3_metric::{Span, Timestamp};
use serde_json::{Map, Value};

use super::{
    Aggregation, BadNamespace, IndexOptions, NamespaceMetadata, NamespaceOptions, RetentionOptions,
    StagingStatus, check_resolution,
};
use crate::jsonpb::Canonical;
use m3_metric::go_duration;

const MINUTE_NS: i64 = 60_000_000_000;
const HOUR_NS: i64 = 60 * MINUTE_NS;
const DAY_NS: i64 = 24 * HOUR_NS;

/// Default retention.
const RETENTION_DEFAULT_NS: i64 = DAY_NS;
/// Samples of one series that make a block of good size.
const SAMPLES_PER_BLOCK: i64 = 720;
/// Block sizes, each up to a retention; the last one also for longer retentions.
const BLOCK_SIZES: [(i64, i64); 5] = [
    (12 * HOUR_NS, 30 * MINUTE_NS),
    (DAY_NS, HOUR_NS),
    (7 * DAY_NS, 2 * HOUR_NS),
    (30 * DAY_NS, 12 * HOUR_NS),
    (i64::MAX, DAY_NS),
];

/// The requested kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseType {
    /// One node; no hosts are named.
    Local,
    /// The hosts that the request names.
    Cluster,
}

/// A node of the cluster to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name, unique in the cluster.
    pub id: String,
    /// Where it can be reached.
    pub address: String,
    /// Its port.
    pub port: u32,
    /// Its failure domain.
    pub isolation_group: String,
    /// Its zone.
    pub zone: String,
    /// Its share of the shards.
    pub weight: u32,
}

/// A checked `database/create` request.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateRequest {
    /// The requested kind of database.
    pub kind: DatabaseType,
    /// Whether the request names the kind; otherwise it matches any existing placement.
    pub is_kind_given: bool,
    /// The namespaces to add: the unaggregated one, then the aggregated one if requested.
    pub namespaces: Vec<NamespaceMetadata>,
    /// The nodes of the cluster.
    pub hosts: Vec<Host>,
    /// Requested shards; 0 means the default.
    pub shards: i64,
    /// Requested replicas; 0 means the default.
    pub replicas: i64,
}

impl CreateRequest {
    /// Reads the request from a canonical `admin.DatabaseCreateRequest`.
    ///
    /// # Errors
    /// What is missing or wrong, in M3's words.
    pub fn from_canonical(request: &Map<String, Value>) -> Result<Self, BadNamespace> {
        let name = request.text("namespaceName");
        if name.is_empty() {
            return Err(other("missing required field: namespaceName"));
        }
        let hosts = request.objects("hosts").map(read_host).collect::<Result<Vec<_>, _>>()?;
        let kind = match request.text("type") {
            "local" => DatabaseType::Local,
            "cluster" => DatabaseType::Cluster,
            // As in M3. Hosts without a type can only mean a cluster.
            "" if hosts.is_empty() => DatabaseType::Local,
            "" => DatabaseType::Cluster,
            _ => return Err(other("invalid database type")),
        };
        let retention_ns = read_retention(request.text("retentionTime"))?;
        let block_size_ns = read_block_size(request.object("blockSize"), retention_ns)?;
        let options = defaults(retention_ns, block_size_ns, Aggregation::Unaggregated);
        let mut namespaces = vec![NamespaceMetadata { name: name.to_string(), options }];
        if let Some(aggregated) = request.object("aggregatedNamespace") {
            namespaces.push(read_aggregated(aggregated)?);
        }
        Ok(Self {
            kind,
            is_kind_given: !request.text("type").is_empty(),
            namespaces,
            hosts,
            shards: request.int("numShards"),
            replicas: request.int("replicationFactor"),
        })
    }
}

fn other(words: &str) -> BadNamespace {
    BadNamespace::Other(words.to_string())
}

fn read_host(host: &Map<String, Value>) -> Result<Host, BadNamespace> {
    let or_local = |text: &str| match text.trim() {
        "" => "local".to_string(),
        text => text.to_string(),
    };
    let id = host.text("id").trim();
    if id.is_empty() {
        return Err(other("missing host ID"));
    }
    Ok(Host {
        id: id.to_string(),
        address: host.text("address").to_string(),
        port: host.uint("port"),
        isolation_group: or_local(host.text("isolationGroup")),
        zone: or_local(host.text("zone")),
        weight: host.uint("weight").max(1),
    })
}

fn read_aggregated(request: &Map<String, Value>) -> Result<NamespaceMetadata, BadNamespace> {
    for (field, name) in
        [("name", "name"), ("resolution", "resolution"), ("retentionTime", "retention_time")]
    {
        if request.text(field).is_empty() {
            return Err(BadNamespace::Other(format!(
                "{name} required when aggregatedNamespace is set"
            )));
        }
    }
    let retention_ns = read_retention(request.text("retentionTime"))?;
    let resolution_ns = go_duration::parse(request.text("resolution"))
        .map_err(|error| BadNamespace::Other(format!("invalid resolution: {error}")))?;
    check_resolution(resolution_ns).map_err(BadNamespace::Other)?;
    let block_size_ns = block_size_for(retention_ns);
    let aggregation = Aggregation::Aggregated { resolution_ns, downsample_all: true };
    Ok(NamespaceMetadata {
        name: request.text("name").to_string(),
        options: defaults(retention_ns, block_size_ns, aggregation),
    })
}

fn read_retention(text: &str) -> Result<i64, BadNamespace> {
    if text.is_empty() {
        return Ok(RETENTION_DEFAULT_NS);
    }
    go_duration::parse(text)
        .map_err(|error| BadNamespace::Other(format!("invalid retention time: {error}")))
}

fn read_block_size(
    given: Option<&Map<String, Value>>,
    retention_ns: i64,
) -> Result<i64, BadNamespace> {
    let Some(given) = given else { return Ok(block_size_for(retention_ns)) };
    if !given.text("time").is_empty() {
        return go_duration::parse(given.text("time"))
            .map_err(|error| BadNamespace::Other(format!("invalid block size time: {error}")));
    }
    match given.int("expectedSeriesDatapointsPerHour") {
        ..=0 => Ok(block_size_for(retention_ns)),
        per_hour => {
            let ideal_ns = (SAMPLES_PER_BLOCK * HOUR_NS).checked_div(per_hour).unwrap_or(DAY_NS);
            let snapped = Timestamp(ideal_ns).block_start(Span(5 * MINUTE_NS));
            Ok(snapped.0.clamp(30 * MINUTE_NS, DAY_NS))
        }
    }
}

/// The block size that M3 recommends for a retention.
fn block_size_for(retention_ns: i64) -> i64 {
    BLOCK_SIZES.iter().find(|(up_to, _)| retention_ns <= *up_to).map_or(DAY_NS, |(_, size)| *size)
}

/// The options that `database/create` gives a namespace.
fn defaults(retention_ns: i64, block_size_ns: i64, aggregation: Aggregation) -> NamespaceOptions {
    NamespaceOptions {
        bootstrap_enabled: true,
        flush_enabled: true,
        writes_to_commit_log: true,
        cleanup_enabled: true,
        repair_enabled: false,
        retention: RetentionOptions {
            period_ns: retention_ns,
            block_size_ns,
            buffer_future_ns: 2 * MINUTE_NS,
            buffer_past_ns: 10 * MINUTE_NS,
            block_data_expiry: true,
            block_data_expiry_after_ns: 5 * MINUTE_NS,
            future_period_ns: 0,
        },
        snapshot_enabled: true,
        index: IndexOptions { enabled: true, block_size_ns },
        schema: Value::Null,
        cold_writes_enabled: false,
        runtime: Value::Null,
        cache_blocks_on_retrieve: false,
        aggregations: Some(vec![aggregation]),
        staging: StagingStatus::Unknown,
        extended: Value::Null,
    }
}
