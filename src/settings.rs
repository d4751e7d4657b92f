//! What a node is started with: its configuration, and what that means on this machine.

use crate::config::{Config, RestrictTags};
use crate::memory;
use m3_io::runtime;
use m3_metric::fetch::TagRestriction;
use m3_metric::{MatchOp, Matcher};

/// The settings of a node; every value is checked already.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The configuration.
    pub config: Config,
    /// The cpus to run on, one core each.
    pub cpus: Vec<usize>,
    /// Resident bytes at which writes and queries are refused.
    pub memory_limit: u64,
    /// The restriction of every query that names none.
    pub restriction: Option<TagRestriction>,
    /// Bytes after which the next segment of the commit log begins.
    pub segment_bytes: u64,
    /// `hashing.seed`.
    pub hash_seed: u32,
}

impl Settings {
    /// The settings of a configuration on this machine.
    ///
    /// # Errors
    /// A restriction that cannot be read, or no cpu to run on.
    pub fn from_config(config: &Config) -> Result<Self, String> {
        let cpus = config.cores.clone().unwrap_or_else(runtime::affinity);
        if cpus.is_empty() {
            return Err("there is no cpu to run on: give a list with --cores".to_owned());
        }
        Ok(Self {
            cpus,
            memory_limit: match config.memory_limit {
                0 => memory::share_of(m3_io::process::memory_available()),
                limit => limit,
            },
            restriction: config.query.restrict.as_ref().map(restriction).transpose()?,
            segment_bytes: m3_shard::commitlog::writer::SEGMENT_BYTES,
            hash_seed: 0,
            config: config.clone(),
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
