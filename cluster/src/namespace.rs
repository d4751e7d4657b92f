//! Namespaces: their options, M3's rules for them, and the registry that holds them. Pure.
//!
//! A registry is one document, `{"namespaces": {name: options}}`, in the canonical form of
//! [`crate::jsonpb`]. [`NamespaceOptions`] holds the same as a struct, for the code that acts on
//! it.
//!
//! Always holds: every namespace of a [`Registry`] has passed [`NamespaceOptions::check`]. Names
//! are unique and sorted.

mod create;
mod messages;
mod update;

pub use create::{CreateRequest, DatabaseType, Host};
pub(crate) use messages::REGISTRY;
pub use messages::{ADD_REQUEST, CREATE_REQUEST, NAMESPACE_OPTIONS, READY_REQUEST, UPDATE_REQUEST};

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

use crate::Error;
use crate::jsonpb::{self, BadDocument, Canonical};
use crate::kv::Kv;
use crate::limits::{NAMESPACE_NAME_BYTES_MAX, NAMESPACES_MAX};
use m3_metric::go_duration;

/// A namespace: its name and options.
#[derive(Clone, Debug, PartialEq)]
pub struct NamespaceMetadata {
    /// Its name.
    pub name: String,
    /// Its options.
    pub options: NamespaceOptions,
}

/// All options of a namespace that M3 knows. Times are in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "M3's document has these switches")]
pub struct NamespaceOptions {
    /// Whether a starting node loads the namespace's data before it serves it.
    pub bootstrap_enabled: bool,
    /// Whether closed blocks are written to disk.
    pub flush_enabled: bool,
    /// Whether writes go to the commit log.
    pub writes_to_commit_log: bool,
    /// Whether data beyond retention is removed.
    pub cleanup_enabled: bool,
    /// Whether replicas are compared and repaired.
    pub repair_enabled: bool,
    /// How long data is kept, and how it is divided into blocks.
    pub retention: RetentionOptions,
    /// Whether open blocks are written to snapshots.
    pub snapshot_enabled: bool,
    /// How the namespace is indexed.
    pub index: IndexOptions,
    /// Protobuf schemas; stored but not used.
    pub schema: Value,
    /// Whether samples outside the write window are accepted.
    pub cold_writes_enabled: bool,
    /// Concurrency of indexing; stored but not used.
    pub runtime: Value,
    /// Whether blocks read from disk are cached.
    pub cache_blocks_on_retrieve: bool,
    /// The kinds of data in the namespace; `None` if not given, which means unaggregated.
    pub aggregations: Option<Vec<Aggregation>>,
    /// How far the namespace's introduction has come.
    pub staging: StagingStatus,
    /// Options of extensions; stored but not used.
    pub extended: Value,
}

/// How long data is kept and when it may be written, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionOptions {
    /// How long a sample is kept.
    pub period_ns: i64,
    /// The length of a block.
    pub block_size_ns: i64,
    /// How far ahead of the clock a sample may be.
    pub buffer_future_ns: i64,
    /// How far behind the clock a sample may be, unless cold writes are enabled.
    pub buffer_past_ns: i64,
    /// Whether cached blocks expire when they are not read.
    pub block_data_expiry: bool,
    /// How long after the last read they expire.
    pub block_data_expiry_after_ns: i64,
    /// How far ahead of the clock a cold write may be.
    pub future_period_ns: i64,
}

/// How a namespace is indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexOptions {
    /// Whether series can be found by label.
    pub enabled: bool,
    /// The length of an index block in nanoseconds.
    pub block_size_ns: i64,
}

/// A kind of data in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Samples as they were sent.
    Unaggregated,
    /// Samples that the downsampler produced.
    Aggregated {
        /// Their resolution in nanoseconds.
        resolution_ns: i64,
        /// Whether all metrics are downsampled into it, not only those that a rule names.
        downsample_all: bool,
    },
}

/// How far a namespace's introduction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StagingStatus {
    /// Just added.
    Unknown,
    /// Nodes are preparing it.
    Initializing,
    /// It accepts reads and writes.
    Ready,
}

/// Why a namespace is refused, in M3's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadNamespace {
    /// The metadata is wrong; shown after `bad namespace metadata: `.
    Metadata(String),
    /// Anything else.
    Other(String),
    /// The name is taken already.
    Exists,
    /// No namespace has the name.
    Missing,
}

impl fmt::Display for BadNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata(words) => write!(f, "bad namespace metadata: {words}"),
            Self::Other(words) => f.write_str(words),
            Self::Exists => f.write_str("namespace with the same ID already exists"),
            Self::Missing => f.write_str("unable to find a namespace with specified name"),
        }
    }
}

impl std::error::Error for BadNamespace {}

impl StagingStatus {
    const NAMES: [&'static str; 3] = ["UNKNOWN", "INITIALIZING", "READY"];

    fn name(self) -> &'static str {
        match self {
            Self::Unknown => Self::NAMES[0],
            Self::Initializing => Self::NAMES[1],
            Self::Ready => Self::NAMES[2],
        }
    }

    fn from_name(name: &str) -> Self {
        match name {
            "INITIALIZING" => Self::Initializing,
            "READY" => Self::Ready,
            _ => Self::Unknown,
        }
    }
}

impl NamespaceOptions {
    /// Reads the options from a canonical `namespace.NamespaceOptions`.
    ///
    /// # Errors
    /// M3's error if a required part is missing.
    pub fn from_canonical(options: &Map<String, Value>) -> Result<Self, BadNamespace> {
        let retention = options
            .object("retentionOptions")
            .ok_or_else(|| BadNamespace::Metadata("retention options must be set".to_string()))?;
        let retention = RetentionOptions {
            period_ns: retention.int("retentionPeriodNanos"),
            block_size_ns: retention.int("blockSizeNanos"),
            buffer_future_ns: retention.int("bufferFutureNanos"),
            buffer_past_ns: retention.int("bufferPastNanos"),
            block_data_expiry: retention.flag("blockDataExpiry"),
            block_data_expiry_after_ns: retention.int("blockDataExpiryAfterNotAccessPeriodNanos"),
            future_period_ns: retention.int("futureRetentionPeriodNanos"),
        };
        let index = options.object("indexOptions").map_or(
            IndexOptions { enabled: false, block_size_ns: retention.block_size_ns },
            |index| IndexOptions {
                enabled: index.flag("enabled"),
                block_size_ns: index.int("blockSizeNanos"),
            },
        );
        let aggregations =
            options.object("aggregationOptions").map(read_aggregations).transpose()?;
        let any = |name: &str| options.get(name).cloned().unwrap_or(Value::Null);
        Ok(Self {
            bootstrap_enabled: options.flag("bootstrapEnabled"),
            flush_enabled: options.flag("flushEnabled"),
            writes_to_commit_log: options.flag("writesToCommitLog"),
            cleanup_enabled: options.flag("cleanupEnabled"),
            repair_enabled: options.flag("repairEnabled"),
            retention,
            snapshot_enabled: options.flag("snapshotEnabled"),
            index,
            schema: any("schemaOptions"),
            cold_writes_enabled: options.flag("coldWritesEnabled"),
            runtime: unless_empty(any("runtimeOptions")),
            cache_blocks_on_retrieve: options.flag("cacheBlocksOnRetrieve"),
            aggregations: aggregations.filter(|aggregations| !aggregations.is_empty()),
            staging: StagingStatus::from_name(
                options.object("stagingState").map_or("", |staging| staging.text("status")),
            ),
            extended: any("extendedOptions"),
        })
    }

    /// The canonical document, every field in M3's order.
    #[must_use]
    pub fn to_canonical(&self) -> Value {
        let retention = &self.retention;
        let nanos = |ns: i64| ns.to_string();
        json!({
            "bootstrapEnabled": self.bootstrap_enabled,
            "flushEnabled": self.flush_enabled,
            "writesToCommitLog": self.writes_to_commit_log,
            "cleanupEnabled": self.cleanup_enabled,
            "repairEnabled": self.repair_enabled,
            "retentionOptions": {
                "retentionPeriodNanos": nanos(retention.period_ns),
                "blockSizeNanos": nanos(retention.block_size_ns),
                "bufferFutureNanos": nanos(retention.buffer_future_ns),
                "bufferPastNanos": nanos(retention.buffer_past_ns),
                "blockDataExpiry": retention.block_data_expiry,
                "blockDataExpiryAfterNotAccessPeriodNanos":
                    nanos(retention.block_data_expiry_after_ns),
                "futureRetentionPeriodNanos": nanos(retention.future_period_ns),
            },
            "snapshotEnabled": self.snapshot_enabled,
            "indexOptions": {
                "enabled": self.index.enabled,
                "blockSizeNanos": nanos(self.index.block_size_ns),
            },
            "schemaOptions": self.schema,
            "coldWritesEnabled": self.cold_writes_enabled,
            "runtimeOptions": self.runtime,
            "cacheBlocksOnRetrieve": self.cache_blocks_on_retrieve,
            "aggregationOptions": self.aggregations.as_deref().map(write_aggregations),
            "stagingState": { "status": self.staging.name() },
            "extendedOptions": self.extended,
        })
    }

    /// Checks M3's rules for one namespace.
    ///
    /// # Errors
    /// The first broken rule, in M3's words.
    pub fn check(&self) -> Result<(), BadNamespace> {
        let retention = &self.retention;
        let rules = [
            (retention.block_size_ns <= 0, "block size must positive"),
            (retention.buffer_future_ns < 0, "buffer future must be non-negative"),
            (retention.buffer_past_ns < 0, "buffer past must be non-negative"),
            (retention.future_period_ns < 0, "future retention period must be non-negative"),
            (
                retention.buffer_future_ns >= retention.block_size_ns,
                "buffer future must be smaller than block size",
            ),
            (
                retention.buffer_past_ns >= retention.block_size_ns,
                "buffer past must be smaller than block size",
            ),
            (
                retention.period_ns < retention.block_size_ns,
                "retention period must not be smaller than block size",
            ),
        ];
        first_broken(&rules)?;
        for aggregation in self.aggregations.iter().flatten() {
            if let Aggregation::Aggregated { resolution_ns, .. } = aggregation {
                check_resolution(*resolution_ns).map_err(BadNamespace::Metadata)?;
            }
        }
        let index = &self.index;
        if !index.enabled {
            return Ok(());
        }
        let rules = [
            (index.block_size_ns <= 0, "index block size must positive"),
            (
                index.block_size_ns > retention.period_ns,
                "index block size needs to be <= namespace retention period",
            ),
            (
                index.block_size_ns.checked_rem(retention.block_size_ns) != Some(0),
                "index block size must be a multiple of data block size",
            ),
        ];
        first_broken(&rules)?;
        self.check_index_size()
    }

    /// M3 requires the two sizes to be equal, even if the index is disabled.
    fn check_index_size(&self) -> Result<(), BadNamespace> {
        let (blocks, index) = (self.retention.block_size_ns, self.index.block_size_ns);
        if blocks == index {
            return Ok(());
        }
        Err(BadNamespace::Other(format!(
            "index and retention block size must match ({}, {})",
            go_duration::format(blocks),
            go_duration::format(index)
        )))
    }

    /// Refuses all extensions: M3's own distribution has code for none of them.
    fn check_extended(&self) -> Result<(), String> {
        let Some(kind) = self.extended.get("type").and_then(Value::as_str) else { return Ok(()) };
        Err(format!("dynamic ExtendedOptions converter not registered for type {kind}"))
    }

    /// The aggregated kind of data in this namespace, if it has one: its resolution in nanoseconds,
    /// and whether all metrics are downsampled into it.
    #[must_use]
    pub fn aggregated(&self) -> Option<(i64, bool)> {
        self.aggregations.iter().flatten().find_map(|aggregation| match aggregation {
            Aggregation::Aggregated { resolution_ns, downsample_all } => {
                Some((*resolution_ns, *downsample_all))
            }
            Aggregation::Unaggregated => None,
        })
    }
}

/// Refuses a resolution that samples cannot have, in M3's words.
fn check_resolution(resolution_ns: i64) -> Result<(), String> {
    if resolution_ns > 0 {
        return Ok(());
    }
    let given = go_duration::format(resolution_ns);
    Err(format!("invalid resolution {given}. must be greater than 0"))
}

/// `null` for a message without any given field.
fn unless_empty(message: Value) -> Value {
    let is_empty = message.as_object().is_some_and(|m| m.values().all(Value::is_null));
    if is_empty { Value::Null } else { message }
}

fn first_broken(rules: &[(bool, &str)]) -> Result<(), BadNamespace> {
    match rules.iter().find(|(broken, _)| *broken) {
        Some((_, words)) => Err(BadNamespace::Metadata((*words).to_string())),
        None => Ok(()),
    }
}

fn read_aggregations(options: &Map<String, Value>) -> Result<Vec<Aggregation>, BadNamespace> {
    let read = |aggregation: &Map<String, Value>| {
        if !aggregation.flag("aggregated") {
            return Ok(Aggregation::Unaggregated);
        }
        let attributes = aggregation.object("attributes").ok_or_else(|| {
            BadNamespace::Metadata("must set Attributes when aggregated is true".to_string())
        })?;
        Ok(Aggregation::Aggregated {
            resolution_ns: attributes.int("resolutionNanos"),
            downsample_all: attributes
                .object("downsampleOptions")
                .is_none_or(|options| options.flag("all")),
        })
    };
    options.objects("aggregations").map(read).collect()
}

fn write_aggregations(aggregations: &[Aggregation]) -> Value {
    let write = |aggregation: &Aggregation| match aggregation {
        Aggregation::Unaggregated => json!({ "aggregated": false, "attributes": null }),
        Aggregation::Aggregated { resolution_ns, downsample_all } => json!({
            "aggregated": true,
            "attributes": {
                "resolutionNanos": resolution_ns.to_string(),
                "downsampleOptions": { "all": downsample_all },
            },
        }),
    };
    json!({ "aggregations": aggregations.iter().map(write).collect::<Vec<_>>() })
}

/// The namespaces of an environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    /// Options by name.
    pub namespaces: BTreeMap<String, NamespaceOptions>,
}

impl Registry {
    /// The namespaces of the default environment, which the node applies to its storage.
    ///
    /// # Errors
    /// The store's error, or a document that was damaged by hand.
    pub async fn load(kv: &dyn Kv) -> Result<Vec<NamespaceMetadata>, Error> {
        let (registry, _) =
            crate::admin::load_registry(kv, &crate::admin::Scope::default()).await?;
        let metadata = |(name, options)| NamespaceMetadata { name, options };
        Ok(registry.namespaces.into_iter().map(metadata).collect())
    }

    /// Reads the registry from a JSON document.
    ///
    /// # Errors
    /// What is wrong with the document.
    pub fn from_json(document: &Value) -> Result<Self, BadDocument> {
        let registry = jsonpb::read(document, &REGISTRY)?;
        let mut namespaces = BTreeMap::new();
        for (name, options) in registry.object("namespaces").into_iter().flatten() {
            let options = options.as_object().expect("a map of messages holds objects");
            let options = NamespaceOptions::from_canonical(options)
                .and_then(|options| options.check().map(|()| options))
                .map_err(|error| BadDocument(format!("namespace {name:?}: {error}")))?;
            check_name(name).map_err(|error| BadDocument(error.to_string()))?;
            namespaces.insert(name.clone(), options);
        }
        Ok(Self { namespaces })
    }

    /// The canonical document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let namespaces: Map<String, Value> = self
            .namespaces
            .iter()
            .map(|(n, options)| (n.clone(), options.to_canonical()))
            .collect();
        json!({ "namespaces": namespaces })
    }

    /// Adds a namespace.
    ///
    /// # Errors
    /// A name or option that breaks a rule, or a name that is taken.
    pub fn add(&mut self, name: &str, options: NamespaceOptions) -> Result<(), BadNamespace> {
        check_name(name)?;
        options.check_extended().map_err(BadNamespace::Metadata)?;
        options.check()?;
        options.check_index_size()?;
        if self.namespaces.contains_key(name) {
            return Err(BadNamespace::Exists);
        }
        if self.namespaces.len() >= NAMESPACES_MAX {
            return Err(BadNamespace::Other(format!(
                "cannot add namespace {name}: a registry holds at most {NAMESPACES_MAX}"
            )));
        }
        self.namespaces.insert(name.to_string(), options);
        self.check_policies()
    }

    /// Removes a namespace.
    ///
    /// # Errors
    /// No namespace has the name.
    pub fn remove(&mut self, name: &str) -> Result<(), BadNamespace> {
        self.namespaces.remove(name).map(|_| ()).ok_or(BadNamespace::Missing)
    }

    /// Queries choose aggregated namespaces by resolution and retention, so no two may have both in
    /// common.
    fn check_policies(&self) -> Result<(), BadNamespace> {
        let mut policies = std::collections::BTreeSet::new();
        for options in self.namespaces.values() {
            let Some((resolution_ns, _)) = options.aggregated() else { continue };
            let period_ns = options.retention.period_ns;
            if !policies.insert((resolution_ns, period_ns)) {
                return Err(BadNamespace::Other(format!(
                    "resolution and retention combination must be unique. namespace with \
                     resolution={} retention={} already exists",
                    go_duration::format(resolution_ns),
                    go_duration::format(period_ns)
                )));
            }
        }
        Ok(())
    }
}

/// Allows names that can be part of a route and of a file name.
fn check_name(name: &str) -> Result<(), BadNamespace> {
    let words = if name.is_empty() {
        "namespace ID is not set".to_string()
    } else if name.len() > NAMESPACE_NAME_BYTES_MAX {
        format!("namespace ID has {} bytes, the limit is {NAMESPACE_NAME_BYTES_MAX}", name.len())
    } else if name == "." || name == ".." || name.contains(['/', '\\']) {
        format!("namespace ID {name:?} cannot be part of a path: no slashes, not \".\" or \"..\"")
    } else if name.chars().any(char::is_control) {
        format!("namespace ID {name:?} has control characters")
    } else {
        return Ok(());
    };
    Err(BadNamespace::Metadata(words))
}

#[cfg(test)]
mod tests;
