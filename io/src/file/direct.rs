//! Writes past the page cache that are durable when they return (`O_DIRECT`, `O_DSYNC`).
//!
//! One operation where a write and a sync are two: nothing is copied into the page cache and
//! written back from there, and no worker thread of the ring stands waiting for the disk. Not every
//! file system offers it, and some say so only at the first write: see [`is_refused`].

use std::io;
use std::path::Path;

use compio::fs::OpenOptions;

use super::blocks::{BLOCK_BYTES, Blocks};
use super::open::{File, How, advance};

impl File {
    /// Opens an existing file to write past the page cache: only [`File::write_blocks_at`] works,
    /// and what it wrote is durable.
    ///
    /// # Errors
    /// What the operating system said; see [`is_refused`].
    pub async fn open_direct(path: impl AsRef<Path>) -> io::Result<File> {
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
        let mut at = begin;
        while at < memory.len() {
            let (result, back) = self.write_part(memory, at, offset + (at - begin) as u64).await;
            memory = back;
            match advance(result) {
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
