//! Segments in which nothing was ever written: files that stand behind the last one that counts.
//!
//! A segment gets its name once its header is durable, so a file without a single byte that is not
//! zero never held a frame, as far as a disk keeps what was synced. Where a disk or a file system
//! keeps a name and not what was synced under it, or a person put a file there, such a file stands
//! at the end of a log. It says nothing, and no alarm is given for it. In front of a segment that
//! has a header the same file is damage: that segment was begun after this one was sealed.

use super::super::frame::{self, SegmentHeader, SegmentId};
use super::super::segment;
use super::SEGMENT_BYTES_READ_MAX;
use m3_io::file::{self, File};
use std::io;
use std::path::Path;

/// Parts the segments of a log from those at its end that are empty, or all zeros. One that does
/// not follow the segment before it is none of them: what it was begun after is missing.
pub(super) async fn split_off<'a>(
    dir: &Path,
    log: &'a [SegmentId],
) -> io::Result<(&'a [SegmentId], &'a [SegmentId])> {
    let mut used = log.len();
    while let Some((last, before)) = log[..used].split_last() {
        let follows = before.last().map_or(0, |id| id.seq.wrapping_add(1));
        if last.seq != follows || !is_blank(&segment::path(dir, *last)).await? {
            break;
        }
        used -= 1;
    }
    Ok(log.split_at(used))
}

async fn is_blank(path: &Path) -> io::Result<bool> {
    // A look at the front is enough for nearly all.
    let file = File::open_read(path).await?;
    let (read, front) = file.read_at(Vec::with_capacity(frame::SEGMENT_HEADER_BYTES), 0).await;
    read?;
    let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    Ok(is_zero(&front) && is_zero(&file::read_file(path, SEGMENT_BYTES_READ_MAX).await?))
}

/// Whether the segment `id` was begun and has no frame, and the frames before it end at `number`,
/// so that nothing is missing between.
pub(super) async fn is_begun_at(dir: &Path, id: SegmentId, number: u64) -> io::Result<bool> {
    let bytes = file::read_file(segment::path(dir, id), SEGMENT_BYTES_READ_MAX).await?;
    let is_next = SegmentHeader::decode(&bytes)
        .is_ok_and(|header| header.id == id && header.first_frame <= number);
    Ok(is_next && frame::find_frame(id, &bytes, frame::SEGMENT_HEADER_BYTES).is_none())
}

/// Empties the file of an unused segment. It is to be used again, and its length will then say how
/// much of it was written, of which there may be nothing: reserved blocks read as zeros too.
pub(super) async fn empty(dir: &Path, id: SegmentId) -> io::Result<()> {
    let file = File::open_write(segment::path(dir, id)).await?;
    if file.len().await? > 0 {
        file.truncate(0).await?;
        file.sync_all().await?;
    }
    file.close().await
}
