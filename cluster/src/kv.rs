//! Versioned keys: the one store behind namespaces, placements, topics and node-wide limits.
//!
//! [`Kv`] is what the rest of the system sees. Today's store is embedded ([`file::FileKv`]);
//! [`memory::MemoryKv`] is its twin for tests. etcd fits the same trait: `version` is a key's
//! version, `revision` its mod revision.
//!
//! Always holds: a key's first version is 1 and every set adds 1; deleting a key ends its history;
//! revisions grow over all keys and are never used twice. A store lives on one core, so its futures
//! need not be `Send`; other cores ask by message.

pub mod file;
mod image;
pub mod memory;
mod table;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use crate::Error;

/// The answer of a store, when it comes. Boxed, so that the store can be chosen at start.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>>;

/// A value with the version it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The bytes that were set.
    pub value: Rc<[u8]>,
    /// How often the key was set since it was created; from 1.
    pub version: u64,
    /// The store's revision of that set; tells apart a key from one deleted and created again.
    pub revision: u64,
}

/// A store of versioned keys with compare-and-set and watch.
pub trait Kv {
    /// The current value of `key`.
    fn get<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Versioned>>;

    /// The value `key` had at `version`, as far as the store remembers.
    fn get_version<'a>(&'a self, key: &'a str, version: u64) -> Pending<'a, Option<Versioned>>;

    /// Keys that start with `prefix` and their current values, in order of the keys.
    fn list<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<(String, Versioned)>>;

    /// Sets `key` whatever it was; answers the new version. Durable when it answers.
    fn set<'a>(&'a self, key: &'a str, value: Vec<u8>) -> Pending<'a, u64>;

    /// Sets `key` if its version is `expected` (0: if it does not exist); answers the new version.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the version is another.
    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        expected: u64,
        value: Vec<u8>,
    ) -> Pending<'a, u64>;

    /// Deletes `key` and its history; answers what it was.
    fn delete<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Versioned>>;

    /// Waits until the key's revision is another than `seen` (`None`: the key does not exist), and
    /// answers what the key is then. Several changes may be seen as one.
    fn changed<'a>(&'a self, key: &'a str, seen: Option<u64>) -> Pending<'a, Option<Versioned>>;
}

#[cfg(test)]
mod tests;
