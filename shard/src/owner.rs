//! Which core owns a series: `murmur3_32(id) % num_shards`, then shard -> core.
//!
//! The shard of a series is decided once and is the same on every node. Which core has a shard is a
//! matter of this node, and may change with its number of cores at the next start.

use m3_metric::murmur3::murmur3_32;
use m3_metric::{CoreId, ShardId, labels};

/// How this node assigns series to its cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardMap {
    /// Virtual shards of the node's placement.
    pub num_shards: u32,
    /// Cores of this run.
    pub core_count: u16,
    /// `hashing.seed` of M3's configuration.
    pub hash_seed: u32,
}

impl ShardMap {
    /// The virtual shard of the series with these canonical labels.
    #[must_use]
    pub fn shard_of(&self, canonical: &[u8]) -> ShardId {
        let id = labels::quoted_id(canonical);
        ShardId(murmur3_32(self.hash_seed, id.as_bytes()) % self.num_shards)
    }

    /// The core that owns `shard`.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "a remainder of a u16")]
    pub const fn owner(&self, shard: ShardId) -> CoreId {
        CoreId((shard.0 % self.core_count as u32) as u16)
    }
}
