//! The files of the commit log's directory: their names, their order, their second life.
//!
//! A segment is `EPOCH-CORE-SEQ.log`. A file that holds nothing needed any more becomes
//! `free-N.log`; the next segment takes it over, since writing over written blocks is cheaper to
//! sync than growing a file.

use super::frame::SegmentId;
use std::path::{Path, PathBuf};

/// The file name of segment `id`.
#[must_use]
pub fn file_name(id: SegmentId) -> String {
    format!("{:08}-{:04}-{:08}.log", id.epoch, id.core, id.seq)
}

/// The segment whose file name is `name`.
#[must_use]
pub fn parse_name(name: &str) -> Option<SegmentId> {
    let mut parts = name.strip_suffix(".log")?.split('-');
    let id = SegmentId {
        epoch: parts.next()?.parse().ok()?,
        core: parts.next()?.parse().ok()?,
        seq: parts.next()?.parse().ok()?,
    };
    (parts.next().is_none() && file_name(id) == name).then_some(id)
}

/// The number of the free file named `name`.
#[must_use]
pub fn parse_free_name(name: &str) -> Option<u64> {
    name.strip_prefix("free-")?.strip_suffix(".log")?.parse().ok()
}

/// The file name of free file `number`.
#[must_use]
pub fn free_name(number: u64) -> String {
    format!("free-{number:08}.log")
}

/// What the log's directory holds.
#[derive(Debug, Default, Clone)]
pub struct Listing {
    /// All segments, ordered by epoch, core and position.
    pub segments: Vec<SegmentId>,
    /// Free files.
    pub free: Vec<u64>,
}

impl Listing {
    /// Sorts out file names; names of other things are left alone.
    pub fn from_names<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut listing = Self::default();
        for name in names {
            if let Some(id) = parse_name(name) {
                listing.segments.push(id);
            } else if let Some(number) = parse_free_name(name) {
                listing.free.push(number);
            }
        }
        listing.segments.sort_unstable();
        listing.free.sort_unstable();
        listing
    }

    /// The epoch a new run takes.
    ///
    /// # Panics
    /// After 2^32 starts.
    #[must_use]
    pub fn next_epoch(&self) -> u32 {
        let last = self.segments.last().map_or(0, |id| id.epoch);
        last.checked_add(1).expect("fewer than 2^32 starts")
    }
}

/// Where segment `id` is.
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
        assert_eq!(parse_name(&file_name(id)), Some(id));
        for name in ["3-1-12.log", "00000003-0001-00000012", "LOCK", "free-00000001.log"] {
            assert_eq!(parse_name(name), None, "{name}");
        }
        let names =
            ["00000002-0000-00000000.log", "free-00000007.log", "x", "00000001-0001-00000000.log"];
        let listing = Listing::from_names(names.into_iter());
        assert_eq!(listing.next_epoch(), 3);
        assert_eq!(listing.free, [7]);
        assert_eq!(listing.segments[0].epoch, 1);
    }
}
