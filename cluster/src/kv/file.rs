//! The embedded store: every key in one checksummed file, whole in memory.
//!
//! A change writes the whole file anew beside the old one and replaces it; only then is the change
//! visible. So the file is always whole, a reader never sees what a crash could take back, and a
//! damaged file is damage by the disk or by hand, which stops the start.
//!
//! A failure after which the file may say either stops the node: samples that are acknowledged in a
//! namespace must not vanish with it because its refused deletion comes true at the next start.
//!
//! Always holds: changes are made one after the other, in their own tasks, so that a caller that
//! goes away does not leave half of one. One process has the file: the data directory is locked.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use m3_io::Semaphore;
use m3_io::file::{ReplaceError, create_dir_all, read_file, replace_file, sync_dir};

use super::memory::MemoryKv;
use super::table::{Change, Table};
use super::{Kv, Pending, Versioned, image};
use crate::Error;
use crate::limits::STORE_BYTES_MAX;

/// A store in a file. Cloning gives another handle to the same store.
#[derive(Clone)]
pub struct FileKv {
    store: Rc<Store>,
}

struct Store {
    path: PathBuf,
    /// What the file says, for readers and watchers.
    memory: MemoryKv,
    /// Held while the file is written.
    writing: Semaphore,
}

impl FileKv {
    /// Opens the store at `path`, or an empty one if there is no file; its directory is made.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the file is not what was written; [`Error::Io`] if it cannot be read.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            create_dir_all(directory)
                .await
                .map_err(|error| io_error(&path, "make the directory of", &error))?;
            // A process that was killed may have replaced the file and not come to this.
            sync_dir(directory)
                .await
                .map_err(|error| io_error(&path, "sync the directory of", &error))?;
        }
        let table = match read_file(&path, STORE_BYTES_MAX as u64).await {
            Ok(bytes) => image::decode(&path, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Table::default(),
            Err(error) => return Err(io_error(&path, "read", &error)),
        };
        tracing::debug!(
            path = %path.display(),
            keys = table.keys.len(),
            revision = table.revision,
            "the store of cluster documents is open"
        );
        let memory = MemoryKv::with_table(table);
        Ok(Self { store: Rc::new(Store { path, memory, writing: Semaphore::new(1) }) })
    }

    /// Where the store is kept.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.store.path
    }

    /// Makes a change durable, then visible. It is finished even if the caller goes away.
    async fn apply(&self, change: Change) -> Result<u64, Error> {
        let store = Rc::clone(&self.store);
        m3_io::spawn_join(async move { store.apply(change).await }).await
    }
}

impl Store {
    async fn apply(&self, change: Change) -> Result<u64, Error> {
        let _turn = self.writing.acquire(1).await;
        let (table, version) = self.memory.after(change)?;
        let bytes = image::encode(&table)?;
        match replace_file(&self.path, bytes).await {
            Ok(()) => self.memory.replace(table),
            Err(ReplaceError::Unchanged(error)) => {
                return Err(io_error(&self.path, "write", &error));
            }
            Err(ReplaceError::InDoubt(error)) => panic!(
                "the store of cluster documents failed: {}: {error}; whether the last change is \
                 kept shows at the next start",
                self.path.display()
            ),
        }
        Ok(version)
    }
}

fn io_error(path: &Path, action: &'static str, error: &io::Error) -> Error {
    Error::Io { path: path.to_path_buf(), action, reason: error.to_string() }
}

impl fmt::Debug for FileKv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKv").field("path", &self.store.path).finish_non_exhaustive()
    }
}

impl Kv for FileKv {
    fn get<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Versioned>> {
        self.store.memory.get(key)
    }

    fn get_version<'a>(&'a self, key: &'a str, version: u64) -> Pending<'a, Option<Versioned>> {
        self.store.memory.get_version(key, version)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Pending<'a, Vec<(String, Versioned)>> {
        self.store.memory.list(prefix)
    }

    fn set<'a>(&'a self, key: &'a str, value: Vec<u8>) -> Pending<'a, u64> {
        Box::pin(self.apply(Change::Set { key: key.to_string(), value, expected: None }))
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        expected: u64,
        value: Vec<u8>,
    ) -> Pending<'a, u64> {
        let expected = Some(expected);
        Box::pin(self.apply(Change::Set { key: key.to_string(), value, expected }))
    }

    fn delete<'a>(&'a self, key: &'a str) -> Pending<'a, Option<Versioned>> {
        Box::pin(async move {
            let was = self.get(key).await?;
            if was.is_some() {
                self.apply(Change::Delete { key: key.to_string() }).await?;
            }
            Ok(was)
        })
    }

    fn changed<'a>(&'a self, key: &'a str, seen: Option<u64>) -> Pending<'a, Option<Versioned>> {
        self.store.memory.changed(key, seen)
    }
}
