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
use super::segment::{self, Name};
use super::writer::{CommitLog, Options};
use m3_io::file::{self, File};
use std::io;
use std::path::Path;

/// Zeros are written in pieces of this, each synced, so that the disk is free for frames between.
const PIECE_BYTES: u64 = 1 << 20;

/// Zeros to write with: one buffer, kept, since the kernel clears fresh memory page by page.
#[derive(Debug, Default)]
pub(super) struct Zeros(Vec<u8>);

impl Zeros {
    /// Writes `from..to` of `file` with zeros, and syncs them.
    pub(super) async fn write(&mut self, file: &File, from: u64, to: u64) -> io::Result<()> {
        let mut at = from;
        while at < to {
            let piece = PIECE_BYTES.min(to - at);
            let mut zeros = std::mem::take(&mut self.0);
            zeros.resize(usize::try_from(piece).expect("a piece is small"), 0);
            let (written, zeros) = file.write_all_at(zeros, at).await;
            self.0 = zeros;
            written?;
            at += piece;
        }
        file.sync_data().await
    }
}

/// A file that is to become a segment and has its `next-` name.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) file: File,
    /// Bytes from the file's start that lie in written blocks.
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
    /// It can be used.
    Ready(Prepared),
}

/// The file of segment `id`: one that has been written before, if there is one.
pub(super) async fn take(options: &Options, id: SegmentId) -> io::Result<Prepared> {
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
            return open(&next, is_written).await;
        }
    }
    Ok(Prepared { file: File::create_new(&next).await?, written: 0 })
}

async fn open(path: &Path, is_written: bool) -> io::Result<Prepared> {
    let file = File::open_write(path).await?;
    if !is_written {
        file.truncate(0).await?;
    }
    let written = file.len().await?;
    Ok(Prepared { file, written })
}

/// Prepares the file of segment `id`, as far as it gets before it is asked for. Whoever needs it
/// meets what went wrong again, and says so.
pub(super) async fn run(log: CommitLog, id: SegmentId) {
    let prepared = write(&log, id).await;
    log.set_next(match prepared {
        Ok(prepared) => Next::Ready(prepared),
        Err(error) => {
            tracing::debug!(%error, "the next segment of the commit log is not prepared");
            Next::Unbegun
        }
    });
}

async fn write(log: &CommitLog, id: SegmentId) -> io::Result<Prepared> {
    let options = log.options();
    let mut prepared = take(options, id).await?;
    let room = options.segment_bytes;
    prepared.file.allocate(room).await?;
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
    file.truncate(written).await?;
    file.sync_all().await?;
    file.close().await?;
    let name = |name: String| options.dir.join(name);
    file::rename(name(segment::next_name(id)), name(segment::free_name(id))).await?;
    file::sync_dir(&options.dir).await
}
