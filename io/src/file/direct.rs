//! Writes that bypass the page cache and are durable when they return (`O_DIRECT`, `O_DSYNC`).
//!
//! This is one operation instead of a write and a sync. Nothing is copied into the page cache, and
//! no worker thread of the ring waits for the disk. Some file systems refuse such writes, some of
//! them only at the first write: see [`is_refused`]. Others accept the flags and do not keep the
//! promise: the kernel's FUSE answers an asynchronous direct write before the sync. So only file
//! systems that are known to keep it are used.

use std::io;
use std::path::Path;
use std::time::Duration;

use compio::fs::OpenOptions;

use super::blocks::{BLOCK_BYTES, Blocks};
use super::open::{File, How, advance};
use super::space;
use crate::{error, pool, time};

/// File systems that are known to make such writes durable, by their number in `statfs(2)`.
const TRUSTED: [u32; 4] = [
    0xef53,      // ext4
    0x5846_5342, // XFS
    0x9123_683e, // btrfs
    0xf2f5_2010, // f2fs
];
/// How often a write is retried that the kernel could not take for lack of a resource.
const RETRIES_MAX: u32 = 100;
const RETRY_DELAY: Duration = Duration::from_millis(5);

impl File {
    /// Opens an existing file for writes that bypass the page cache. [`File::write_blocks_at`] is
    /// the only way to write to it, and what it has written is durable.
    ///
    /// # Errors
    /// The operating system's error; `Unsupported` if the file system is not known to make such
    /// writes durable. See [`is_refused`].
    pub async fn open_direct(path: impl AsRef<Path>) -> io::Result<File> {
        let at = path.as_ref().to_owned();
        let kind = pool::run(move || space::kind(&at)).await;
        let kind = kind.map_err(|e| error::at_path("ask the file system of", path.as_ref(), e))?;
        if !TRUSTED.contains(&kind) {
            let text = format!("direct writes on a file system of kind {kind:#x} are not trusted");
            let unknown = io::Error::new(io::ErrorKind::Unsupported, text);
            return Err(error::at_path("open", path.as_ref(), unknown));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_DIRECT | libc::O_DSYNC);
        File::open(path.as_ref(), &options, How::OpenDirect).await
    }

    /// Writes all of `blocks` at `offset`. If the file was opened by [`File::open_direct`], the
    /// length and `offset` must be multiples of [`BLOCK_BYTES`], and the bytes are durable
    /// afterwards.
    ///
    /// # Errors
    /// The operating system's error; how much was written is then unknown. See [`is_refused`].
    pub async fn write_blocks_at(&self, blocks: Blocks, offset: u64) -> (io::Result<()>, Blocks) {
        let Blocks { mut memory, begin } = blocks;
        let (mut at, mut retries) = (begin, 0);
        while at < memory.len() {
            let (result, back) = self.write_part(memory, at, offset + (at - begin) as u64).await;
            memory = back;
            match advance(result) {
                // Direct writes through a ring have been seen to fail like this; nothing was
                // written.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && retries < RETRIES_MAX => {
                    retries += 1;
                    time::sleep(RETRY_DELAY).await;
                }
                Ok(written) => at += whole_blocks(written),
                Err(e) => return (Err(self.context("write")(e)), Blocks { memory, begin }),
            }
        }
        (Ok(()), Blocks { memory, begin })
    }
}

/// Whether `error` means that the file system does not support direct writes, or not in these
/// blocks.
#[must_use]
pub fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// How many of the written bytes count: only whole blocks, so that the next write begins at a
/// block. A write of less than a block, which only the page cache accepts, counts in full.
const fn whole_blocks(written: usize) -> usize {
    match written - written % BLOCK_BYTES {
        0 => written,
        whole => whole,
    }
}
