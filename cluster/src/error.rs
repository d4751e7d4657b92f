//! Errors of the control plane, with the facts that a person needs to act.

use std::fmt;
use std::path::PathBuf;

/// An error of the control plane.
#[derive(Debug)]
pub enum Error {
    /// A key that the store does not accept.
    BadKey {
        /// The key as it was given.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something is larger than its bound.
    TooLarge {
        /// What is too large: a value, the number of keys, the store or the number of watchers.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The largest accepted size.
        max: usize,
    },
    /// A compare-and-set found another version than it expected.
    Conflict {
        /// The key.
        key: String,
        /// The version the caller expected; 0 means the key must not exist.
        expected: u64,
        /// The actual version; 0 means the key does not exist.
        found: u64,
    },
    /// The store's file does not have the bytes that were written.
    Damaged {
        /// The file.
        path: PathBuf,
        /// The damaged part.
        part: &'static str,
        /// What was expected there.
        expected: String,
        /// What was found there.
        found: String,
    },
    /// The store's file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// The operating system's error.
        reason: String,
    },
    /// A document in the store is intact but cannot be understood.
    BadDocument {
        /// The key that holds it.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadKey { key, reason } => write!(f, "key {key:?}: {reason}"),
            Self::TooLarge { what, size, max } => {
                write!(f, "{what}: {size} is over the limit of {max}")
            }
            Self::Conflict { key, expected, found } => write!(
                f,
                "key is not at the specified version: {key} is at version {found}, expected {expected}"
            ),
            Self::Damaged { path, part, expected, found } => write!(
                f,
                "{} is damaged: {part}: expected {expected}, found {found}; restore the file from a \
                 backup, or move it away and start again: samples are kept, namespaces and placements \
                 must be created again",
                path.display()
            ),
            Self::Io { path, action, reason } => {
                write!(f, "cannot {action} {}: {reason}", path.display())
            }
            Self::BadDocument { key, reason } => write!(
                f,
                "the document at key {key} cannot be read: {reason}; set it again or delete it"
            ),
        }
    }
}

impl std::error::Error for Error {}
