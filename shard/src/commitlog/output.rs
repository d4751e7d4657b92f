//! An open segment file, for writing frames.
//!
//! A durable log bypasses the page cache if the file system is known to make such writes durable. A
//! frame is then one operation, durable when it returns, instead of a write and a sync. Such writes
//! consist of whole blocks. So the block in which a frame begins is written again, from memory. Its
//! bytes before the frame stay the same, just as when the page cache writes a page again.

use super::frame::FRAME_ALIGN;
use m3_io::file::{self, BLOCK_BYTES, Blocks, File};
use std::io;
use std::path::Path;

/// A frame is copied and written in pieces of this size, so that the copy of a huge one stays
/// small. With the bytes before it in its block, a piece fits into 4 MiB.
const COPIED_BYTES_MAX: usize = (4 << 20) - BLOCK_BYTES;
/// Zeros are written in pieces of this size, so that frames can be written in between.
pub(super) const PIECE_BYTES: u64 = 1 << 20;

/// An open segment file.
#[derive(Debug)]
pub(super) enum Output {
    /// Writes through the page cache; durable after a sync.
    Cached(File),
    /// Bypasses the page cache; durable when a write returns.
    Direct {
        file: File,
        /// The bytes of the block in which the next write begins.
        tail: Blocks,
    },
}

impl Output {
    /// Opens the file at `path`, to write it from its start. Bypasses the page cache if `is_wanted`
    /// and if the file system does not refuse.
    pub(super) async fn open(path: &Path, is_wanted: bool) -> io::Result<Self> {
        if is_wanted {
            match File::open_direct(path).await {
                Err(error) if file::is_refused(&error) => {}
                opened => return Ok(Self::Direct { file: opened?, tail: Blocks::default() }),
            }
        }
        Ok(Self::Cached(File::open_write(path).await?))
    }

    /// Whether writes are durable without a sync and consist of whole blocks.
    pub(super) const fn is_direct(&self) -> bool {
        matches!(self, Self::Direct { .. })
    }

    /// The file, for everything except writing to it.
    pub(super) const fn file(&self) -> &File {
        match self {
            Self::Cached(file) | Self::Direct { file, .. } => file,
        }
    }

    /// See [`File::renamed`].
    pub(super) fn renamed(&mut self, path: &Path) {
        match self {
            Self::Cached(file) | Self::Direct { file, .. } => file.renamed(path),
        }
    }

    /// Writes `bytes` at `offset`, right after the bytes before them, and returns them. Zeros may
    /// follow, up to the end of a block.
    pub(super) async fn append(
        &mut self,
        mut bytes: Vec<u8>,
        offset: u64,
    ) -> (io::Result<()>, Vec<u8>) {
        bytes.resize(bytes.len().next_multiple_of(FRAME_ALIGN), 0);
        let (file, tail) = match self {
            Self::Cached(file) => return file.write_all_at(bytes, offset).await,
            Self::Direct { file, tail } => (file, tail),
        };
        let mut end = offset;
        for piece in bytes.chunks(COPIED_BYTES_MAX) {
            if let Err(error) = append_piece(file, tail, piece, end).await {
                return (Err(error), bytes);
            }
            end += piece.len() as u64;
        }
        (Ok(()), bytes)
    }

    /// See [`File::close`].
    pub(super) async fn close(self) -> io::Result<()> {
        match self {
            Self::Cached(file) | Self::Direct { file, .. } => file.close().await,
        }
    }

    /// Makes earlier writes durable.
    pub(super) async fn sync(&self) -> io::Result<()> {
        match self {
            Self::Cached(file) => file.sync_data().await,
            Self::Direct { .. } => Ok(()),
        }
    }
}

/// Writes `piece` at `offset`, together with the bytes before it in its first block (`tail`).
async fn append_piece(file: &File, tail: &mut Blocks, piece: &[u8], offset: u64) -> io::Result<()> {
    let mut blocks = std::mem::take(tail);
    let begin = offset - blocks.len() as u64;
    debug_assert!(begin.is_multiple_of(BLOCK_BYTES as u64) && blocks.len() < BLOCK_BYTES);
    blocks.extend(piece);
    let len = blocks.len();
    blocks.resize(len.next_multiple_of(BLOCK_BYTES));
    let (written, mut blocks) = file.write_blocks_at(blocks, begin).await;
    blocks.resize(len);
    blocks.drop_front(len - len % BLOCK_BYTES);
    *tail = blocks;
    written
}

/// Writes a segment's header, the first write to `output`, the file at `path`. A file system
/// without direct writes refuses here at the latest; then the file is opened again without them.
pub(super) async fn write_header(
    mut output: Output,
    path: &Path,
    header: &[u8],
) -> io::Result<Output> {
    let written = output.append(header.to_vec(), 0).await.0;
    match written {
        Err(error) if output.is_direct() && file::is_refused(&error) => {
            let mut output = Output::open(path, false).await?;
            output.append(header.to_vec(), 0).await.0?;
            Ok(output)
        }
        written => written.map(|()| output),
    }
}

/// A reusable buffer of zeros, because the kernel would have to clear fresh memory page by page.
#[derive(Debug, Default)]
pub(super) struct Zeros(Blocks);

impl Zeros {
    /// Writes zeros to `from..to` of `output` and makes them durable. For direct writes both are
    /// multiples of [`BLOCK_BYTES`].
    pub(super) async fn write(&mut self, output: &Output, from: u64, to: u64) -> io::Result<()> {
        let mut at = from;
        while at < to {
            let piece = PIECE_BYTES.min(to - at);
            let mut zeros = std::mem::take(&mut self.0);
            zeros.resize(usize::try_from(piece).expect("a piece is small"));
            let (written, zeros) = output.file().write_blocks_at(zeros, at).await;
            self.0 = zeros;
            written?;
            at += piece;
        }
        output.sync().await
    }
}
