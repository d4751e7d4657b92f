//! A store in memory, which forgets everything at exit; for tests and tools.

use std::cell::RefCell;

use m3_io::{Notify, Semaphore};

use super::table::{Change, Table};
use super::{Kv, Pending, Versioned};
use crate::Error;
use crate::limits::WATCHERS_MAX;

/// Keys in memory. The file store keeps its current table in one of these.
#[derive(Debug)]
pub struct MemoryKv {
    table: RefCell<Table>,
    changes: Notify,
    watchers: Semaphore,
}

impl Default for MemoryKv {
    /// An empty store.
    fn default() -> Self {
        Self::with_table(Table::default())
    }
}

impl MemoryKv {
    /// A store that starts with `table`.
    pub(super) fn with_table(table: Table) -> Self {
        let watchers = Semaphore::new(WATCHERS_MAX);
        Self { table: RefCell::new(table), changes: Notify::new(), watchers }
    }

    /// The table that `change` would produce.
    pub(super) fn after(&self, change: Change) -> Result<(Table, u64), Error> {
        self.table.borrow().with(change)
    }

    /// Makes `table` the current one and wakes the watchers.
    pub(super) fn replace(&self, table: Table) {
        self.table.replace(table);
        self.changes.notify_waiters();
    }

    fn current(&self, key: &str) -> Option<Versioned> {
        self.table.borrow().get(key).cloned()
    }

    fn apply(&self, change: Change) -> Result<u64, Error> {
        let (table, version) = self.after(change)?;
        self.replace(table);
        Ok(version)
    }

    fn set_if(&self, key: &str, expected: Option<u64>, value: Vec<u8>) -> Result<u64, Error> {
        self.apply(Change::Set { key: key.to_string(), value, expected })
    }

    fn remove(&self, key: &str) -> Result<Option<Versioned>, Error> {
        let was = self.current(key);
        if was.is_some() {
            self.apply(Change::Delete { key: key.to_string() })?;
        }
        Ok(was)
    }

    async fn wait(&self, key: &str, seen: Option<u64>) -> Result<Option<Versioned>, Error> {
        let _place = self.watchers.try_acquire(1).ok_or(Error::TooLarge {
            what: "tasks that watch the store",
            size: WATCHERS_MAX + 1,
            max: WATCHERS_MAX,
        })?;
        loop {
            let change = self.changes.notified();
            let current = self.current(key);
            if current.as_ref().map(|value| value.revision) != seen {
                return Ok(current);
            }
            change.await;
        }
    }
}

impl Kv for MemoryKv {
    fn get<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Versioned>> {
        Box::pin(async move { Ok(self.current(key)) })
    }

    fn get_version<'a>(&'a self, key: &'a str, version: u64) -> Pending<'a, Option<Versioned>> {
        Box::pin(async move { Ok(self.table.borrow().get_version(key, version).cloned()) })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<(String, Versioned)>> {
        Box::pin(async move { Ok(self.table.borrow().list(prefix)) })
    }

    fn set<'a>(&'a self, key: &'a str, value: Vec<u8>) -> Pending<'a, u64> {
        Box::pin(async move { self.set_if(key, None, value) })
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        expected: u64,
        value: Vec<u8>,
    ) -> Pending<'a, u64> {
        Box::pin(async move { self.set_if(key, Some(expected), value) })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Versioned>> {
        Box::pin(async move { self.remove(key) })
    }

    fn changed<'a>(&'a self, key: &'a str, seen: Option<u64>) -> Pending<'a, Option<Versioned>> {
        Box::pin(self.wait(key, seen))
    }
}
