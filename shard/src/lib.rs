//! m3-shard
