//! What can go wrong in the control plane, with the facts a person needs to act.

use std::fmt;
use std::path::PathBuf;

/// An error of the control plane.
#[derive(Debug)]
pub enum Error {
    /// A key that the store does not take.
    BadKey {
        /// The key as it was given.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something is larger than its bound.
    TooLarge {
        /// What is too large: a value, the number of keys, the store, the number of watchers.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The largest size that is taken.
        max: usize,
    },
    /// A compare-and-set met another version than it expected.
    Conflict {
        /// The key.
        key: String,
        /// The version the caller expected; 0 means the key must not exist.
        expected: u64,
        /// The version that is there; 0 means the key does not exist.
        found: u64,
    },
    /// The store's file is not what was written.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part does not fit.
        part: &'static str,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The store's file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// The system's words.
        reason: String,
    },
    /// A document in the store cannot be read, although its bytes are whole.
    BadDocument {
        /// The key that holds it.
        key: String,
        /// What does not fit.
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
                 have to be created anew",
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
