//! The bounds of the control plane: name, unit, reason.

/// Bytes of one key; etcd keeps keys in memory, and so do we.
pub const KEY_BYTES_MAX: usize = 512;
/// Bytes of one value; a placement of 8,192 shards fits.
pub const VALUE_BYTES_MAX: usize = 4 << 20;
/// Keys in the store.
pub const KEYS_MAX: usize = 4_096;
/// Versions kept of one key, the current one included.
pub const VERSIONS_PER_KEY_MAX: usize = 64;
/// Bytes kept of one key's earlier versions; the oldest go first.
pub const HISTORY_BYTES_PER_KEY_MAX: usize = 4 << 20;
/// Bytes of the whole store on disk, checked before a write and before a load.
pub const STORE_BYTES_MAX: usize = 64 << 20;
/// Tasks that wait for a key to change.
pub const WATCHERS_MAX: usize = 1_024;
/// Bytes of an admin request's body.
pub const ADMIN_BODY_BYTES_MAX: usize = 4 << 20;
/// Bytes of a namespace's name.
pub const NAMESPACE_NAME_BYTES_MAX: usize = 255;
/// Namespaces in a registry.
pub const NAMESPACES_MAX: usize = 256;
/// Virtual shards of a placement.
pub const SHARDS_MAX: u32 = 8_192;
/// Instances of a placement.
pub const INSTANCES_MAX: usize = 1_024;
/// Bytes of an environment's, zone's or topic's name; together they fit a key.
pub const SCOPE_NAME_BYTES_MAX: usize = 96;
/// Attempts of a read-change-write that others keep interrupting.
pub const CAS_ATTEMPTS_MAX: usize = 8;
