//! Files of a core: reads and writes at an offset with owned buffers, and durability.
//!
//! A read appends to the spare capacity of its buffer; a write takes a buffer and gives it back.
//! Errors name the path. Free functions work on paths; [`File`] on an open file.
//!
//! Always holds: a write or sync future that was polled once must run to its end, so its owner must
//! not drop it (see [`crate::time::timeout`]). A failed sync is reported once and never retried
//! here, since the kernel may have forgotten which pages were dirty.

mod allocate;
mod blocks;
mod direct;
mod open;
mod space;
#[cfg(test)]
mod tests;
mod tree;

pub use blocks::{BLOCK_BYTES, Blocks};
pub use direct::is_refused;
pub use open::File;
#[cfg(feature = "sim")]
pub(crate) use open::How;
pub use space::DiskSpace;
pub use tree::{
    ReplaceError, create_dir_all, disk_space, exists, list_dir, lock_dir, read_file, remove,
    remove_dir, rename, replace_file, sync_dir,
};

pub use crate::blocking::{DirEntry, DirLock, LIST_DIR_MAX};
