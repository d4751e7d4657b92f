//! The reading half: what the log says is put back into memory when the node starts.
//!
//! Each log (epoch and core) is read in order. A log of a run with the same number of cores is
//! read by the core of the same number; any other is read by every core, and each keeps its own
//! shards. What cannot be read is told apart:
//!
//! - After the last readable frame of a log that was never sealed: the torn tail of a crash. No
//!   request was answered for it. It is cut, and the log is sealed.
//! - Files at the end of a log that are empty or all zeros: segments that were never written. They
//!   are given up.
//! - Anything else is damage: reported with file and offset, skipped, never served. A log with
//!   damage is left as it is, every file of it.

mod unused;

use super::entry::{BadEntry, Entries, Entry};
use super::frame::{self, BadHeader, FrameKind, SegmentHeader, SegmentId};
use super::segment::{self, Listing};
use crate::owner::ShardMap;
use crate::store::CoreStore;
use hashbrown::HashMap;
use m3_io::file::{self, File};
use m3_metric::labels::QUOTED_ID_VERSION;
use m3_metric::{NamespaceId, ShardId};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Log files larger than this are not read. Segments are far smaller.
pub const SEGMENT_BYTES_READ_MAX: u64 = 1 << 30;

/// A part of the log that should be readable but is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where it begins.
    pub offset: u64,
    /// How many bytes it costs.
    pub bytes: u64,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, offset, bytes, what) =
            (self.file.display(), self.offset, self.bytes, &self.what);
        write!(f, "{file} at offset {offset}: {what}; {bytes} bytes are not served")
    }
}

/// The result of a replay.
#[derive(Clone, Debug, Default)]
pub struct ReplayStats {
    /// Segments read.
    pub segments: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Frames read.
    pub frames: u64,
    /// Series restored.
    pub series: u64,
    /// Samples restored.
    pub samples: u64,
    /// Samples of deleted namespaces.
    pub orphans: u64,
    /// Bytes of torn tails that were cut.
    pub cut_bytes: u64,
    /// Damage that was found.
    pub damage: Vec<Damage>,
    /// Segments in which everything has expired; [`recycle`] gives them up.
    pub recyclable: Vec<SegmentId>,
}

/// Options of a replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// The directory of all segments.
    pub dir: PathBuf,
    /// The core that replays.
    pub core: u16,
    /// How series are assigned to cores in this run.
    pub shards: ShardMap,
    /// The current time, for retention.
    pub now_ns: i64,
    /// Namespaces below this number were created; those among them that no longer exist were
    /// deleted.
    pub namespaces_below: u32,
}

/// Reads the segments in `listing` into `store`.
///
/// # Errors
/// If a file cannot be read or written. Damage is not an error; it is part of the result.
pub async fn replay(
    options: &ReplayOptions,
    listing: &Listing,
    store: &mut CoreStore,
) -> io::Result<ReplayStats> {
    let mut stats = ReplayStats::default();
    let logs = listing.segments.chunk_by(|a, b| (a.epoch, a.core) == (b.epoch, b.core));
    for log in logs {
        let mut reader = LogReader {
            options,
            store: &mut *store,
            stats: &mut stats,
            ordinals: HashMap::new(),
            next_frame: 0,
            gap: false,
            same_shards: true,
            unknown: 0,
            live: false,
            damaged: false,
        };
        reader.read(log).await?;
    }
    Ok(stats)
}

/// A series in the log that belongs to another core or to a deleted namespace.
const NOT_OURS: u32 = u32::MAX;
/// A series in the log whose labels could not be read.
const UNKNOWN: u32 = u32::MAX - 1;

struct LogReader<'a> {
    options: &'a ReplayOptions,
    store: &'a mut CoreStore,
    stats: &'a mut ReplayStats,
    /// For each namespace, the ordinals of this run by those in the log.
    ordinals: HashMap<NamespaceId, Vec<u32>>,
    /// The expected number of the next frame.
    next_frame: u64,
    /// Whether damage was reported since the last frame. It explains missing numbers.
    gap: bool,
    /// Whether series are assigned to shards as when the segment was written.
    same_shards: bool,
    /// Samples of the segment whose series are unknown.
    unknown: u64,
    /// Whether the log holds a sample that has not expired.
    live: bool,
    damaged: bool,
}

/// The end of a segment.
enum End {
    /// A seal; or its damage is reported, and nothing more is known about the end.
    Sealed,
    /// A seal at this offset, but the node ended before it cut the file there.
    Uncut(u64),
    /// No seal: the last readable frame ends at `offset`. Of the `rest` after it, `torn` bytes were
    /// written for a frame, as far as can be told.
    Open { last: LastFrame, offset: u64, rest: u64, torn: u64 },
}

/// The last frame of a log: its offset and its bytes.
struct LastFrame(u64, Vec<u8>);

impl LogReader<'_> {
    async fn read(&mut self, log: &[SegmentId]) -> io::Result<()> {
        if !self.is_ours(log[0]).await? {
            return Ok(());
        }
        let (used, unused) = unused::split_off(&self.options.dir, log).await?;
        let mut seq = 0;
        for (at, id) in used.iter().enumerate() {
            if id.seq != seq {
                self.damage(*id, 0, 0, "the segment before this one is missing");
            }
            seq = id.seq.wrapping_add(1);
            match self.read_segment(*id).await? {
                End::Sealed => {}
                End::Uncut(end) => self.cut(*id, end).await?,
                End::Open { last, offset, rest, torn } => {
                    if self.is_end(&used[at + 1..]).await? {
                        self.end_log(*id, last, offset, torn).await?;
                    } else {
                        let what = "the segment is not sealed and is not the last";
                        self.damage(*id, offset, rest, what);
                    }
                }
            }
        }
        if !used.is_empty() {
            self.note_recyclable(used);
        }
        self.give_up(unused).await
    }

    /// Whether the log ends before the segments `later`: each was begun and has no frame.
    async fn is_end(&self, later: &[SegmentId]) -> io::Result<bool> {
        for id in later {
            if !unused::is_begun_at(&self.options.dir, *id, self.next_frame).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives up segments in which nothing was ever written. They go before those of their log.
    async fn give_up(&mut self, unused: &[SegmentId]) -> io::Result<()> {
        for id in unused {
            if self.damaged || !self.is_keeper(*id) {
                continue;
            }
            unused::empty(&self.options.dir, *id).await?;
            let file = segment::path(&self.options.dir, *id);
            tracing::info!(file = %file.display(), "an empty segment is given up");
            self.stats.recyclable.push(*id);
        }
        Ok(())
    }

    /// Whether this core reads the log that begins with `first`.
    async fn is_ours(&self, first: SegmentId) -> io::Result<bool> {
        let path = segment::path(&self.options.dir, first);
        let file = File::open_read(&path).await?;
        let buf = Vec::with_capacity(frame::SEGMENT_HEADER_BYTES);
        let (read, bytes) = file.read_at(buf, 0).await;
        read?;
        Ok(match SegmentHeader::decode(&bytes) {
            Ok(header)
                if header.core_count == self.options.shards.core_count
                    && self.is_spread_alike(&header) =>
            {
                first.core == self.options.core
            }
            _ => true,
        })
    }

    /// Whether the segment's shards are those of this run.
    const fn is_spread_alike(&self, header: &SegmentHeader) -> bool {
        let shards = self.options.shards;
        header.num_shards == shards.num_shards
            && header.hash_seed == shards.hash_seed
            && header.id_version == QUOTED_ID_VERSION
    }

    /// Whether this core is the one that seals, reports and recycles the log of `id`.
    const fn is_keeper(&self, id: SegmentId) -> bool {
        id.core % self.options.shards.core_count == self.options.core
    }

    async fn read_segment(&mut self, id: SegmentId) -> io::Result<End> {
        let path = segment::path(&self.options.dir, id);
        let bytes = file::read_file(&path, SEGMENT_BYTES_READ_MAX).await?;
        self.stats.segments += 1;
        self.stats.bytes += bytes.len() as u64;
        self.same_shards = false;
        match SegmentHeader::decode(&bytes) {
            Ok(header) if header.id == id => {
                self.same_shards = self.is_spread_alike(&header);
                if header.first_frame > self.next_frame && !self.gap {
                    let (next, first) = (self.next_frame, header.first_frame);
                    let what = format!("frames {next} to {} are missing before it", first - 1);
                    self.damage(id, 0, 0, &what);
                }
            }
            Ok(header) => {
                let what = format!("this is the content of {}", segment::file_name(header.id));
                self.damage(id, 0, bytes.len() as u64, &what);
                return Ok(End::Sealed);
            }
            Err(BadHeader::Version(found)) => {
                let what = format!(
                    "the log is of format version {found}, this program reads version {}; start \
                     the program that wrote it",
                    frame::VERSION
                );
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{}: {what}", path.display()),
                ));
            }
            // Each frame says itself where it belongs, so reading goes on.
            Err(error) => {
                self.damage(id, 0, frame::SEGMENT_HEADER_BYTES as u64, &error.to_string());
            }
        }
        Ok(self.read_frames(id, &bytes))
    }

    fn read_frames(&mut self, id: SegmentId, bytes: &[u8]) -> End {
        let mut at = frame::SEGMENT_HEADER_BYTES;
        let mut first_unknown = None;
        let mut last = 0..0;
        let end = loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(found) = frame::decode(id, rest) else {
                let Some(next) = frame::find_frame(id, bytes, at) else {
                    let torn = frame::torn_bytes(id, rest) as u64;
                    // Where the last frame's padding was cut off this lies behind the end.
                    let last = LastFrame(last.start as u64, bytes[last].to_vec());
                    break End::Open { last, offset: at as u64, rest: rest.len() as u64, torn };
                };
                let what = "no readable frame, though one follows";
                self.damage(id, at as u64, (next - at) as u64, what);
                at = next;
                continue;
            };
            let offset = at as u64;
            last = at..(at + found.bytes).min(bytes.len());
            at += found.bytes;
            if found.number < self.next_frame {
                let what = format!("a copy of frame {}, which stands earlier", found.number);
                self.damage(id, offset, found.bytes as u64, &what);
                continue;
            }
            if found.number > self.next_frame && !self.gap {
                let what = format!("frame {} where {} belongs", found.number, self.next_frame);
                self.damage(id, offset, 0, &what);
            }
            self.gap = false;
            self.next_frame = found.number.saturating_add(1);
            if found.kind == FrameKind::Seal {
                break if bytes.len() > at { End::Uncut(at as u64) } else { End::Sealed };
            }
            self.stats.frames += 1;
            let unknown = self.unknown;
            if let Err(BadEntry(what)) = self.apply(found.payload) {
                self.damage(id, offset, found.bytes as u64, what);
            }
            if self.unknown > unknown {
                first_unknown.get_or_insert(offset);
            }
        };
        if let Some(offset) = first_unknown {
            let count = std::mem::take(&mut self.unknown);
            let what = format!(
                "{count} samples from here on are of series whose labels stood where the log \
                 cannot be read"
            );
            self.damage(id, offset, 0, &what);
        }
        end
    }

    fn apply(&mut self, payload: &[u8]) -> Result<(), BadEntry> {
        for entry in Entries(payload) {
            match entry? {
                Entry::Series { namespace, series, shard, kind, labels } => {
                    let shard = self.shard_of(shard, labels)?;
                    let ours = match self.store.namespace_mut(namespace) {
                        Some(store) => store.replay_series(shard, kind, labels)?,
                        None => None,
                    };
                    self.stats.series += u64::from(ours.is_some());
                    let ordinals = self.ordinals.entry(namespace).or_default();
                    let at = series as usize;
                    if at > ordinals.len() + SERIES_GAP_MAX {
                        return Err(BadEntry("a series' number is far beyond those before it"));
                    }
                    if ordinals.len() <= at {
                        ordinals.resize(at + 1, UNKNOWN);
                    }
                    ordinals[at] = ours.unwrap_or(NOT_OURS);
                }
                Entry::Samples { namespace, samples } => self.apply_samples(namespace, samples)?,
            }
        }
        Ok(())
    }

    /// The shard of a series that was in `shard` when it was logged.
    fn shard_of(&self, shard: u32, labels: &[u8]) -> Result<ShardId, BadEntry> {
        if self.same_shards {
            return Ok(ShardId(shard));
        }
        if !m3_metric::labels::is_canonical(labels) {
            return Err(BadEntry("labels that are not canonical"));
        }
        Ok(self.options.shards.shard_of(labels))
    }

    fn apply_samples(
        &mut self,
        namespace: NamespaceId,
        samples: super::entry::Samples<'_>,
    ) -> Result<(), BadEntry> {
        let Some(store) = self.store.namespace_mut(namespace) else {
            self.stats.orphans += u64::from(samples.remaining());
            self.live |= namespace.0 >= self.options.namespaces_below;
            return Ok(());
        };
        let ordinals = self.ordinals.get(&namespace).map_or(&[][..], Vec::as_slice);
        let kept_from = self.options.now_ns.saturating_sub(store.options().retention.0);
        for sample in samples {
            let sample = sample?;
            self.live |= sample.ts_ns >= kept_from;
            match ordinals.get(sample.series as usize).copied().unwrap_or(UNKNOWN) {
                NOT_OURS => {}
                UNKNOWN => self.unknown += 1,
                series => {
                    store.replay_sample(series, sample.ts_ns, sample.bits, self.options.now_ns);
                    self.stats.samples += 1;
                }
            }
        }
        Ok(())
    }

    fn damage(&mut self, id: SegmentId, offset: u64, bytes: u64, what: &str) {
        self.damaged = true;
        self.gap = true;
        let file = segment::path(&self.options.dir, id);
        if self.is_keeper(id) {
            let damage = Damage { file, offset, bytes, what: what.to_owned() };
            tracing::error!(%damage, "commit log is damaged");
            self.stats.damage.push(damage);
        }
    }

    /// Cuts a sealed segment after its seal. When the segment is given up, its length says how much
    /// of the file was written, so reserved space must not count.
    async fn cut(&self, id: SegmentId, end: u64) -> io::Result<()> {
        if self.damaged || !self.is_keeper(id) {
            return Ok(());
        }
        let file = File::open_write(segment::path(&self.options.dir, id)).await?;
        file.truncate(end).await?;
        file.sync_all().await?;
        file.close().await
    }

    /// Cuts the torn end of a log that was never sealed, and seals the log.
    ///
    /// It also writes the last frame again. The frame's sync may have failed; then the operating
    /// system still shows bytes that it has given up writing, and another sync would report
    /// success. A sample that is sent again would be acknowledged as a duplicate, although it is
    /// not on the disk.
    async fn end_log(
        &mut self,
        id: SegmentId,
        last: LastFrame,
        offset: u64,
        torn: u64,
    ) -> io::Result<()> {
        if !self.is_keeper(id) {
            return Ok(());
        }
        let file = File::open_write(segment::path(&self.options.dir, id)).await?;
        // Cuts first, because that waits for a direct write still in progress: the kernel may
        // continue with it for a moment after its process is gone.
        if !self.damaged {
            file.truncate(offset).await?;
        }
        let LastFrame(begin, bytes) = last;
        file.write_all_at(bytes, begin).await.0?;
        // Before the seal: a log that shows one is not looked at again.
        file.sync_data().await?;
        if self.damaged {
            return file.close().await;
        }
        let seal = frame::encode_header(id, self.next_frame, FrameKind::Seal, &[]);
        file.write_all_at(seal.to_vec(), offset).await.0?;
        file.sync_all().await?;
        file.close().await?;
        self.next_frame = self.next_frame.saturating_add(1);
        self.stats.cut_bytes += torn;
        Ok(())
    }

    /// Notes the files of a log that holds nothing which is still kept.
    fn note_recyclable(&mut self, log: &[SegmentId]) {
        if !self.live && !self.damaged && self.is_keeper(log[0]) {
            self.stats.recyclable.extend_from_slice(log);
        }
    }
}

/// Maximum number of recycled segment files kept for reuse; more would only waste disk.
const FREE_FILES_MAX: usize = 16;

/// Gives up the files of `segments`, which are whole logs in order, for reuse. To be called when no
/// core reads them any more: a log of a run with another number of cores is read by all.
///
/// The last segment of a log goes first, so a crash in between leaves a log whose front is
/// complete.
///
/// # Errors
/// If a file cannot be renamed or removed, or if the directory cannot be synced.
pub async fn recycle(dir: &Path, segments: &[SegmentId]) -> io::Result<()> {
    if segments.is_empty() {
        return Ok(());
    }
    let entries = file::list_dir(dir).await?;
    let mut free = Listing::from_names(entries.iter().map(|entry| entry.name.as_str())).free;
    for id in segments.iter().rev() {
        let from = segment::path(dir, *id);
        if !file::exists(&from).await? {
            continue;
        }
        if free < FREE_FILES_MAX {
            file::rename(&from, &dir.join(segment::free_name(*id))).await?;
            free += 1;
        } else {
            file::remove(&from).await?;
        }
    }
    file::sync_dir(dir).await
}

/// How far a series' number may be above the earlier ones. A log defines series in order of their
/// first sample, so a gap can be as large as the table that its run had replayed.
const SERIES_GAP_MAX: usize = 1 << 26;

#[cfg(test)]
mod tests;
