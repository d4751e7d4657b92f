//! Files and directories by their path.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use super::open::File;
use super::space::{self, DiskSpace};
use crate::blocking::{self, DirEntry, DirLock};
use crate::error::{IoError, at_path};
use crate::pool;

/// Renames a file, replacing an existing one. Durable after [`sync_dir`] of both parents.
///
/// # Errors
/// The operating system's error.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        let done = world.rename(from.as_ref(), to.as_ref()).await;
        return done.map_err(|e| at_path("rename", from.as_ref(), e));
    }
    let _permit = pool::write_permit().await;
    let done = compio::fs::rename(from.as_ref(), to.as_ref()).await;
    done.map_err(|e| at_path("rename", from.as_ref(), e))
}

/// Removes a file. Durable after [`sync_dir`] of its parent.
///
/// # Errors
/// The operating system's error.
pub async fn remove(path: impl AsRef<Path>) -> io::Result<()> {
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        let done = world.remove(path.as_ref()).await;
        return done.map_err(|e| at_path("remove", path.as_ref(), e));
    }
    let _permit = pool::write_permit().await;
    compio::fs::remove_file(path.as_ref()).await.map_err(|e| at_path("remove", path.as_ref(), e))
}

/// Removes an empty directory. Durable after [`sync_dir`] of its parent.
///
/// # Errors
/// The operating system's error.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        let done = world.remove(path.as_ref()).await;
        return done.map_err(|e| at_path("remove", path.as_ref(), e));
    }
    let _permit = pool::write_permit().await;
    compio::fs::remove_dir(path.as_ref()).await.map_err(|e| at_path("remove", path.as_ref(), e))
}

/// Makes created, renamed and removed entries of a directory durable.
///
/// # Errors
/// The operating system's error.
pub async fn sync_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let dir = File::open_read(path.as_ref()).await?;
    dir.sync_all().await
}

/// Creates a directory and its parents, and syncs every directory that got a new entry.
///
/// # Errors
/// As [`blocking::create_dir_all`].
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    pool::run(move || blocking::create_dir_all(path)).await
}

/// The entries of a directory, sorted by name.
///
/// # Errors
/// As [`blocking::list_dir`].
pub async fn list_dir(path: impl AsRef<Path>) -> io::Result<Vec<DirEntry>> {
    let path = path.as_ref().to_owned();
    pool::run(move || blocking::list_dir(path)).await
}

/// Whether something has that path.
///
/// # Errors
/// The operating system's error, unless it says that nothing is there.
pub async fn exists(path: impl AsRef<Path>) -> io::Result<bool> {
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        return Ok(world.exists(path.as_ref()));
    }
    let _permit = pool::read_permit().await;
    match compio::fs::metadata(path.as_ref()).await {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(at_path("look at", path.as_ref(), e)),
    }
}

/// Reads a whole file of at most `max_bytes`.
///
/// # Errors
/// `FileTooLarge`, or the operating system's error.
pub async fn read_file(path: impl AsRef<Path>, max_bytes: u64) -> io::Result<Vec<u8>> {
    let file = File::open_read(path.as_ref()).await?;
    let len = file.len().await?;
    let too_large = || at_path("read", path.as_ref(), blocking::too_large(max_bytes));
    if len > max_bytes {
        return Err(too_large());
    }
    // One byte more than the file has, so that the first read shows its end.
    let mut buf = Vec::with_capacity(usize::try_from(len).unwrap_or(usize::MAX - 1) + 1);
    loop {
        let at = buf.len() as u64;
        let (result, back) = file.read_at(buf, at).await;
        buf = back;
        match result {
            Ok(0) => return Ok(buf),
            Ok(_) if buf.len() as u64 > max_bytes => return Err(too_large()),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        if buf.len() == buf.capacity() {
            buf.reserve(8192);
        }
    }
}

/// Replaces the file at `path` by `bytes`, durably. A reader finds the old file or the new one,
/// whole, now and after a crash. Two writers of the same path must take turns: the temporary file
/// has a fixed name beside it, so that crashes do not leave many of them.
///
/// # Errors
/// The operating system's error, and whether the old file is certainly still there.
pub async fn replace_file(path: impl AsRef<Path>, bytes: Vec<u8>) -> Result<(), ReplaceError> {
    let path = path.as_ref();
    let temporary: PathBuf = blocking::temporary_beside(path);
    if let Err(error) = write_whole(&temporary, bytes).await {
        // Frees the space on a full disk; the error above is the one that counts.
        let _ = remove(&temporary).await;
        return Err(ReplaceError::Unchanged(error));
    }
    rename(temporary, path).await.map_err(ReplaceError::InDoubt)?;
    sync_dir(blocking::parent_of(path)).await.map_err(ReplaceError::InDoubt)
}

async fn write_whole(path: &Path, bytes: Vec<u8>) -> io::Result<()> {
    let file = File::create(path).await?;
    let (written, _) = file.write_all_at(bytes, 0).await;
    written?;
    file.sync_all().await?;
    file.close().await
}

/// Why a file could not be replaced, and what state it is in.
#[derive(Debug)]
pub enum ReplaceError {
    /// The old file is still there.
    Unchanged(io::Error),
    /// Readers may find the old file or the new one, and the other after a power cut.
    InDoubt(io::Error),
}

impl fmt::Display for ReplaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged(error) => error.fmt(f),
            Self::InDoubt(error) => write!(f, "{error}; the old file or the new one is there"),
        }
    }
}

impl std::error::Error for ReplaceError {}

/// Locks a directory for this process.
///
/// # Errors
/// As [`blocking::lock_dir`].
pub async fn lock_dir(path: impl AsRef<Path>) -> Result<DirLock, IoError> {
    let path = path.as_ref().to_owned();
    pool::run(move || blocking::lock_dir(path)).await
}

/// Space on the file system that holds `path`.
///
/// # Errors
/// The operating system's error.
pub async fn disk_space(path: impl AsRef<Path>) -> io::Result<DiskSpace> {
    let path = path.as_ref().to_owned();
    pool::run(move || space::statvfs(&path).map_err(|e| at_path("ask the room of", &path, e))).await
}
