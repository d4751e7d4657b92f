//! An open file.

use std::io;
use std::path::{Path, PathBuf};

use compio::BufResult;
use compio::buf::{IntoInner, IoBuf};
use compio::driver::ToSharedFd;
use compio::fs::OpenOptions;
use compio::io::{AsyncReadAt, AsyncWriteAt};

use super::allocate::Allocate;
use crate::error::at_path;
use crate::pool;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The file must exist.
    Open,
    /// The file must not exist.
    CreateNew,
    /// An existing file is emptied.
    Create,
    /// The file must exist; writes bypass the page cache.
    OpenDirect,
}

/// An open file of this core. All operations take `&self` and may overlap; share it with `Rc`.
#[derive(Debug)]
pub struct File {
    backend: Backend,
    path: PathBuf,
}

/// The implementation behind an open file.
#[derive(Debug)]
enum Backend {
    Real(compio::fs::File),
    #[cfg(feature = "sim")]
    Sim(crate::sim::SimFile),
}

/// Runs an operation on the simulated file, if this is one.
macro_rules! in_world {
    ($file:expr, $sim:ident => $operation:expr) => {
        #[cfg(feature = "sim")]
        if let Backend::Sim($sim) = &$file.backend {
            return $operation;
        }
    };
}

impl File {
    /// Opens an existing file to read.
    ///
    /// # Errors
    /// The operating system's error.
    pub async fn open_read(path: impl AsRef<Path>) -> io::Result<File> {
        File::open(path.as_ref(), OpenOptions::new().read(true), How::Open).await
    }

    /// Opens an existing file to read and write.
    ///
    /// # Errors
    /// The operating system's error.
    pub async fn open_write(path: impl AsRef<Path>) -> io::Result<File> {
        File::open(path.as_ref(), OpenOptions::new().read(true).write(true), How::Open).await
    }

    /// Creates a file that must not exist, to read and write. The directory is not synced.
    ///
    /// # Errors
    /// `AlreadyExists`, or another error of the operating system.
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        File::open(path.as_ref(), &options, How::CreateNew).await
    }

    /// Creates a file or empties an existing one, to read and write.
    pub(super) async fn create(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        File::open(path, &options, How::Create).await
    }

    pub(super) async fn open(path: &Path, options: &OpenOptions, how: How) -> io::Result<File> {
        let what = match how {
            How::Open | How::OpenDirect => "open",
            How::CreateNew | How::Create => "create",
        };
        #[cfg(feature = "sim")]
        if let Some(world) = crate::sim::current() {
            let opened = crate::sim::SimFile::open(world, path, how).await;
            let opened = opened.map_err(|e| at_path(what, path, e))?;
            return Ok(File { backend: Backend::Sim(opened), path: path.to_owned() });
        }
        let _permit = pool::read_permit().await;
        match options.open(path).await {
            Ok(inner) => Ok(File { backend: Backend::Real(inner), path: path.to_owned() }),
            Err(e) => Err(at_path(what, path, e)),
        }
    }

    /// The operating system's file. Operations on a simulated file have returned before this is
    /// called.
    fn real(&self) -> &compio::fs::File {
        match &self.backend {
            Backend::Real(inner) => inner,
            #[cfg(feature = "sim")]
            Backend::Sim(_) => unreachable!("a simulated file has no descriptor"),
        }
    }

    /// The path by which it was opened, or the new one given to [`File::renamed`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells the file its new path, so that errors name the right one.
    pub fn renamed(&mut self, path: impl Into<PathBuf>) {
        self.path = path.into();
    }

    pub(super) fn context(&self, what: &'static str) -> impl FnOnce(io::Error) -> io::Error {
        move |e| at_path(what, &self.path, e)
    }

    /// Reads once at `offset`, appending to the spare capacity of `buf`. Returns the number of
    /// bytes read; 0 means the end of the file.
    ///
    /// # Errors
    /// `InvalidInput` if `buf` has no spare capacity; otherwise the operating system's error.
    pub async fn read_at(&self, buf: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        if buf.len() == buf.capacity() {
            return (Err(self.context("read")(no_room())), buf);
        }
        let end = buf.capacity();
        let (result, buf) = self.read_part(buf, end, offset).await;
        (result.map_err(self.context("read")), buf)
    }

    /// Reads once, filling `buf` from its length to `end` at most.
    async fn read_part(&self, buf: Vec<u8>, end: usize, at: u64) -> (io::Result<usize>, Vec<u8>) {
        #[cfg(feature = "sim")]
        if let Backend::Sim(sim) = &self.backend {
            let mut buf = buf;
            let most = end - buf.len();
            return (sim.read(&mut buf, most, at).await, buf);
        }
        let begin = buf.len();
        let _permit = pool::read_permit().await;
        let inner = self.real();
        let BufResult(result, part) = inner.read_at(buf.slice(begin..end), at).await;
        (result, part.into_inner())
    }

    /// Appends exactly `len` bytes from `offset` to `buf`, growing it as needed.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file is shorter (the bytes it has are appended); otherwise the
    /// operating system's error.
    pub async fn read_exact_at(
        &self,
        mut buf: Vec<u8>,
        len: usize,
        offset: u64,
    ) -> (io::Result<()>, Vec<u8>) {
        let end = buf.len() + len;
        let first = buf.len();
        buf.reserve_exact(len);
        while buf.len() < end {
            let at = offset + (buf.len() - first) as u64;
            let missing = end - buf.len();
            let (result, back) = self.read_part(buf, end, at).await;
            buf = back;
            match result {
                Ok(0) => {
                    let e = io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        format!("it ends at byte {at}, {missing} bytes early"),
                    );
                    return (Err(self.context("read")(e)), buf);
                }
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return (Err(self.context("read")(e)), buf),
            }
        }
        (Ok(()), buf)
    }

    /// Writes all of `buf` at `offset`.
    ///
    /// # Errors
    /// The operating system's error; how much was written is then unknown.
    pub async fn write_all_at(&self, mut buf: Vec<u8>, offset: u64) -> (io::Result<()>, Vec<u8>) {
        let mut done = 0;
        while done < buf.len() {
            let (result, back) = self.write_part(buf, done, offset + done as u64).await;
            buf = back;
            match advance(result) {
                Ok(written) => done += written,
                Err(e) => return (Err(self.context("write")(e)), buf),
            }
        }
        (Ok(()), buf)
    }

    /// Writes once, from `begin` of `buf` on.
    pub(super) async fn write_part(
        &self,
        buf: Vec<u8>,
        begin: usize,
        at: u64,
    ) -> (io::Result<usize>, Vec<u8>) {
        #[cfg(feature = "sim")]
        if let Backend::Sim(sim) = &self.backend {
            return (sim.write(&buf[begin..], at).await, buf);
        }
        let _permit = pool::write_permit().await;
        let mut inner = self.real();
        let BufResult(result, slice) = inner.write_at(buf.slice(begin..), at).await;
        (result, slice.into_inner())
    }

    /// Waits until earlier writes are on the disk, with the metadata that is needed to read them
    /// back (fdatasync).
    ///
    /// # Errors
    /// The operating system's error. Treat the file as lost beyond the last good sync.
    pub async fn sync_data(&self) -> io::Result<()> {
        in_world!(self, sim => sim.sync().await.map_err(self.context("sync")));
        let _permit = pool::write_permit().await;
        self.real().sync_data().await.map_err(self.context("sync"))
    }

    /// As [`File::sync_data`], with all metadata (fsync).
    ///
    /// # Errors
    /// As [`File::sync_data`].
    pub async fn sync_all(&self) -> io::Result<()> {
        in_world!(self, sim => sim.sync().await.map_err(self.context("sync")));
        let _permit = pool::write_permit().await;
        self.real().sync_all().await.map_err(self.context("sync"))
    }

    /// Reserves space for the first `len` bytes and makes the file at least that long. Bytes that
    /// were not written read as zeros. If the file system cannot reserve space, only the length is
    /// set.
    ///
    /// # Errors
    /// `StorageFull` if there is no space; otherwise the operating system's error.
    pub async fn allocate(&self, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        #[cfg(feature = "sim")]
        if let Backend::Sim(_) = &self.backend {
            return if self.len().await? < len { self.truncate(len).await } else { Ok(()) };
        }
        let permit = pool::write_permit().await;
        let op = Allocate::new(self.real().to_shared_fd(), len);
        let result = compio::runtime::submit(op).await.0;
        drop(permit);
        match result {
            Ok(_) => Ok(()),
            Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => {
                if self.len().await? < len { self.truncate(len).await } else { Ok(()) }
            }
            Err(e) => Err(self.context("allocate")(e)),
        }
    }

    /// Cuts or extends the file to `len` bytes; an extension reads as zeros.
    ///
    /// # Errors
    /// The operating system's error.
    pub async fn truncate(&self, len: u64) -> io::Result<()> {
        in_world!(self, sim => sim.set_len(len).await.map_err(self.context("truncate")));
        let _permit = pool::write_permit().await;
        self.real().set_len(len).await.map_err(self.context("truncate"))
    }

    /// Length in bytes.
    ///
    /// # Errors
    /// The operating system's error.
    pub async fn len(&self) -> io::Result<u64> {
        in_world!(self, sim => sim.len().await.map_err(self.context("look at")));
        let _permit = pool::read_permit().await;
        let found = self.real().metadata().await.map_err(self.context("look at"))?;
        Ok(found.len())
    }

    /// Closes the file after the operations in flight. Dropping it does the same but hides the
    /// error.
    ///
    /// # Errors
    /// The operating system's error, which may be of an earlier write.
    pub async fn close(self) -> io::Result<()> {
        let _permit = pool::write_permit().await;
        let File { backend, path } = self;
        match backend {
            Backend::Real(inner) => inner.close().await.map_err(|e| at_path("close", &path, e)),
            #[cfg(feature = "sim")]
            Backend::Sim(_) => Ok(()),
        }
    }
}

fn no_room() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the buffer has no spare capacity to read into")
}

/// The number of bytes to advance after a write. An interrupted write counts as 0; a write of
/// nothing is an error.
pub(super) fn advance(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(0),
        other => other,
    }
}
