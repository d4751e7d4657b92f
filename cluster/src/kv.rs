//! A store of versioned keys for namespaces, placements, topics and node-wide limits.
//!
//! The rest of the system uses [`Kv`]. Today's store is embedded ([`file::FileKv`]);
//! [`memory::MemoryKv`] is its equivalent for tests. etcd fits the same trait: `version` is a key's
//! version, `revision` its mod revision.
//!
//! Always holds: a key's first version is 1, and every set adds 1. Deleting a key deletes its
//! history. Revisions grow over all keys and are never reused. A store lives on one core, so its
//! futures need not be `Send`; other cores ask it by message.

pub mod file;
mod image;
pub mod memory;
mod table;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use crate::Error;

/// The future of a store's result. Boxed, so that the store can be chosen at start.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>>;

/// A value and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The bytes.
    pub value: Rc<[u8]>,
    /// How often the key has been set since it was created, from 1.
    pub version: u64,
    /// The store's revision when it was set. It tells a key from one that was deleted and created
    /// again.
    pub revision: u64,
}

/// A store of versioned keys with compare-and-set and watch.
pub trait Kv {
    /// The current value of `key`.
    fn get<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Versioned>>;

    /// The value that `key` had at `version`, if the store still keeps it.
    fn get_version<'a>(&'a self, key: &'a str, version: u64) -> Pending<'a, Option<Versioned>>;

    /// Keys that start with `prefix` and their current values, in key order.
    fn list<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<(String, Versioned)>>;

    /// Sets `key` unconditionally and returns the new version. Durable when it returns.
    fn set<'a>(&'a self, key: &'a str, value: Vec<u8>) -> Pending<'a, u64>;

    /// Sets `key` if its version is `expected` (0: if it does not exist) and returns the new
    /// version.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it has another version.
    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        expected: u64,
        value: Vec<u8>,
    ) -> Pending<'a, u64>;

    /// Deletes `key` and its history, and returns its last value.
    fn delete<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Versioned>>;

    /// Waits until the key's revision is not `seen` (`None`: the key does not exist), and returns
    /// its current value. Several changes may appear as one.
    fn changed<'a>(&'a self, key: &'a str, seen: Option<u64>) -> Pending<'a, Option<Versioned>>;
}

#[cfg(test)]
mod tests;
