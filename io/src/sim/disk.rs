//! The simulated disk: what programs see, what is durable, and what a power cut leaves.
//!
//! A file has its current content, its durable content, and the changes between the two in order. A
//! directory has the same for its entries. A sync makes durable what was changed before it began. A
//! power cut keeps a subset of the later changes that a real disk could have kept: each sector of
//! 512 bytes in one of the states it has had, and each entry likewise. A rename happens whole or
//! not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::rng::Rng;

/// The unit that a disk writes whole or not at all.
pub(super) const SECTOR: u64 = 512;

/// A change of a file's content that is not durable.
#[derive(Clone, Debug)]
enum Change {
    Write {
        at: u64,
        bytes: Vec<u8>,
    },
    /// The new length of the file; new bytes read as zeros.
    Len(u64),
}

#[derive(Debug, Default)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    changes: Vec<Change>,
    /// Number of changes before `changes`: made durable, or lost by a failed sync.
    settled: u64,
}

/// What an entry of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    File(u64),
    Dir,
}

/// A change of a directory that is not durable.
#[derive(Clone, Debug)]
enum DirChange {
    Set(String, Entry),
    Unset(String),
    Rename(String, String, Entry),
}

#[derive(Clone, Debug, Default)]
struct Dir {
    names: BTreeMap<String, Entry>,
    durable: BTreeMap<String, Entry>,
    changes: Vec<DirChange>,
    settled: u64,
}

impl DirChange {
    fn apply(&self, names: &mut BTreeMap<String, Entry>) {
        match self {
            Self::Set(name, entry) => {
                names.insert(name.clone(), *entry);
            }
            Self::Unset(name) => {
                names.remove(name);
            }
            Self::Rename(from, to, entry) => {
                names.remove(from);
                names.insert(to.clone(), *entry);
            }
        }
    }
}

/// A point in the changes of a file or directory, up to which a sync makes it durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(u64);

/// All files and directories of the simulated world.
#[derive(Debug)]
pub(crate) struct Disk {
    inodes: BTreeMap<u64, Inode>,
    dirs: BTreeMap<PathBuf, Dir>,
    locks: BTreeSet<PathBuf>,
    next: u64,
}

fn os(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn split(path: &Path) -> io::Result<(PathBuf, String)> {
    let name = path.file_name().ok_or_else(|| os(libc::EINVAL))?;
    Ok((crate::blocking::parent_of(path).to_owned(), name.to_string_lossy().into_owned()))
}

impl Disk {
    pub(super) fn new() -> Self {
        let mut disk = Disk {
            inodes: BTreeMap::new(),
            dirs: BTreeMap::new(),
            locks: BTreeSet::new(),
            next: 0,
        };
        for root in ["/", "."] {
            disk.dirs.insert(PathBuf::from(root), Dir::default());
        }
        disk
    }

    /// Finds the file or directory at a path.
    pub(super) fn find(&self, path: &Path) -> io::Result<Entry> {
        if self.dirs.contains_key(path) {
            return Ok(Entry::Dir);
        }
        let (parent, name) = split(path)?;
        let dir = self.dirs.get(&parent).ok_or_else(|| os(libc::ENOENT))?;
        dir.names.get(&name).copied().ok_or_else(|| os(libc::ENOENT))
    }

    fn change_dir(&mut self, path: &Path, change: DirChange) -> io::Result<()> {
        let dir = self.dirs.get_mut(path).ok_or_else(|| os(libc::ENOENT))?;
        change.apply(&mut dir.names);
        dir.changes.push(change);
        Ok(())
    }

    /// Creates a file that must not exist.
    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        if self.find(path).is_ok() {
            return Err(os(libc::EEXIST));
        }
        let (parent, name) = split(path)?;
        let inode = self.next;
        self.change_dir(&parent, DirChange::Set(name, Entry::File(inode)))?;
        self.next += 1;
        self.inodes.insert(inode, Inode::default());
        Ok(inode)
    }

    pub(super) fn make_dir(&mut self, path: &Path) -> io::Result<()> {
        if self.find(path).is_ok() {
            return Err(os(libc::EEXIST));
        }
        let (parent, name) = split(path)?;
        self.change_dir(&parent, DirChange::Set(name, Entry::Dir))?;
        self.dirs.insert(path.to_owned(), Dir::default());
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let entry = self.find(from)?;
        if entry == Entry::Dir {
            return Err(os(libc::EISDIR));
        }
        let ((from_dir, from_name), (to_dir, to_name)) = (split(from)?, split(to)?);
        if from_dir == to_dir {
            return self.change_dir(&to_dir, DirChange::Rename(from_name, to_name, entry));
        }
        self.change_dir(&to_dir, DirChange::Set(to_name, entry))?;
        self.change_dir(&from_dir, DirChange::Unset(from_name))
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let entry = self.find(path)?;
        let (parent, name) = split(path)?;
        if entry == Entry::Dir {
            if self.dirs.get(path).is_some_and(|dir| !dir.names.is_empty()) {
                return Err(os(libc::ENOTEMPTY));
            }
            self.dirs.remove(path);
        }
        self.change_dir(&parent, DirChange::Unset(name))
    }

    /// The entries of a directory, with the length of files.
    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<(String, Option<u64>)>> {
        let dir = self.dirs.get(path).ok_or_else(|| os(libc::ENOENT))?;
        let entry = |(name, entry): (&String, &Entry)| {
            let len = match entry {
                Entry::File(inode) => Some(self.len(*inode)),
                Entry::Dir => None,
            };
            (name.clone(), len)
        };
        Ok(dir.names.iter().map(entry).collect())
    }

    pub(super) fn len(&self, inode: u64) -> u64 {
        self.content(inode).len() as u64
    }

    /// The content that a reader sees.
    pub(super) fn content(&self, inode: u64) -> &[u8] {
        self.inodes.get(&inode).map_or(&[], |inode| &inode.content)
    }

    pub(super) fn write(&mut self, inode: u64, at: u64, bytes: &[u8]) {
        let inode = self.inodes.entry(inode).or_default();
        apply(&mut inode.content, at, bytes);
        inode.changes.push(Change::Write { at, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, inode: u64, len: u64) {
        let inode = self.inodes.entry(inode).or_default();
        inode.content.resize(len as usize, 0);
        inode.changes.push(Change::Len(len));
    }

    /// The point up to which a sync that begins now works.
    pub(super) fn mark(&self, inode: u64) -> Mark {
        Mark(self.inodes.get(&inode).map_or(0, |i| i.settled + i.changes.len() as u64))
    }

    /// Settles the changes up to `mark`: they are durable, or never will be if the sync failed.
    pub(super) fn settle(&mut self, inode: u64, mark: Mark, is_durable: bool) {
        let Some(inode) = self.inodes.get_mut(&inode) else { return };
        let count = mark.0.saturating_sub(inode.settled) as usize;
        for change in inode.changes.drain(..count.min(inode.changes.len())) {
            inode.settled += 1;
            match change {
                _ if !is_durable => {}
                Change::Write { at, bytes } => apply(&mut inode.durable, at, &bytes),
                Change::Len(len) => inode.durable.resize(len as usize, 0),
            }
        }
    }

    pub(super) fn mark_dir(&self, path: &Path) -> Mark {
        Mark(self.dirs.get(path).map_or(0, |dir| dir.settled + dir.changes.len() as u64))
    }

    /// As [`Disk::settle`]. The changes of a failed sync stay: a directory's are in the journal.
    pub(super) fn settle_dir(&mut self, path: &Path, mark: Mark, is_durable: bool) {
        let Some(dir) = self.dirs.get_mut(path).filter(|_| is_durable) else { return };
        let count = mark.0.saturating_sub(dir.settled) as usize;
        for change in dir.changes.drain(..count.min(dir.changes.len())) {
            dir.settled += 1;
            change.apply(&mut dir.durable);
        }
    }

    /// Locks a directory; false if it is locked already.
    pub(super) fn lock(&mut self, path: &Path) -> bool {
        self.locks.insert(path.to_owned())
    }

    pub(super) fn unlock(&mut self, path: &Path) {
        self.locks.remove(path);
    }

    pub(super) fn unlock_all(&mut self) {
        self.locks.clear();
    }

    /// Cuts the power: parts of what was not synced are kept.
    pub(super) fn cut(&mut self, rng: &mut Rng) {
        let survivors = Survivors::draw(rng);
        let mut dirs = std::mem::take(&mut self.dirs);
        for dir in dirs.values_mut() {
            let mut names = std::mem::take(&mut dir.durable);
            for change in dir.changes.drain(..).filter(|_| survivors.keeps_name(rng)) {
                change.apply(&mut names);
            }
            *dir = Dir { durable: names.clone(), names, ..Dir::default() };
        }
        for (path, dir) in dirs {
            // If the entry of a directory is lost, everything in it is lost. Parents come first
            // here.
            let is_named = match split(&path) {
                Err(_) => true,
                Ok(_) if path == Path::new(".") => true,
                Ok((parent, name)) => {
                    let parent = self.dirs.get(&parent);
                    parent.is_some_and(|dir| dir.names.get(&name) == Some(&Entry::Dir))
                }
            };
            if is_named {
                self.dirs.insert(path, dir);
            }
        }
        let files = |dir: &Dir| -> Vec<Entry> { dir.names.values().copied().collect() };
        let live: BTreeSet<u64> = (self.dirs.values().flat_map(files))
            .filter_map(|entry| match entry {
                Entry::File(inode) => Some(inode),
                Entry::Dir => None,
            })
            .collect();
        self.inodes.retain(|inode, _| live.contains(inode));
        for inode in self.inodes.values_mut() {
            inode.cut(survivors, rng);
        }
    }
}

/// How much of what was not synced a power cut keeps.
#[derive(Clone, Copy, Debug)]
enum Survivors {
    Nothing,
    Everything,
    /// Each sector and entry on its own, with this chance in thousandths.
    Some(u32),
}

impl Survivors {
    fn draw(rng: &mut Rng) -> Self {
        match rng.below(6) {
            0 => Self::Nothing,
            1 => Self::Everything,
            2 => Self::Some(900),
            3 => Self::Some(100),
            _ => Self::Some(500),
        }
    }

    fn keeps(self, rng: &mut Rng) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Some(per_mille) => rng.chance(per_mille),
        }
    }

    fn keeps_name(self, rng: &mut Rng) -> bool {
        self.keeps(rng)
    }

    /// Which of its `states` a sector has; 0 is the durable one.
    fn state(self, states: u64, rng: &mut Rng) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Everything => states,
            Self::Some(per_mille) if rng.chance(per_mille) => rng.between(1, states),
            Self::Some(_) => 0,
        }
    }
}

impl Inode {
    fn cut(&mut self, survivors: Survivors, rng: &mut Rng) {
        let mut touched: BTreeMap<u64, u64> = BTreeMap::new();
        for change in &self.changes {
            sectors(change).for_each(|sector| *touched.entry(sector).or_default() += 1);
        }
        for states in touched.values_mut() {
            *states = survivors.state(*states, rng);
        }
        for change in std::mem::take(&mut self.changes) {
            match &change {
                Change::Write { at, bytes } => {
                    for sector in sectors(&change) {
                        let left = touched.entry(sector).or_default();
                        if *left > 0 {
                            *left -= 1;
                            let (from, part) = part_of(sector, *at, bytes);
                            apply(&mut self.durable, from, part);
                        }
                    }
                }
                Change::Len(len) if survivors.keeps(rng) => self.durable.resize(*len as usize, 0),
                Change::Len(_) => {}
            }
        }
        self.content.clone_from(&self.durable);
        self.settled = 0;
    }
}

fn sectors(change: &Change) -> std::ops::Range<u64> {
    match change {
        Change::Write { at, bytes } if !bytes.is_empty() => {
            at / SECTOR..(at + bytes.len() as u64).div_ceil(SECTOR)
        }
        _ => 0..0,
    }
}

/// The part of a write that falls into `sector`, and its offset there.
fn part_of(sector: u64, at: u64, bytes: &[u8]) -> (u64, &[u8]) {
    let from = at.max(sector * SECTOR);
    let to = (at + bytes.len() as u64).min((sector + 1) * SECTOR);
    (from, &bytes[(from - at) as usize..(to - at) as usize])
}

fn apply(content: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let end = at as usize + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at as usize..end].copy_from_slice(bytes);
}
