//! The nouns that all crates share: time, labels, matchers, samples, batches, limits.
//!
//! Suggested reading order: [`time`], [`labels`], [`sample`], [`batch`], [`fingerprint`],
//! [`outcome`], [`matcher`], [`fetch`], [`pattern`], [`quote`], [`go_duration`],
//! [`promql_duration`], [`limits`].
//!
//! Always holds: no I/O, no clock, no other crate of ours. Values can be sent to another core or
//! written to disk as they are.

pub mod batch;
pub mod fetch;
pub mod fingerprint;
pub mod go_duration;
pub mod labels;
pub mod limits;
pub mod matcher;
pub mod murmur3;
pub mod outcome;
pub mod pattern;
pub mod promql_duration;
pub mod quote;
pub mod sample;
pub mod time;
pub mod value;

pub use batch::{Record, WriteBatch};
pub use fingerprint::{Fingerprint, FingerprintKey};
pub use labels::{LabelError, Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use outcome::{Refused, WriteOutcome};
pub use sample::{STALE_NAN_BITS, ValueKind, is_stale};
pub use time::{Span, Timestamp};

/// One pinned thread with its ring. Never a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CoreId(pub u16);

/// M3's virtual shard: a hash slot of series, the unit of placement. Never a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u32);

/// A namespace's number inside this node, stable for the life of the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespaceId(pub u32);

/// A series' position in its namespace's table on one core: dense from 0, in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesOrdinal(pub u32);
