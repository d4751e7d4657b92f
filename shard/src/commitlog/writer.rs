//! Writes the log: gathers payloads, writes and syncs frames, acknowledges requests.
//!
//! Requests append to the pending payload and wait for its frame. [`CommitLog::run`] is the only
//! task that writes. It owns the file, so no write or sync is ever abandoned half-way.

use super::entry::Payload;
use super::frame::{self, FRAME_HEADER_BYTES, FrameKind, SegmentHeader, SegmentId};
use super::output::{self, Output, Zeros};
use super::prepare::{self, Next, Prepared};
use super::segment;
use crate::owner::ShardMap;
use m3_io::Notify;
use m3_io::file::{self, BLOCK_BYTES};
use m3_io::time::Monotonic;
use m3_metric::labels::QUOTED_ID_VERSION;
use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ack {
    /// After a sync that covers it: an acknowledged sample survives a power cut.
    #[default]
    Durable,
    /// When the operating system has it: an acknowledged sample survives the process, but not the
    /// machine. The log is synced once a second.
    Buffered,
}

/// Options of a log.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of all segments.
    pub dir: PathBuf,
    /// The number of this run of the node.
    pub epoch: u32,
    /// The core whose log it is.
    pub core: u16,
    /// How series are assigned to cores; written into every segment.
    pub shards: ShardMap,
    /// When a write is acknowledged.
    pub ack: Ack,
    /// Whether a durable log may bypass the page cache, if the file system supports that.
    pub direct: bool,
    /// Bytes after which a new segment begins.
    pub segment_bytes: u64,
    /// Pending bytes above which requests wait before they append more.
    pub pending_bytes_max: usize,
}

impl Options {
    /// Bytes to reserve for a segment that must hold a frame of at least `bytes`: whole blocks.
    pub(super) fn segment_room(&self, bytes: u64) -> u64 {
        let least = bytes + 2 * frame::SEGMENT_HEADER_BYTES as u64;
        self.segment_bytes.max(least).next_multiple_of(BLOCK_BYTES as u64)
    }
}

/// Default of [`Options::segment_bytes`].
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// Default of [`Options::pending_bytes_max`].
pub const PENDING_BYTES_MAX: usize = 8 << 20;
/// Shortest and longest time that a frame waits for requests that are likely to come.
const GATHER_MIN: Duration = Duration::from_micros(250);
const GATHER_MAX: Duration = Duration::from_millis(2);
/// Zeros are written ahead up to the next multiple of this.
const WRITE_AHEAD_BYTES: u64 = 4 << 20;
/// How often a buffered log is synced.
const BUFFERED_SYNC_EVERY: Duration = Duration::from_secs(1);

/// The log has failed for good; the text says how. Nothing written since then is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFailed(pub String);

impl fmt::Display for LogFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "commit log failed: {}", self.0)
    }
}

impl std::error::Error for LogFailed {}

/// Counters of a log since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogStats {
    /// Frames written.
    pub frames: u64,
    /// Bytes of written frames, including headers and padding, but not the rest of their blocks.
    pub bytes: u64,
    /// Syncs, including those that are part of a write.
    pub syncs: u64,
    /// Nanoseconds spent writing and syncing.
    pub commit_ns: u64,
    /// Segments begun.
    pub segments: u64,
    /// Whether writes to the open segment bypass the page cache.
    pub is_direct: bool,
}

struct State {
    pending: Payload,
    spare: Vec<u8>,
    /// Payloads taken for writing. Frames are numbered separately, since seals are frames, too.
    taken: u64,
    /// Payloads that are acknowledged.
    acked: u64,
    /// Requests that wait for the pending payload.
    waiting: u64,
    failed: Option<LogFailed>,
    closing: bool,
    closed: bool,
    next: Next,
    stats: LogStats,
}

struct Inner {
    options: Options,
    state: RefCell<State>,
    work: Notify,
    done: Notify,
    /// Notified when the next segment's file is ready or has failed.
    prepared: Notify,
    /// Whether frames bypass the page cache.
    direct: Cell<bool>,
}

/// One core's commit log.
#[derive(Clone)]
pub struct CommitLog(Rc<Inner>);

impl CommitLog {
    /// A log that begins segment 0 of its epoch with its first frame.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let state = State {
            pending: Payload::default(),
            spare: Vec::new(),
            taken: 0,
            acked: 0,
            waiting: 0,
            failed: None,
            closing: false,
            closed: false,
            next: Next::Unbegun,
            stats: LogStats::default(),
        };
        Self(Rc::new(Inner {
            direct: Cell::new(options.direct && options.ack == Ack::Durable),
            options,
            state: RefCell::new(state),
            work: Notify::new(),
            done: Notify::new(),
            prepared: Notify::new(),
        }))
    }

    /// The payload to append to. The caller must end its section before it releases the payload.
    #[must_use]
    pub fn pending(&self) -> RefMut<'_, Payload> {
        RefMut::map(self.0.state.borrow_mut(), |state| &mut state.pending)
    }

    /// The counters of the log.
    #[must_use]
    pub fn stats(&self) -> LogStats {
        self.0.state.borrow().stats
    }

    pub(super) fn options(&self) -> &Options {
        &self.0.options
    }

    /// Whether frames bypass the page cache: if the log is durable and the file system is not known
    /// to refuse it.
    pub(super) fn is_direct(&self) -> bool {
        self.0.direct.get()
    }

    pub(super) fn give_up_direct(&self) {
        if self.0.direct.replace(false) {
            let (core, dir) = (self.0.options.core, self.0.options.dir.display());
            tracing::info!(core, %dir, "no direct writes here: the log goes through the page cache");
        }
    }

    /// Whether the next segment's file is needed now, in whatever state it is.
    pub(super) fn is_next_wanted(&self) -> bool {
        let state = self.0.state.borrow();
        state.closing || matches!(state.next, Next::Begun { hurry: true })
    }

    /// Whether a task is preparing the next segment's file.
    #[cfg(test)]
    pub(super) fn is_next_begun(&self) -> bool {
        matches!(self.0.state.borrow().next, Next::Begun { .. })
    }

    pub(super) fn set_next(&self, next: Next) {
        self.0.state.borrow_mut().next = next;
        self.0.prepared.notify_waiters();
    }

    /// Takes the next segment's file; `None` if nobody prepares one.
    async fn take_next(&self) -> Option<Prepared> {
        loop {
            {
                let mut state = self.0.state.borrow_mut();
                match std::mem::take(&mut state.next) {
                    Next::Ready(prepared) => return Some(prepared),
                    Next::Unbegun | Next::Failed => return None,
                    Next::Begun { .. } => state.next = Next::Begun { hurry: true },
                }
            }
            self.0.prepared.notified().await;
        }
    }

    /// Waits while too much is pending. It also wakes the writer: every request may be blocked
    /// here, so nothing else would start a commit.
    ///
    /// # Errors
    /// If the log has failed or is closing.
    pub async fn room(&self) -> Result<(), LogFailed> {
        loop {
            {
                let state = self.0.state.borrow();
                if let Some(failed) = &state.failed {
                    return Err(failed.clone());
                }
                if state.closing {
                    return Err(LogFailed("the node is stopping".to_owned()));
                }
                if !self.is_full(&state) {
                    return Ok(());
                }
            }
            self.0.work.notify_waiters();
            self.0.done.notified().await;
        }
    }

    fn is_full(&self, state: &State) -> bool {
        state.pending.len() >= self.0.options.pending_bytes_max
    }

    /// Waits until everything appended before this call is acknowledged.
    ///
    /// # Errors
    /// If the log has failed; the data may not be durable.
    pub async fn acknowledged(&self) -> Result<(), LogFailed> {
        let wanted = {
            let mut state = self.0.state.borrow_mut();
            state.waiting += u64::from(!state.pending.is_empty());
            state.taken + u64::from(!state.pending.is_empty())
        };
        self.0.work.notify_waiters();
        loop {
            {
                let state = self.0.state.borrow();
                if state.acked >= wanted {
                    return Ok(());
                }
                if let Some(failed) = &state.failed {
                    return Err(failed.clone());
                }
            }
            self.0.done.notified().await;
        }
    }

    /// Discards what is pending and accepts nothing more, because `why` may have left half a
    /// request in it. Waiting requests are told that the log failed. The node must stop.
    pub fn give_up(&self, why: &str) {
        let mut state = self.0.state.borrow_mut();
        let spare = std::mem::take(&mut state.spare);
        drop(state.pending.take(spare));
        state.failed.get_or_insert_with(|| LogFailed(why.to_owned()));
        drop(state);
        self.0.done.notify_waiters();
    }

    /// Writes what is pending, seals the segment, and returns after the sync.
    ///
    /// # Errors
    /// If the log has failed.
    pub async fn close(&self) -> Result<(), LogFailed> {
        self.0.state.borrow_mut().closing = true;
        self.0.work.notify_waiters();
        loop {
            {
                let state = self.0.state.borrow();
                if let Some(failed) = &state.failed {
                    return Err(failed.clone());
                }
                if state.closed {
                    return Ok(());
                }
            }
            self.0.done.notified().await;
        }
    }

    /// Writes frames until the log is closed. Exactly one task runs this.
    ///
    /// # Errors
    /// The first failed write or sync. Waiting requests have been told; the node must stop.
    pub async fn run(&self) -> Result<(), LogFailed> {
        let synced = m3_io::time::now();
        let mut writer = Writer::new(self.clone(), synced);
        let result = writer.run().await;
        let mut state = self.0.state.borrow_mut();
        match &result {
            Ok(()) => state.closed = true,
            Err(failed) => state.failed = Some(failed.clone()),
        }
        drop(state);
        self.0.done.notify_waiters();
        result
    }
}

struct Open {
    file: Output,
    id: SegmentId,
    offset: u64,
    /// Blocks below this were written and synced before, so a frame in them changes data only.
    written: u64,
    /// Bytes reserved for it.
    room: u64,
}

struct Writer {
    log: CommitLog,
    open: Option<Open>,
    number: u64,
    unsynced: bool,
    synced: Monotonic,
    zeros: Zeros,
    /// Number of requests expected in the next frame.
    expected: u64,
    /// How long the frame waits for them.
    window: Duration,
}

impl Writer {
    fn new(log: CommitLog, synced: Monotonic) -> Self {
        Self {
            log,
            open: None,
            number: 0,
            unsynced: false,
            synced,
            zeros: Zeros::default(),
            expected: 0,
            window: Duration::ZERO,
        }
    }

    async fn run(&mut self) -> Result<(), LogFailed> {
        loop {
            self.gather().await;
            let (payload, closing) = {
                let inner = &self.log.0;
                let mut state = inner.state.borrow_mut();
                let closing = state.closing;
                if state.pending.is_empty() {
                    (None, closing)
                } else {
                    let spare = std::mem::take(&mut state.spare);
                    state.taken += 1;
                    self.expected = std::mem::take(&mut state.waiting);
                    (Some(state.pending.take(spare)), closing)
                }
            };
            match payload {
                Some(payload) => self.commit(payload).await?,
                None if closing => return self.finish().await,
                None => self.wait().await?,
            }
        }
    }

    /// Waits for requests that are likely to come, so that they share a sync. After a sync its
    /// requests are answered all at once; without waiting, the first client to send again would
    /// begin a frame, and the others would miss it. The frame expects as many requests as took part
    /// in the last sync or waited when it ended, and it waits not much longer than that sync took.
    /// If writes take no time, as in a buffered log, it still waits for the minimum, because a
    /// frame per request would cost more.
    async fn gather(&self) {
        let deadline = m3_io::time::now().plus(self.window);
        loop {
            let work = self.log.0.work.notified();
            {
                let state = self.log.0.state.borrow();
                let is_whole = state.waiting >= self.expected || self.log.is_full(&state);
                if state.pending.is_empty() || is_whole || state.closing {
                    return;
                }
            }
            let left = deadline.since(m3_io::time::now());
            if left.is_zero() || m3_io::time::timeout(left, work).await.is_err() {
                return;
            }
        }
    }

    /// Waits for work. A buffered log with unsynced frames waits at most until a second after its
    /// last sync.
    async fn wait(&mut self) -> Result<(), LogFailed> {
        let work = self.log.0.work.notified();
        if !self.unsynced {
            work.await;
            return Ok(());
        }
        let left = BUFFERED_SYNC_EVERY.saturating_sub(m3_io::time::now().since(self.synced));
        if m3_io::time::timeout(left, work).await.is_err() {
            self.sync().await?;
        }
        Ok(())
    }

    async fn commit(&mut self, mut frame: Vec<u8>) -> Result<(), LogFailed> {
        let begun = m3_io::time::now();
        let payload_len = frame.len() - FRAME_HEADER_BYTES;
        let bytes = frame::frame_bytes(payload_len) as u64;
        self.make_room(bytes).await?;
        let number = self.number;
        self.write_ahead(bytes).await?;
        let open = self.open.as_mut().expect("make_room opens a segment");
        let payload = &frame[FRAME_HEADER_BYTES..];
        let header = frame::encode_header(open.id, number, FrameKind::Data, payload);
        frame[..FRAME_HEADER_BYTES].copy_from_slice(&header);
        let (written, frame) = open.file.append(frame, open.offset).await;
        written.map_err(|e| self.failure("write", &e))?;
        let open = self.open.as_mut().expect("still open");
        open.offset += bytes;
        self.number += 1;
        self.unsynced = true;
        let due = m3_io::time::now().since(self.synced) >= BUFFERED_SYNC_EVERY;
        if self.log.0.options.ack == Ack::Durable || due {
            self.sync().await?;
        }
        let took = m3_io::time::now().since(begun);
        self.window = took.clamp(GATHER_MIN, GATHER_MAX);
        let mut state = self.log.0.state.borrow_mut();
        self.expected += state.waiting;
        state.acked += 1;
        // The memory of one huge request is not kept for ever.
        if frame.capacity() <= 2 * self.log.0.options.pending_bytes_max {
            state.spare = frame;
        }
        state.stats.frames += 1;
        state.stats.bytes += bytes;
        state.stats.commit_ns += took.as_nanos() as u64;
        drop(state);
        self.log.0.done.notify_waiters();
        self.prepare_next();
        Ok(())
    }

    /// Starts to prepare the next segment's file once half of the segment is used.
    fn prepare_next(&self) {
        let Some(open) = &self.open else { return };
        let mut state = self.log.0.state.borrow_mut();
        let is_begun = !matches!(state.next, Next::Unbegun);
        if is_begun || state.closing || open.offset < open.room / 2 {
            return;
        }
        state.next = Next::Begun { hurry: false };
        let id = SegmentId { seq: open.id.seq + 1, ..open.id };
        m3_io::spawn(prepare::run(self.log.clone(), id));
    }

    /// Writes and syncs zeros where the next frames will be, unless that was done before the
    /// segment began (see [`prepare`]).
    async fn write_ahead(&mut self, bytes: u64) -> Result<(), LogFailed> {
        let open = self.open.as_mut().expect("make_room opens a segment");
        let needed = open.offset + bytes + frame::frame_bytes(0) as u64;
        let needed = needed.next_multiple_of(BLOCK_BYTES as u64);
        if needed <= open.written {
            return Ok(());
        }
        let end = needed.next_multiple_of(WRITE_AHEAD_BYTES).min(open.room).max(needed);
        let begin = open.written.max(open.offset);
        let result = self.zeros.write(&open.file, begin, end).await;
        result.map_err(|e| self.failure("write ahead", &e))?;
        self.open.as_mut().expect("still open").written = end;
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), LogFailed> {
        if let Some(open) = &self.open {
            open.file.sync().await.map_err(|e| self.failure("sync", &e))?;
        }
        self.unsynced = false;
        self.synced = m3_io::time::now();
        self.log.0.state.borrow_mut().stats.syncs += 1;
        Ok(())
    }

    /// Makes sure that the open segment has room for a frame of `bytes` and a seal after it.
    async fn make_room(&mut self, bytes: u64) -> Result<(), LogFailed> {
        let limit = self.log.0.options.segment_bytes;
        let seal = frame::frame_bytes(0) as u64;
        let empty = frame::SEGMENT_HEADER_BYTES as u64;
        let seq = match &self.open {
            None => 0,
            Some(open) if open.offset == empty || open.offset + bytes + seal <= limit => {
                return Ok(());
            }
            Some(open) => open.id.seq + 1,
        };
        self.seal().await?;
        self.begin(seq, bytes).await
    }

    /// Begins segment `seq`. The file gets its name last, so a segment always has a whole header.
    async fn begin(&mut self, seq: u32, bytes: u64) -> Result<(), LogFailed> {
        let options = self.log.0.options.clone();
        let id = SegmentId { epoch: options.epoch, core: options.core, seq };
        let path = segment::path(&options.dir, id);
        let next = options.dir.join(segment::next_name(id));
        let prepared = self.log.take_next().await;
        let room = options.segment_room(bytes);
        let result = async {
            let Prepared { file, written } = match prepared {
                Some(prepared) => prepared,
                None => prepare::take(&self.log, id).await?,
            };
            let header = SegmentHeader {
                id,
                core_count: options.shards.core_count,
                num_shards: options.shards.num_shards,
                hash_seed: options.shards.hash_seed,
                first_frame: self.number,
                id_version: QUOTED_ID_VERSION,
            };
            file.file().allocate(room).await?;
            let mut file = output::write_header(file, &next, &header.encode()).await?;
            file.file().sync_all().await?;
            file::rename(&next, &path).await?;
            file::sync_dir(&options.dir).await?;
            file.renamed(&path);
            let header_end =
                if file.is_direct() { BLOCK_BYTES } else { frame::SEGMENT_HEADER_BYTES };
            Ok((file, written.max(header_end as u64)))
        };
        let (file, written) = result.await.map_err(|e: std::io::Error| {
            LogFailed(format!("begin segment {}: {e}", path.display()))
        })?;
        let is_direct = file.is_direct();
        if !is_direct {
            self.log.give_up_direct();
        }
        let offset = frame::SEGMENT_HEADER_BYTES as u64;
        self.open = Some(Open { file, id, offset, written, room });
        let mut state = self.log.0.state.borrow_mut();
        state.stats.segments += 1;
        state.stats.is_direct = is_direct;
        Ok(())
    }

    /// Ends the open segment. A seal means that nothing is missing from it.
    async fn seal(&mut self) -> Result<(), LogFailed> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let header = frame::encode_header(open.id, self.number, FrameKind::Seal, &[]);
        self.number += 1;
        let end = open.offset + header.len() as u64;
        let result = async {
            open.file.append(header.to_vec(), open.offset).await.0?;
            open.file.file().truncate(end).await?;
            open.file.file().sync_all().await?;
            open.file.close().await
        };
        result.await.map_err(|e| self.failure("seal", &e))?;
        self.unsynced = false;
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), LogFailed> {
        let last = self.open.as_ref().map(|open| open.id);
        self.seal().await?;
        let Some(prepared) = self.log.take_next().await else { return Ok(()) };
        let Some(last) = last else { return Ok(()) };
        let id = SegmentId { seq: last.seq + 1, ..last };
        if let Err(error) = prepare::give_up(self.log.options(), id, prepared).await {
            // The file is empty; the next run takes it by its present name.
            tracing::debug!(%error, "the next segment's file keeps its name");
        }
        Ok(())
    }

    fn failure(&self, what: &str, error: &std::io::Error) -> LogFailed {
        let options = &self.log.0.options;
        LogFailed(format!(
            "{what} in {} (core {}): {error}. Nothing unsynced was acknowledged; the node stops, \
             because the operating system may have dropped what it could not write",
            options.dir.display(),
            options.core
        ))
    }
}

#[cfg(test)]
mod tests;
