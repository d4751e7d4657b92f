//! The files of the commit log: their names, their order, and their reuse.
//!
//! A segment is `EPOCH-CORE-SEQ.log`. When nothing in it is needed any more, it becomes
//! `free-EPOCH-CORE-SEQ.log` and a later segment reuses the file, because overwriting written
//! blocks is cheaper to sync than growing a file. While a segment's file is being prepared, it is
//! `next-EPOCH-CORE-SEQ.log`. It gets its final name when its header is on disk.
//!
//! Always holds: the epoch in a file's name is at least that of every frame in the file. So an
//! epoch above all names is above all frames, and a frame from an earlier use of a file can never
//! be mistaken for a current one.

use super::frame::SegmentId;
use std::path::{Path, PathBuf};

const FREE: &str = "free-";
const NEXT: &str = "next-";

/// The file name of segment `id`.
#[must_use]
pub fn file_name(id: SegmentId) -> String {
    format!("{:08}-{:04}-{:08}.log", id.epoch, id.core, id.seq)
}

/// The file name of segment `id` after it is given up.
#[must_use]
pub fn free_name(id: SegmentId) -> String {
    format!("{FREE}{}", file_name(id))
}

/// The file name of segment `id` before its header is durable.
#[must_use]
pub fn next_name(id: SegmentId) -> String {
    format!("{NEXT}{}", file_name(id))
}

/// The meaning of a file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// A segment.
    Segment(SegmentId),
    /// A file that was this segment and may be reused.
    Free(SegmentId),
    /// A file that is prepared to become this segment.
    Next(SegmentId),
}

/// Parses the file name `name`; `None` if it is not one of the log's.
#[must_use]
pub fn parse_name(name: &str) -> Option<Name> {
    if let Some(rest) = name.strip_prefix(FREE) {
        return parse_id(rest).map(Name::Free);
    }
    match name.strip_prefix(NEXT) {
        Some(rest) => parse_id(rest).map(Name::Next),
        None => parse_id(name).map(Name::Segment),
    }
}

fn parse_id(name: &str) -> Option<SegmentId> {
    let mut parts = name.strip_suffix(".log")?.split('-');
    let id = SegmentId {
        epoch: parts.next()?.parse().ok()?,
        core: parts.next()?.parse().ok()?,
        seq: parts.next()?.parse().ok()?,
    };
    // The last epoch is never used, so there is always a next one.
    let ours = parts.next().is_none() && file_name(id) == name && id.epoch < u32::MAX;
    ours.then_some(id)
}

/// The content of the log's directory.
#[derive(Debug, Default, Clone)]
pub struct Listing {
    /// All segments, ordered by epoch, core and position.
    pub segments: Vec<SegmentId>,
    /// The number of files that may be reused.
    pub free: usize,
    /// The highest epoch in any name, 0 if there is none.
    pub last_epoch: u32,
}

impl Listing {
    /// Parses file names and ignores those that are not the log's.
    pub fn from_names<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut listing = Self::default();
        for name in names.filter_map(parse_name) {
            let (Name::Segment(id) | Name::Free(id) | Name::Next(id)) = name;
            listing.last_epoch = listing.last_epoch.max(id.epoch);
            match name {
                Name::Segment(id) => listing.segments.push(id),
                Name::Free(_) | Name::Next(_) => listing.free += 1,
            }
        }
        listing.segments.sort_unstable();
        listing
    }

    /// The epoch of a new run: above that of every frame in any file of the directory.
    ///
    /// # Panics
    /// After 2^32 - 2 starts.
    #[must_use]
    pub fn next_epoch(&self) -> u32 {
        let next = self.last_epoch + 1;
        assert!(next < u32::MAX, "fewer than 2^32 starts");
        next
    }
}

/// The path of segment `id`.
#[must_use]
pub fn path(dir: &Path, id: SegmentId) -> PathBuf {
    dir.join(file_name(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_strangers_are_left_alone() {
        let id = SegmentId { epoch: 3, core: 1, seq: 12 };
        assert_eq!(file_name(id), "00000003-0001-00000012.log");
        assert_eq!(parse_name(&file_name(id)), Some(Name::Segment(id)));
        assert_eq!(parse_name(&free_name(id)), Some(Name::Free(id)));
        assert_eq!(parse_name(&next_name(id)), Some(Name::Next(id)));
        let strangers = [
            "3-1-12.log",
            "00000003-0001-00000012",
            "LOCK",
            "free-00000001.log",
            "free-next-00000003-0001-00000012.log",
            "4294967295-0000-00000000.log",
            "-0000-00000000.log",
        ];
        for name in strangers {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }

    #[test]
    fn an_epoch_is_above_all_names_of_files_whatever_they_are_for() {
        let epoch = |names: &[&str]| Listing::from_names(names.iter().copied()).next_epoch();
        assert_eq!(epoch(&[]), 1);
        assert_eq!(epoch(&["00000002-0000-00000000.log", "x", "00000001-0001-00000000.log"]), 3);
        assert_eq!(epoch(&["00000002-0000-00000000.log", "free-00000007-0000-00000000.log"]), 8);
        assert_eq!(epoch(&["next-00000009-0003-00000000.log"]), 10);
        let names = ["00000002-0000-00000000.log", "00000001-0001-00000000.log"];
        let listing = Listing::from_names(names.into_iter());
        assert_eq!((listing.segments[0].epoch, listing.free), (1, 0));
    }
}
