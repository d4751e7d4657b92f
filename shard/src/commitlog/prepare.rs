//! Prepares the next segment's file: takes a free file, reserves space and writes zeros, while the
//! current segment is still in use.
//!
//! A block that was only allocated becomes a written one by a change of the file's metadata. A sync
//! then has to wait for the file system's journal, and fdatasync's guarantee depends on the
//! journal's commit: ext4 has been seen to report success although the change was lost with the
//! journal. A frame in blocks that were written before changes data only, and its sync is cheaper,
//! too. The zeros are in a file of their own, so no request waits for them.
//!
//! Always holds: bytes below [`Prepared::written`] are in blocks that were written and synced.

use super::frame::SegmentId;
use super::output::{Output, PIECE_BYTES, Zeros};
use super::segment::{self, Name};
use super::writer::{CommitLog, Options};
use m3_io::file::{self, BLOCK_BYTES, File};
use std::io;
use std::path::Path;

/// A file with its `next-` name that will become a segment.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) file: Output,
    /// Bytes from the start of the file that are in written blocks; whole blocks.
    pub(super) written: u64,
}

/// The state of the next segment's file.
#[derive(Debug, Default)]
pub(super) enum Next {
    /// Preparation has not begun.
    #[default]
    Unbegun,
    /// A task prepares it. `hurry` asks the task to stop after its current piece.
    Begun {
        /// See above.
        hurry: bool,
    },
    /// Preparation failed.
    Failed,
    /// It is ready.
    Ready(Prepared),
}

/// Returns a file for segment `id`, if possible one whose blocks were written before.
pub(super) async fn take(log: &CommitLog, id: SegmentId) -> io::Result<Prepared> {
    let options = log.options();
    let next = options.dir.join(segment::next_name(id));
    let (mut written, mut reserved) = (Vec::new(), Vec::new());
    for entry in file::list_dir(&options.dir).await? {
        match segment::parse_name(&entry.name) {
            Some(Name::Free(_)) => written.push((entry.name, true)),
            // A file that an earlier run began to prepare. (Those of this run belong to other
            // cores.) It may be reserved beyond what was written.
            Some(Name::Next(id)) if id.epoch < options.epoch => {
                reserved.push((entry.name, false));
            }
            _ => {}
        }
    }
    for (name, is_written) in written.into_iter().chain(reserved) {
        // If another core has taken it meanwhile, the rename fails and the next file is tried.
        if file::rename(options.dir.join(name), &next).await.is_ok() {
            // Before it is overwritten, no crash may bring back its old name.
            file::sync_dir(&options.dir).await?;
            return open(log, &next, is_written).await;
        }
    }
    // A failed attempt may have left the file there. Opening it here only creates it; how it is
    // written is decided later.
    match File::create_new(&next).await {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?.close().await?,
    }
    open(log, &next, false).await
}

async fn open(log: &CommitLog, path: &Path, is_written: bool) -> io::Result<Prepared> {
    let output = Output::open(path, log.is_direct()).await?;
    if !is_written {
        output.file().truncate(0).await?;
    }
    let len = output.file().len().await?;
    Ok(Prepared { file: output, written: len - len % BLOCK_BYTES as u64 })
}

/// Prepares the file of segment `id` until it is done or the file is needed. A failure is not
/// retried here: whoever needs the file takes it as it is, or gets the error.
pub(super) async fn run(log: CommitLog, id: SegmentId) {
    let prepared = write(&log, id).await;
    log.set_next(match prepared {
        Ok(prepared) => Next::Ready(prepared),
        Err(error) => {
            tracing::debug!(%error, "the next segment of the commit log is not prepared");
            Next::Failed
        }
    });
}

async fn write(log: &CommitLog, id: SegmentId) -> io::Result<Prepared> {
    let mut prepared = take(log, id).await?;
    let room = log.options().segment_room(0);
    prepared.file.file().allocate(room).await?;
    let mut zeros = Zeros::default();
    while prepared.written < room && !log.is_next_wanted() {
        let end = room.min(prepared.written + PIECE_BYTES);
        zeros.write(&prepared.file, prepared.written, end).await?;
        prepared.written = end;
    }
    Ok(prepared)
}

/// Leaves a prepared file that is not needed to the next run of the node.
pub(super) async fn give_up(
    options: &Options,
    id: SegmentId,
    prepared: Prepared,
) -> io::Result<()> {
    let Prepared { file, written } = prepared;
    file.file().truncate(written).await?;
    file.file().sync_all().await?;
    file.close().await?;
    let name = |name: String| options.dir.join(name);
    file::rename(name(segment::next_name(id)), name(segment::free_name(id))).await?;
    file::sync_dir(&options.dir).await
}
