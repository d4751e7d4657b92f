//! Writes past the page cache that are durable when they return (`O_DIRECT`, `O_DSYNC`).
//!
//! One operation where a write and a sync are two: nothing is copied into the page cache and
//! written back from there, and no worker thread of the ring stands waiting for the disk. Not every
//! file system offers it, and some say so only at the first write: see [`is_refused`]. Others take
//! the flags and do not keep their promise: the kernel's FUSE answers an asynchronous direct write
//! without the sync. So only file systems are asked that are known to keep it.

use std::io;
use std::path::Path;
use std::time::Duration;

use compio::fs::OpenOptions;

use super::blocks::{BLOCK_BYTES, Blocks};
use super::open::{File, How, advance};
use super::space;
use crate::{error, pool, time};

/// The file systems whose direct writes are durable when they should be (`statfs(2)`).
const KNOWN: [u32; 4] = [
    0xef53,      // ext4
    0x5846_5342, // XFS
    0x9123_683e, // btrfs
    0xf2f5_2010, // f2fs
];
/// A write that the kernel could not take for want of something is tried again so often.
const AGAIN_MAX: u32 = 100;
const AGAIN_AFTER: Duration = Duration::from_millis(5);

impl File {
    /// Opens an existing file to write past the page cache: [`File::write_blocks_at`] is the one
    /// way to write to it, and what that wrote is durable.
    ///
    /// # Errors
    /// What the operating system said; `Unsupported` where the file system is not known to keep the
    /// promise. See [`is_refused`].
    pub async fn open_direct(path: impl AsRef<Path>) -> io::Result<File> {
        let at = path.as_ref().to_owned();
        let kind = pool::run(move || space::kind(&at)).await;
        let kind = kind.map_err(|e| error::at_path("ask the file system of", path.as_ref(), e))?;
        if !KNOWN.contains(&kind) {
            let text = format!("direct writes on a file system of kind {kind:#x} are not trusted");
            let unknown = io::Error::new(io::ErrorKind::Unsupported, text);
            return Err(error::at_path("open", path.as_ref(), unknown));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_DIRECT | libc::O_DSYNC);
        File::open(path.as_ref(), &options, How::OpenDirect).await
    }

    /// Writes all of `blocks` at `offset`. Both its length and `offset` are multiples of
    /// [`BLOCK_BYTES`] if the file was opened by [`File::open_direct`]; then the bytes are durable.
    ///
    /// # Errors
    /// What the operating system said; how much was written is then unknown. See [`is_refused`].
    pub async fn write_blocks_at(&self, blocks: Blocks, offset: u64) -> (io::Result<()>, Blocks) {
        let Blocks { mut memory, begin } = blocks;
        let (mut at, mut again) = (begin, 0);
        while at < memory.len() {
            let (result, back) = self.write_part(memory, at, offset + (at - begin) as u64).await;
            memory = back;
            match advance(result) {
                // Direct writes through a ring have been seen to end so; nothing was written.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && again < AGAIN_MAX => {
                    again += 1;
                    time::sleep(AGAIN_AFTER).await;
                }
                Ok(written) => at += whole_blocks(written),
                Err(e) => return (Err(self.context("write")(e)), Blocks { memory, begin }),
            }
        }
        (Ok(()), Blocks { memory, begin })
    }
}

/// Whether `error` says that the file system takes no direct writes, or not in these blocks.
#[must_use]
pub fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// How much counts of what a write wrote: the next begins at a block where it can. After less than
/// a block, which only the page cache takes, it does not.
const fn whole_blocks(written: usize) -> usize {
    match written - written % BLOCK_BYTES {
        0 => written,
        whole => whole,
    }
}
