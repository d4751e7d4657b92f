//! Directories of tests.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(test)]
mod tests;

/// A new, empty directory that is removed when the value is dropped. With `M3RING_KEEP=1` it stays,
/// and its path is printed.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// A directory in the system's temporary directory, whose name contains `name`.
    pub fn new(name: &str) -> Self {
        Self::under(&std::env::temp_dir(), name)
    }

    /// A directory in memory if there is one, for tests that fill thousands.
    pub fn in_memory(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::under(memory, name) } else { Self::new(name) }
    }

    fn under(parent: &Path, name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let process = std::process::id();
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("m3ring-{name}-{process}-{number}"));
            match std::fs::create_dir(&path) {
                Ok(()) => return Self(path),
                // An earlier process had the same number and left its directory.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if std::env::var("M3RING_KEEP").is_ok_and(|keep| keep != "0") {
            println!("kept: {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
