//! An open file in a simulated world. Operations take time, may be short, and may fail.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::World;
use super::disk::{Entry, SECTOR};
use crate::file::{BLOCK_BYTES, How};

/// An open file or directory.
pub(crate) struct SimFile {
    world: Rc<World>,
    path: PathBuf,
    entry: Entry,
    is_direct: bool,
}

impl std::fmt::Debug for SimFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SimFile").field(&self.path).finish()
    }
}

/// The error of a file system that does not support direct writes.
fn refused() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

impl SimFile {
    pub(crate) async fn open(world: Rc<World>, path: &Path, how: How) -> io::Result<SimFile> {
        world.take(1_000, 50_000).await;
        let entry = match how {
            How::OpenDirect if world.refuses_direct_at_open() => return Err(refused()),
            How::Open | How::OpenDirect => {
                world.may_read()?;
                world.disk().borrow().find(path)?
            }
            How::CreateNew => {
                world.may_write()?;
                Entry::File(world.disk().borrow_mut().create(path)?)
            }
            How::Create => {
                world.may_write()?;
                let mut disk = world.disk().borrow_mut();
                match disk.find(path) {
                    Ok(Entry::File(inode)) => {
                        disk.set_len(inode, 0);
                        Entry::File(inode)
                    }
                    Ok(Entry::Dir) => return Err(io::Error::from_raw_os_error(libc::EISDIR)),
                    Err(_) => Entry::File(disk.create(path)?),
                }
            }
        };
        let is_direct = how == How::OpenDirect;
        Ok(SimFile { world, path: path.to_owned(), entry, is_direct })
    }

    fn inode(&self) -> io::Result<u64> {
        match self.entry {
            Entry::File(inode) => Ok(inode),
            Entry::Dir => Err(io::Error::from_raw_os_error(libc::EISDIR)),
        }
    }

    /// Appends to `buf` at most `most` bytes from `offset`; sometimes fewer than the file has.
    pub(crate) async fn read(&self, buf: &mut Vec<u8>, most: usize, at: u64) -> io::Result<usize> {
        self.world.take(1_000, 200_000).await;
        self.world.may_read()?;
        let inode = self.inode()?;
        let disk = self.world.disk().borrow();
        let content = disk.content(inode);
        let begin = content.len().min(usize::try_from(at).unwrap_or(usize::MAX));
        let there = &content[begin..content.len().min(begin.saturating_add(most))];
        let count = self.world.portion(there.len());
        buf.extend_from_slice(&there[..count]);
        self.world.note(count as u64);
        Ok(count)
    }

    /// Writes at most all of `bytes` at `offset`; sometimes fewer, and in two pieces between which
    /// a crash may happen. A direct write is durable.
    pub(crate) async fn write(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        if !self.is_direct {
            return self.write_part(bytes, at, self.world.portion(bytes.len())).await;
        }
        let memory = bytes.as_ptr().align_offset(BLOCK_BYTES);
        let is_whole = memory == 0 && (at | bytes.len() as u64).is_multiple_of(BLOCK_BYTES as u64);
        if !is_whole || self.world.refuses_direct() {
            return Err(refused());
        }
        let most = self.world.portion(bytes.len()).next_multiple_of(BLOCK_BYTES);
        let count = self.write_part(bytes, at, most).await?;
        self.sync().await?;
        Ok(count)
    }

    async fn write_part(&self, bytes: &[u8], at: u64, count: usize) -> io::Result<usize> {
        let inode = self.inode()?;
        // The kernel copies page by page, so a half-copied sector is never seen.
        let parting = at + self.world.with_rng(|rng| rng.below(count as u64 + 1));
        let first = (parting - parting % SECTOR).saturating_sub(at) as usize;
        self.world.may_write()?;
        self.world.disk().borrow_mut().write(inode, at, &bytes[..first]);
        self.world.take(2_000, 100_000).await;
        self.world.disk().borrow_mut().write(inode, at + first as u64, &bytes[first..count]);
        self.world.note(at ^ (count as u64) << 32);
        Ok(count)
    }

    /// Makes durable what was written before this call.
    pub(crate) async fn sync(&self) -> io::Result<()> {
        match self.entry {
            Entry::File(inode) => {
                let mark = self.world.disk().borrow().mark(inode);
                self.world.take(20_000, 5_000_000).await;
                let synced = self.world.may_sync();
                self.world.disk().borrow_mut().settle(inode, mark, synced.is_ok());
                synced
            }
            Entry::Dir => {
                self.world.take(20_000, 2_000_000).await;
                self.world.sync_dir(&self.path)
            }
        }
    }

    /// Makes the file `len` bytes long.
    pub(crate) async fn set_len(&self, len: u64) -> io::Result<()> {
        self.world.take(1_000, 50_000).await;
        self.world.may_write()?;
        let inode = self.inode()?;
        self.world.disk().borrow_mut().set_len(inode, len);
        Ok(())
    }

    /// The length in bytes.
    pub(crate) async fn len(&self) -> io::Result<u64> {
        self.world.take(500, 5_000).await;
        self.world.may_read()?;
        let inode = self.inode()?;
        Ok(self.world.disk().borrow().len(inode))
    }
}
