//! The file of a segment before it is one: taken from those that are free, reserved, and written
//! with zeros while the segment before it is still in use.
//!
//! A block that was only allocated becomes a written one by a change of the file's metadata. A
//! sync then waits for the journal, and it is on the journal that a sync's word depends: ext4 has
//! been seen to answer one with success whose change of metadata was lost with the journal. In
//! blocks that were written before, a frame is data alone, and its sync is cheaper too. Zeros in a
//! file of their own are not part of any frame's sync, so that no request waits for them.
//!
//! Always holds: bytes below [`Prepared::written`] lie in blocks that were written and synced.

use super::frame::SegmentId;
use super::output::{Output, PIECE_BYTES, Zeros};
use super::segment::{self, Name};
use super::writer::{CommitLog, Options};
use m3_io::file::{self, BLOCK_BYTES, File};
use std::io;
use std::path::Path;

/// A file that is to become a segment and has its `next-` name.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) file: Output,
    /// Bytes from the file's start that lie in written blocks: whole blocks.
    pub(super) written: u64,
}

/// How far the next segment's file is.
#[derive(Debug, Default)]
pub(super) enum Next {
    /// Nobody has begun with it.
    #[default]
    Unbegun,
    /// A task works on it. `hurry` asks it to end with the piece it is at.
    Begun {
        /// See there.
        hurry: bool,
    },
    /// It could not be prepared.
    Failed,
    /// It can be used.
    Ready(Prepared),
}

/// The file of segment `id`: one that has been written before, if there is one.
pub(super) async fn take(log: &CommitLog, id: SegmentId) -> io::Result<Prepared> {
    let options = log.options();
    let next = options.dir.join(segment::next_name(id));
    let (mut written, mut reserved) = (Vec::new(), Vec::new());
    for entry in file::list_dir(&options.dir).await? {
        match segment::parse_name(&entry.name) {
            Some(Name::Free(_)) => written.push((entry.name, true)),
            // What an earlier run began and did not finish; this run's are other cores'. It may be
            // reserved farther than it is written.
            Some(Name::Next(id)) if id.epoch < options.epoch => {
                reserved.push((entry.name, false));
            }
            _ => {}
        }
    }
    for (name, is_written) in written.into_iter().chain(reserved) {
        // Another core may have taken it since: then the rename fails and the next is tried.
        if file::rename(options.dir.join(name), &next).await.is_ok() {
            // Before it is written over, no crash may bring back the name it had.
            file::sync_dir(&options.dir).await?;
            return open(log, &next, is_written).await;
        }
    }
    // An attempt that failed may have left the file there. How it is made is not how it is written.
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

/// Prepares the file of segment `id`, as far as it gets before it is asked for. Where that fails it
/// is not tried again: whoever needs the file takes it as it is, or meets what went wrong.
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

/// Leaves a file that was prepared and not needed to the next run of the node.
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
