//! Which keys there are, and applying a merged configuration by them.
//!
//! A key is a knob, a key of M3's that means nothing here, a key that asks for what this version
//! does not do, or the beginning of one of those. Everything else is refused.

use super::error::nearest;
use super::yaml::{Entry, Node, Tree};
use super::{Config, ConfigError, KNOBS, Knob, RestrictMatcher, RestrictTags};

/// Restriction of every query; has a shape of its own.
const RESTRICT: &str = "coordinator.query.restrictTags";

/// M3's keys that tune its own runtime. Whatever stands below them is accepted.
const IDLE: &[&str] = &[
    "coordinator.cache",
    "coordinator.clusterManagement",
    "coordinator.debug",
    "coordinator.experimental",
    "coordinator.http.enableH2C",
    "coordinator.limits.global",
    "coordinator.limits.perQuery.instanceMultiple",
    "coordinator.limits.perQuery.maxFetchedDatapoints",
    "coordinator.logging.fields",
    "coordinator.logging.file",
    "coordinator.metrics.extended",
    "coordinator.metrics.prometheus.defaultHistogramBuckets",
    "coordinator.metrics.prometheus.defaultSummaryObjectives",
    "coordinator.metrics.prometheus.handlerPath",
    "coordinator.metrics.prometheus.onError",
    "coordinator.metrics.prometheus.timerType",
    "coordinator.metrics.samplingRate",
    "coordinator.metrics.sanitization",
    "coordinator.metrics.scope",
    "coordinator.multiProcess",
    "coordinator.query.consolidation",
    "coordinator.query.prometheus.convert",
    "coordinator.readWorkerPoolPolicy",
    "coordinator.resultOptions",
    "coordinator.tagOptions.filters",
    "coordinator.tagOptions.idScheme",
    "coordinator.writeWorkerPoolPolicy",
    "db.blockRetrieve",
    "db.bootstrap",
    "db.cache",
    "db.commitlog.flushEvery",
    "db.commitlog.flushMaxBytes",
    "db.commitlog.queue",
    "db.commitlog.queueChannel",
    "db.config",
    "db.debug",
    "db.filesystem.bloomFilterFalsePositivePercent",
    "db.filesystem.dataReadBufferSize",
    "db.filesystem.forceBloomFilterMmapMemory",
    "db.filesystem.forceIndexSummariesMmapMemory",
    "db.filesystem.infoReadBufferSize",
    "db.filesystem.mmap",
    "db.filesystem.newDirectoryMode",
    "db.filesystem.newFileMode",
    "db.filesystem.seekReadBufferSize",
    "db.filesystem.throughputCheckEvery",
    "db.filesystem.throughputLimitMbps",
    "db.filesystem.writeBufferSize",
    "db.gcPercentage",
    "db.hostID.file.timeout",
    "db.index",
    "db.logging.fields",
    "db.logging.file",
    "db.metrics.extended",
    "db.metrics.prometheus.defaultHistogramBuckets",
    "db.metrics.prometheus.defaultSummaryObjectives",
    "db.metrics.prometheus.handlerPath",
    "db.metrics.prometheus.onError",
    "db.metrics.prometheus.timerType",
    "db.metrics.samplingRate",
    "db.metrics.sanitization",
    "db.metrics.scope",
    "db.pooling",
    "db.tchannel",
    "db.tick",
    "db.wide",
    "db.writeNewSeriesAsync",
    "db.writeNewSeriesBackoffDuration",
];

/// M3's keys that ask for something this version does not do. Accepted, and named as such.
const LATER: &[&str] = &[
    "coordinator.backend",
    "coordinator.carbon",
    "coordinator.clusters",
    "coordinator.downsample",
    "coordinator.filter",
    "coordinator.ingest",
    "coordinator.local",
    "coordinator.metrics.m3",
    "coordinator.metrics.tags",
    "coordinator.middleware",
    "coordinator.prometheusRemoteBackend",
    "coordinator.rpc",
    "coordinator.storeMetricsType",
    "coordinator.tracing",
    "coordinator.writeForwarding",
    "db.client",
    "db.clusterListenAddress",
    "db.debugListenAddress",
    "db.discovery",
    "db.forceColdWritesEnabled",
    "db.hashing",
    "db.httpClusterListenAddress",
    "db.httpNodeListenAddress",
    "db.limits",
    "db.metrics.m3",
    "db.metrics.tags",
    "db.proto",
    "db.repair",
    "db.replication",
    "db.tracing",
    "db.transforms",
];

/// Every known key.
fn keys() -> impl Iterator<Item = &'static str> {
    let knobs = KNOBS.iter().flat_map(|knob| knob.names.iter());
    knobs.chain(IDLE).chain(LATER).copied().chain([RESTRICT])
}

/// Applies a merged configuration.
pub(super) fn apply(config: &mut Config, tree: &Tree) -> Result<(), ConfigError> {
    apply_section(config, "", tree)
}

fn apply_section(config: &mut Config, prefix: &str, tree: &Tree) -> Result<(), ConfigError> {
    let entries = match &tree.node {
        Node::Map(entries) => entries,
        Node::Null => return Ok(()),
        Node::Scalar(_) | Node::List(_) => {
            let key = prefix.trim_end_matches('.');
            return Err(ConfigError::BadValue {
                place: tree.place(),
                key: if key.is_empty() { "the file".to_string() } else { key.to_string() },
                value: tree.describe(),
                expected: format!("keys such as {}", children(prefix).join(", ")),
            });
        }
    };
    for entry in entries {
        let key = format!("{prefix}{}", entry.key);
        apply_entry(config, key, entry)?;
    }
    Ok(())
}

fn apply_entry(config: &mut Config, key: String, entry: &Entry) -> Result<(), ConfigError> {
    if let Some(knob) = Knob::of_key(&key) {
        return apply_knob(config, knob, &key, &entry.value);
    }
    if key == RESTRICT {
        config.query.restrict = read_restriction(&entry.value)?;
        return Ok(());
    }
    if IDLE.contains(&key.as_str()) {
        config.idle.push(key);
        return Ok(());
    }
    if LATER.contains(&key.as_str()) {
        config.later.push(key);
        return Ok(());
    }
    let section = format!("{key}.");
    if keys().any(|known| known.starts_with(&section)) {
        return apply_section(config, &section, &entry.value);
    }
    Err(ConfigError::UnknownKey { place: entry.place(), nearest: suggest(&key), key })
}

fn apply_knob(
    config: &mut Config,
    knob: &Knob,
    key: &str,
    value: &Tree,
) -> Result<(), ConfigError> {
    let text = match &value.node {
        Node::Null => return Ok(()),
        Node::Scalar(text) => text.clone(),
        // `cores: [0, 1]` reads as well as `cores: 0,1`.
        Node::List(items) if key == "io.cores" => {
            let items: Vec<String> = items.iter().map(Tree::describe).collect();
            items.join(",")
        }
        Node::List(_) | Node::Map(_) => {
            return Err(bad_value(value, key, &knob.expected()));
        }
    };
    match knob.set(config, &text, &value.place()) {
        // Named as it was written, not by the name we prefer.
        Err(ConfigError::BadValue { place, value, expected, .. }) => {
            Err(ConfigError::BadValue { place, key: key.to_string(), value, expected })
        }
        other => other,
    }
}

fn bad_value(tree: &Tree, key: &str, expected: &str) -> ConfigError {
    ConfigError::BadValue {
        place: tree.place(),
        key: key.to_string(),
        value: tree.describe(),
        expected: expected.to_string(),
    }
}

/// The keys that may stand directly below `prefix`.
fn children(prefix: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> = keys()
        .filter_map(|known| known.strip_prefix(prefix))
        .filter_map(|rest| rest.split('.').next())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// A known key that may be meant by `key`: a neighbour that is spelt alike, or one of the same name
/// elsewhere, such as a coordinator's key at the top of the file.
fn suggest(key: &str) -> Option<String> {
    let (prefix, last) = match key.rfind('.') {
        Some(dot) => key.split_at(dot + 1),
        None => ("", key),
    };
    if let Some(name) = nearest(last, children(prefix)) {
        return Some(format!("{prefix}{name}"));
    }
    let same = |known: &&str| {
        let mut parts = known.split('.');
        parts.any(|part| part.eq_ignore_ascii_case(last))
    };
    let known = keys().find(same)?;
    let end = known
        .split('.')
        .scan(0, |end, part| {
            *end += part.len() + 1;
            Some((*end - 1, part))
        })
        .find(|(_, part)| part.eq_ignore_ascii_case(last))?;
    Some(known[..end.0].to_string())
}

const MATCHER_KINDS: [&str; 6] =
    ["EQUAL", "NOTEQUAL", "REGEXP", "NOTREGEXP", "EXISTS", "NOTEXISTS"];

fn read_restriction(tree: &Tree) -> Result<Option<RestrictTags>, ConfigError> {
    let mut restriction = RestrictTags::default();
    let entries = match &tree.node {
        Node::Null => return Ok(None),
        Node::Map(entries) => entries,
        _ => return Err(bad_value(tree, RESTRICT, "the keys match and strip")),
    };
    for entry in entries {
        match (entry.key.as_str(), &entry.value.node) {
            ("match", Node::List(items)) => {
                restriction.matchers = items.iter().map(read_matcher).collect::<Result<_, _>>()?;
            }
            ("strip", Node::List(items)) => {
                restriction.strip = Some(items.iter().map(Tree::describe).collect());
            }
            ("match" | "strip", Node::Null) => {}
            ("match" | "strip", _) => {
                let key = format!("{RESTRICT}.{}", entry.key);
                return Err(bad_value(&entry.value, &key, "a list"));
            }
            _ => return Err(unknown_in(RESTRICT, entry, &["match", "strip"])),
        }
    }
    Ok(Some(restriction))
}

fn read_matcher(tree: &Tree) -> Result<RestrictMatcher, ConfigError> {
    let key = format!("{RESTRICT}.match");
    let expected = "a matcher with name, type and value";
    let Node::Map(entries) = &tree.node else { return Err(bad_value(tree, &key, expected)) };
    let mut matcher = RestrictMatcher {
        name: String::new(),
        kind: MATCHER_KINDS[0].to_string(),
        value: String::new(),
    };
    for entry in entries {
        let Node::Scalar(text) = &entry.value.node else {
            return Err(bad_value(&entry.value, &format!("{key}.{}", entry.key), "a text"));
        };
        match entry.key.as_str() {
            "name" => matcher.name.clone_from(text),
            "value" => matcher.value.clone_from(text),
            "type" if MATCHER_KINDS.contains(&text.to_ascii_uppercase().as_str()) => {
                matcher.kind = text.to_ascii_uppercase();
            }
            "type" => {
                let words = format!("one of {}", MATCHER_KINDS.join(", "));
                return Err(bad_value(&entry.value, &format!("{key}.type"), &words));
            }
            _ => return Err(unknown_in(&key, entry, &["name", "type", "value"])),
        }
    }
    if matcher.name.is_empty() {
        return Err(bad_value(tree, &key, expected));
    }
    Ok(matcher)
}

fn unknown_in(section: &str, entry: &Entry, known: &[&'static str]) -> ConfigError {
    ConfigError::UnknownKey {
        place: entry.place(),
        key: format!("{section}.{}", entry.key),
        nearest: nearest(&entry.key, known.iter().copied()).map(|name| format!("{section}.{name}")),
    }
}
