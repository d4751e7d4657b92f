//! Files before the cores start: configuration, the data directory and its lock.
//!
//! Never call these on a core: they block the thread.
#![expect(clippy::disallowed_methods, reason = "the facade's own home of blocking file calls")]

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{IoError, at_path};

/// The addresses of `host:port`; never empty. The host is a name, an IPv4 address or an IPv6
/// address in brackets.
///
/// # Errors
/// The resolver's error, with the text that it could not resolve.
pub fn resolve(host_port: &str) -> io::Result<Vec<SocketAddr>> {
    let refuse = |kind, why: String| {
        let text = format!("cannot resolve {host_port:?}: {why}; write it as HOST:PORT");
        Err(io::Error::new(kind, text))
    };
    match host_port.to_socket_addrs().map(Iterator::collect::<Vec<_>>) {
        Ok(found) if found.is_empty() => refuse(io::ErrorKind::NotFound, "no address".to_owned()),
        Ok(found) => Ok(found),
        Err(e) => refuse(e.kind(), e.to_string()),
    }
}

/// Blocks the thread for `span`.
pub(crate) fn sleep(span: Duration) {
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        return world.pass(span);
    }
    std::thread::sleep(span);
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name inside its directory, without a path. Bytes that are not UTF-8 are replaced.
    pub name: String,
    /// Length in bytes; meaningless for a directory.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Most entries that [`list_dir`] returns.
pub const LIST_DIR_MAX: usize = 1 << 20;

/// The file that [`lock_dir`] locks inside its directory.
pub const LOCK_FILE: &str = "LOCK";

/// Reads a whole file of at most `max_bytes`.
///
/// # Errors
/// The operating system's error, or `FileTooLarge`; the path is in the text.
pub fn read_file(path: impl AsRef<Path>, max_bytes: u64) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        return world.read_file(path, max_bytes).map_err(|e| at_path("read", path, e));
    }
    let read = || {
        let file = fs::File::open(path)?;
        let mut bytes = Vec::new();
        file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max_bytes {
            return Err(too_large(max_bytes));
        }
        Ok(bytes)
    };
    read().map_err(|e| at_path("read", path, e))
}

/// The error for a file larger than its reader allows.
pub(crate) fn too_large(max_bytes: u64) -> io::Error {
    let text = format!("it is larger than the {max_bytes} bytes allowed");
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

/// Reads a short text file that the kernel provides.
pub(crate) fn read_text(path: &str) -> io::Result<String> {
    let bytes = read_file(path, 1 << 20)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The temporary name under which a new version of `path` is written.
pub(crate) fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// The directory that holds `path`.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    fs::File::open(parent_of(path))?.sync_all()
}

/// Creates a directory and its parents durably: a power cut does not remove them again. Directories
/// that exist already are synced too, since the process that created them may have been killed
/// before its sync.
///
/// # Errors
/// The operating system's error, or `NotADirectory` if a file is in the way.
pub fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        return world.create_dir_all(path).map_err(|e| at_path("create directory", path, e));
    }
    make_dirs(path).map_err(|e| at_path("create directory", path, e))
}

fn make_dirs(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return sync_ancestors(path),
        Ok(_) => {
            let text = "a file of that name is in the way";
            return Err(io::Error::new(io::ErrorKind::NotADirectory, text));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    make_dirs(parent_of(path))?;
    match fs::create_dir(path) {
        // Another thread was faster. We sync all the same, since its sync may not be done.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    sync_parent(path)
}

/// Syncs all parents of an existing directory, except those that this process cannot have created.
fn sync_ancestors(path: &Path) -> io::Result<()> {
    let above = path.ancestors().skip(1);
    for dir in above.map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir }) {
        match fs::File::open(dir).and_then(|dir| dir.sync_all()) {
            Err(e) if is_foreign(&e) => break,
            other => other?,
        }
    }
    Ok(())
}

/// A directory that this process may not read or cannot write to was created by someone else.
fn is_foreign(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | InvalidInput)
}

/// The entries of a directory, sorted by name.
///
/// # Errors
/// The operating system's error, or `FileTooLarge` beyond [`LIST_DIR_MAX`] entries.
pub fn list_dir(path: impl AsRef<Path>) -> io::Result<Vec<DirEntry>> {
    let path = path.as_ref();
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        return world.list_dir(path).map_err(|e| at_path("list directory", path, e));
    }
    let list = || {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // A file may disappear after it was listed.
            let found = match entry.metadata() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            if entries.len() == LIST_DIR_MAX {
                let text = format!("it has more than {LIST_DIR_MAX} entries");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(DirEntry { name, len: found.len(), is_dir: found.is_dir() });
        }
        entries.sort();
        Ok(entries)
    };
    list().map_err(|e| at_path("list directory", path, e))
}

/// A directory that this process has locked until the value is dropped or the process ends.
#[derive(Debug)]
pub struct DirLock {
    _holder: Holder,
    path: PathBuf,
}

/// Releases the lock when dropped.
#[derive(Debug)]
enum Holder {
    File(#[expect(dead_code, reason = "closing the file is its use")] fs::File),
    #[cfg(feature = "sim")]
    Sim(#[expect(dead_code, reason = "dropping it is its use")] crate::sim::SimLock),
}

impl DirLock {
    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Locks the directory for this process and writes its pid into the lock file.
///
/// # Errors
/// `DirLocked` if another process has locked it; `File` if the lock file cannot be created.
pub fn lock_dir(dir: impl AsRef<Path>) -> Result<DirLock, IoError> {
    let path = dir.as_ref().join(LOCK_FILE);
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        return match world.lock_dir(dir.as_ref()) {
            Some(lock) => Ok(DirLock { _holder: Holder::Sim(lock), path }),
            None => Err(IoError::DirLocked { path, holder: None }),
        };
    }
    let open =
        || fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open().map_err(|e| at_path("open lock file", &path, e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The pid is only for the message, so it does not matter if it is not written yet.
            let _ = file.take(32).read_to_string(&mut text);
            return Err(IoError::DirLocked { path, holder: text.trim().parse().ok() });
        }
        Err(fs::TryLockError::Error(e)) => return Err(at_path("lock", &path, e).into()),
    }
    let mut write = || {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())
    };
    write().map_err(|e| at_path("write lock file", &path, e))?;
    Ok(DirLock { _holder: Holder::File(file), path })
}
