//! The blocking file calls of [`crate::blocking`] in a simulated world.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::World;
use super::disk::Entry;
use crate::blocking::{DirEntry, parent_of, too_large};

/// A directory that is locked until the value is dropped.
#[derive(Debug)]
pub(crate) struct SimLock {
    dir: PathBuf,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        if let Some(world) = super::current() {
            world.disk().borrow_mut().unlock(&self.dir);
        }
    }
}

impl World {
    /// Fails with EIO sometimes, see [`super::Faults::read`].
    pub(super) fn may_read(&self) -> io::Result<()> {
        if self.fails(|f| f.read) { Err(io::Error::from_raw_os_error(libc::EIO)) } else { Ok(()) }
    }

    /// Fails with EIO or ENOSPC sometimes, see [`super::Faults`].
    pub(super) fn may_write(&self) -> io::Result<()> {
        if self.fails(|f| f.full) {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        if self.fails(|f| f.write) { Err(io::Error::from_raw_os_error(libc::EIO)) } else { Ok(()) }
    }

    /// Fails with EIO sometimes, see [`super::Faults::sync`].
    pub(super) fn may_sync(&self) -> io::Result<()> {
        if self.fails(|f| f.sync) { Err(io::Error::from_raw_os_error(libc::EIO)) } else { Ok(()) }
    }

    pub(crate) fn read_file(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        self.may_read()?;
        let disk = self.disk().borrow();
        match disk.find(path)? {
            Entry::Dir => Err(io::Error::from_raw_os_error(libc::EISDIR)),
            Entry::File(inode) if disk.len(inode) > max_bytes => Err(too_large(max_bytes)),
            Entry::File(inode) => Ok(disk.content(inode).to_vec()),
        }
    }

    pub(crate) fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let found = self.disk().borrow().find(path);
        match found {
            Ok(Entry::Dir) => {
                let mut above = path.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty());
                return above.try_for_each(|dir| self.sync_dir(dir));
            }
            Ok(Entry::File(_)) => return Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
            Err(_) => {}
        }
        let parent = parent_of(path);
        self.create_dir_all(parent)?;
        self.may_write()?;
        self.disk().borrow_mut().make_dir(path)?;
        self.sync_dir(parent)
    }

    pub(crate) fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.may_read()?;
        let entry = |(name, len): (String, Option<u64>)| DirEntry {
            name,
            len: len.unwrap_or_default(),
            is_dir: len.is_none(),
        };
        Ok(self.disk().borrow().list(path)?.into_iter().map(entry).collect())
    }

    pub(crate) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mark = self.disk().borrow().mark_dir(path);
        let synced = self.may_sync();
        self.disk().borrow_mut().settle_dir(path, mark, synced.is_ok());
        synced
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.disk().borrow().find(path).is_ok()
    }

    /// `None` if another process has locked it.
    pub(crate) fn lock_dir(&self, path: &Path) -> Option<SimLock> {
        let is_ours = self.disk().borrow_mut().lock(path);
        is_ours.then(|| SimLock { dir: path.to_owned() })
    }

    /// Renames a file; takes simulated time.
    pub(crate) async fn rename(self: Rc<Self>, from: &Path, to: &Path) -> io::Result<()> {
        self.take(1_000, 50_000).await;
        self.may_write()?;
        self.disk().borrow_mut().rename(from, to)
    }

    /// Removes a file or an empty directory; takes simulated time.
    pub(crate) async fn remove(self: Rc<Self>, path: &Path) -> io::Result<()> {
        self.take(1_000, 50_000).await;
        self.may_write()?;
        self.disk().borrow_mut().remove(path)
    }
}
