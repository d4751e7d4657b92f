//! The embedded store: all keys in one checksummed file, kept in memory as a whole.
//!
//! A change writes a new file beside the old one and replaces it; only then is the change visible.
//! So the file is always whole, and a reader never sees a change that a crash could undo. A damaged
//! file was damaged by the disk or by hand, and prevents the start.
//!
//! If a failure leaves it unknown which of the two files is on disk, the node stops. Otherwise a
//! namespace whose deletion was refused could still be deleted at the next start, and its
//! acknowledged samples with it.
//!
//! Always holds: changes are made one at a time, in tasks of their own, so a caller that goes away
//! does not leave half a change. Only one process uses the file, since the data directory is
//! locked.

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

/// A store in a file. Clones are handles to the same store.
#[derive(Clone)]
pub struct FileKv {
    store: Rc<Store>,
}

struct Store {
    path: PathBuf,
    /// The content of the file, for readers and watchers.
    memory: MemoryKv,
    /// Held while the file is written.
    writing: Semaphore,
}

impl FileKv {
    /// Opens the store at `path`, or an empty one if there is no file. Its directory is created.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the file is not intact; [`Error::Io`] if it cannot be read.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            create_dir_all(directory)
                .await
                .map_err(|error| io_error(&path, "make the directory of", &error))?;
            // A killed process may have replaced the file without syncing its directory.
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

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.store.path
    }

    /// Makes a change durable, then visible. It is completed even if the caller goes away.
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
