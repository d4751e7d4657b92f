//! The limits of the control plane: name, unit, reason.

/// Bytes of one key. Keys are kept in memory, as in etcd.
pub const KEY_BYTES_MAX: usize = 512;
/// Bytes of one value; a placement of 8,192 shards fits.
pub const VALUE_BYTES_MAX: usize = 4 << 20;
/// Keys in the store.
pub const KEYS_MAX: usize = 4_096;
/// Kept versions of one key, including the current one.
pub const VERSIONS_PER_KEY_MAX: usize = 64;
/// Kept bytes of one key's earlier versions; the oldest are dropped first.
pub const HISTORY_BYTES_PER_KEY_MAX: usize = 4 << 20;
/// Bytes of the whole store on disk, checked before each write and load.
pub const STORE_BYTES_MAX: usize = 64 << 20;
/// Tasks that wait for a key to change.
pub const WATCHERS_MAX: usize = 1_024;
/// Bytes of a namespace's name.
pub const NAMESPACE_NAME_BYTES_MAX: usize = 255;
/// Namespaces in a registry.
pub const NAMESPACES_MAX: usize = 256;
/// Virtual shards of a placement.
pub const SHARDS_MAX: u32 = 8_192;
/// Instances of a placement.
pub const INSTANCES_MAX: usize = 1_024;
/// Bytes of an environment's, zone's or topic's name; together they fit into a key.
pub const SCOPE_NAME_BYTES_MAX: usize = 96;
/// Attempts of a compare-and-set that fails because of other changes.
pub const CAS_ATTEMPTS_MAX: usize = 8;
