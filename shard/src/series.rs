//! One series: hot state in one cache line, and state that is rarely needed.
//!
//! A sample of a known series touches only one line of [`Hot`] and the series' label bytes, until
//! its twenty staged bytes spill into a cell. Samples that repeat step and value only increment a
//! counter.
//!
//! Invariants:
//! - The times of a stream ascend strictly; other samples are in [`crate::late`].
//! - A stream lies within one block. `parts` are closed streams, sorted by time and disjoint.
//! - Only a late sample may replace a sample with the same time, since it arrived later.

use crate::cells::{CellId, Cells, NO_CELL};
use crate::codec::{self, BrokenStream, Start, TOKEN_BYTES_MAX, Token, Unit};
use m3_metric::{ShardId, ValueKind};

const STAGE_BYTES: usize = 20;
const _: () = assert!(STAGE_BYTES >= TOKEN_BYTES_MAX);

/// A sample of a series that is known by its ordinal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesSample {
    /// The series' ordinal in its namespace on its core; this run's log uses it, too.
    pub series: u32,
    /// Nanoseconds since the epoch.
    pub ts_ns: i64,
    /// The value.
    pub bits: u64,
}

/// The successor is not known yet.
pub const NO_SUCCESSOR: u32 = u32::MAX;

/// The state that appending to a known series touches: exactly one cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Hot {
    /// The position of the label bytes, in the arena's units.
    pub label_place: u32,
    /// The number of label bytes.
    pub label_len: u32,
    /// The series that followed this one last time.
    pub next: u32,
    /// The open block's number ([`crate::blocks`]).
    block: i32,
    last_ts_ns: i64,
    last_bits: u64,
    step: u32,
    tail: CellId,
    run: u16,
    stage_len: u8,
    flags: u8,
    stage: [u8; STAGE_BYTES],
}

const _: () = assert!(size_of::<Hot>() == 64);

const FLAG_OPEN: u8 = 1;
const FLAG_NANOSECONDS: u8 = 2;
const FLAG_LOGGED: u8 = 4;
const FLAG_SEEN: u8 = 8;

/// State that appending to an open stream does not touch.
pub struct Cold {
    /// The virtual shard, decided once.
    pub shard: ShardId,
    /// The kind of every value.
    pub kind: ValueKind,
    open_start: (i64, u64),
    head: CellId,
    parts: Vec<ClosedStream>,
}

/// A closed stream.
#[derive(Clone, Debug)]
pub struct ClosedStream {
    /// The number of the block it lies in.
    pub block: i32,
    /// Its first sample.
    pub start: Start,
    /// The time of its last sample, in nanoseconds.
    pub last_ts_ns: i64,
    /// The encoded samples after the first.
    pub bytes: Box<[u8]>,
}

impl ClosedStream {
    /// Encodes `samples` (times in ns, strictly ascending, and value bits), all in block `block`.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn encode(block: i32, samples: &[(i64, u64)]) -> Self {
        let (&(ts_ns, bits), rest) = samples.split_first().expect("a part holds a sample");
        let whole_ms = samples.iter().all(|(ts, _)| Unit::Millisecond.holds(*ts));
        let unit = if whole_ms { Unit::Millisecond } else { Unit::Nanosecond };
        let (mut last_ts, mut last_bits, mut last_step, mut run) = (ts_ns, bits, 0u32, 0u16);
        let mut bytes = Vec::new();
        for &(ts, bits) in rest {
            let step = (ts - last_ts) / unit.ns();
            if step == i64::from(last_step) && bits == last_bits && run < u16::MAX {
                run += 1;
            } else {
                flush_run(&mut bytes, &mut run);
                bytes.extend_from_slice(codec::encode(last_step, step, last_bits, bits).as_slice());
                last_step = u32::try_from(step).unwrap_or(0);
            }
            (last_ts, last_bits) = (ts, bits);
        }
        flush_run(&mut bytes, &mut run);
        let start = Start { ts_ns, bits, unit };
        Self { block, start, last_ts_ns: last_ts, bytes: bytes.into() }
    }

    fn overlaps(&self, from_ns: i64, to_ns: i64) -> bool {
        self.start.ts_ns <= to_ns && self.last_ts_ns >= from_ns
    }
}

fn flush_run(bytes: &mut Vec<u8>, run: &mut u16) {
    if *run > 0 {
        bytes.extend_from_slice(codec::encode_run(*run).as_slice());
        *run = 0;
    }
}

/// How a sample was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It continues the open stream.
    InOrder,
    /// It begins a stream in this block, which may not have a sample of the series yet.
    OpenedBlock(i32),
    /// It is stored already, with the same bits.
    Duplicate,
    /// It is not after the last sample; the caller keeps it with the late samples.
    Late,
}

impl Hot {
    /// A series whose labels are at `label_place`, without samples.
    #[must_use]
    pub fn new(label_place: u32, label_len: u32) -> Self {
        Self {
            label_place,
            label_len,
            next: NO_SUCCESSOR,
            block: 0,
            last_ts_ns: i64::MIN,
            last_bits: 0,
            step: 0,
            tail: NO_CELL,
            run: 0,
            stage_len: 0,
            flags: 0,
            stage: [0; STAGE_BYTES],
        }
    }

    /// Whether the commit log of this run has the series' labels.
    #[must_use]
    pub const fn is_logged(&self) -> bool {
        self.flags & FLAG_LOGGED != 0
    }

    /// Records that the commit log has the labels.
    pub const fn set_logged(&mut self) {
        self.flags |= FLAG_LOGGED;
    }

    /// Whether the open stream lies in `block`.
    #[must_use]
    pub const fn is_open_in(&self, block: i32) -> bool {
        self.flags & FLAG_OPEN != 0 && self.block == block
    }

    /// Appends a sample of block `block` unless it is late. Touches `cold` only when a stream
    /// opens.
    #[inline]
    pub fn append(
        &mut self,
        cold: &mut Cold,
        cells: &mut Cells,
        block: i32,
        ts_ns: i64,
        bits: u64,
    ) -> Appended {
        if ts_ns <= self.last_ts_ns && self.flags & FLAG_SEEN != 0 {
            let same = ts_ns == self.last_ts_ns && bits == self.last_bits;
            return if same { Appended::Duplicate } else { Appended::Late };
        }
        if self.flags & FLAG_OPEN == 0 || block != self.block || !self.unit().holds(ts_ns) {
            return self.open(cold, cells, block, ts_ns, bits);
        }
        let step = (ts_ns - self.last_ts_ns) / self.unit().ns();
        if step == i64::from(self.step) && bits == self.last_bits && self.run < u16::MAX {
            self.run += 1;
        } else {
            self.push_token(cold, cells, step, bits);
        }
        self.last_ts_ns = ts_ns;
        self.last_bits = bits;
        Appended::InOrder
    }

    const fn unit(&self) -> Unit {
        if self.flags & FLAG_NANOSECONDS == 0 { Unit::Millisecond } else { Unit::Nanosecond }
    }

    fn push_token(&mut self, cold: &mut Cold, cells: &mut Cells, step: i64, bits: u64) {
        if self.run > 0 {
            let run = codec::encode_run(self.run);
            self.run = 0;
            self.stage(cold, cells, &run);
        }
        let token = codec::encode(self.step, step, self.last_bits, bits);
        self.stage(cold, cells, &token);
        self.step = u32::try_from(step).unwrap_or(0);
    }

    #[inline]
    fn stage(&mut self, cold: &mut Cold, cells: &mut Cells, token: &Token) {
        if self.stage_len as usize + token.len() > STAGE_BYTES {
            self.spill(cold, cells);
        }
        let at = self.stage_len as usize;
        // Nearly every token is short. Eight bytes are a single store; another length would be a
        // call.
        if token.len() <= 8 && at + 8 <= STAGE_BYTES {
            self.stage[at..at + 8].copy_from_slice(token.head());
        } else {
            self.stage[at..at + token.len()].copy_from_slice(token.as_slice());
        }
        self.stage_len += token.len() as u8;
    }

    fn spill(&mut self, cold: &mut Cold, cells: &mut Cells) {
        let (tail, first) = cells.append(self.tail, &self.stage[..self.stage_len as usize]);
        if let Some(first) = first {
            cold.head = first;
        }
        self.tail = tail;
        self.stage_len = 0;
    }

    fn open(
        &mut self,
        cold: &mut Cold,
        cells: &mut Cells,
        block: i32,
        ts_ns: i64,
        bits: u64,
    ) -> Appended {
        self.close(cold, cells);
        cold.open_start = (ts_ns, bits);
        self.flags &= !FLAG_NANOSECONDS;
        if Unit::of(ts_ns) == Unit::Nanosecond {
            self.flags |= FLAG_NANOSECONDS;
        }
        self.flags |= FLAG_OPEN | FLAG_SEEN;
        self.block = block;
        self.step = 0;
        self.last_ts_ns = ts_ns;
        self.last_bits = bits;
        // Also if the stream before it was in this block: the block may have been dropped since, by
        // a retention that was shorter than it is now.
        Appended::OpenedBlock(block)
    }

    /// Tells the series that the sample at `ts_ns` in a closed stream was replaced. If it is the
    /// last sample, a duplicate is recognized by the new value.
    pub const fn overwrite(&mut self, ts_ns: i64, bits: u64) {
        if ts_ns == self.last_ts_ns && self.flags & FLAG_OPEN == 0 {
            self.last_bits = bits;
        }
    }

    /// Closes the open stream, if there is one, into a part, and frees its cells.
    pub fn close(&mut self, cold: &mut Cold, cells: &mut Cells) {
        if self.flags & FLAG_OPEN == 0 {
            return;
        }
        let mut bytes = Vec::new();
        self.copy_open(cold, cells, &mut bytes);
        let (ts_ns, bits) = cold.open_start;
        let start = Start { ts_ns, bits, unit: self.unit() };
        let last_ts_ns = self.last_ts_ns;
        cold.insert_part(ClosedStream {
            block: self.block,
            start,
            last_ts_ns,
            bytes: bytes.into(),
        });
        if cold.head != NO_CELL {
            cells.release(cold.head);
        }
        cold.head = NO_CELL;
        self.tail = NO_CELL;
        self.stage_len = 0;
        self.run = 0;
        self.flags &= !FLAG_OPEN;
    }

    fn copy_open(&self, cold: &Cold, cells: &Cells, out: &mut Vec<u8>) {
        if cold.head != NO_CELL {
            cells.copy_to(cold.head, out);
        }
        out.extend_from_slice(&self.stage[..self.stage_len as usize]);
        if self.run > 0 {
            out.extend_from_slice(codec::encode_run(self.run).as_slice());
        }
    }

    /// Calls `each` with every sample in `from_ns..=to_ns` in order, except late ones. `scratch` is
    /// a buffer to work in.
    ///
    /// # Errors
    /// [`BrokenStream`] if the bytes in memory are not what was written.
    pub fn read(
        &self,
        cold: &Cold,
        cells: &Cells,
        from_ns: i64,
        to_ns: i64,
        scratch: &mut Vec<u8>,
        mut each: impl FnMut(i64, u64),
    ) -> Result<(), BrokenStream> {
        let mut within = |ts, bits| {
            if ts >= from_ns && ts <= to_ns {
                each(ts, bits);
            }
        };
        for part in cold.parts.iter().filter(|part| part.overlaps(from_ns, to_ns)) {
            codec::decode(part.start, &part.bytes, &mut within)?;
        }
        let (ts_ns, bits) = cold.open_start;
        if self.flags & FLAG_OPEN != 0 && ts_ns <= to_ns && self.last_ts_ns >= from_ns {
            scratch.clear();
            self.copy_open(cold, cells, scratch);
            codec::decode(Start { ts_ns, bits, unit: self.unit() }, scratch, &mut within)?;
        }
        Ok(())
    }
}

impl Cold {
    /// The initial state of a new series in `shard` with values of `kind`.
    #[must_use]
    pub fn new(shard: ShardId, kind: ValueKind) -> Self {
        Self { shard, kind, open_start: (0, 0), head: NO_CELL, parts: Vec::new() }
    }

    /// The closed streams.
    #[must_use]
    pub fn parts(&self) -> &[ClosedStream] {
        &self.parts
    }

    /// Inserts a closed stream in order of time.
    pub fn insert_part(&mut self, part: ClosedStream) {
        let at = self.parts.partition_point(|p| p.start.ts_ns < part.start.ts_ns);
        if self.parts.len() == self.parts.capacity() {
            self.parts.reserve_exact(1);
        }
        self.parts.insert(at, part);
    }

    /// Removes and returns the closed streams of `block`.
    pub fn take_block(&mut self, block: i32) -> Vec<ClosedStream> {
        let (taken, kept) =
            std::mem::take(&mut self.parts).into_iter().partition(|p| p.block == block);
        self.parts = kept;
        taken
    }

    /// Bytes of the closed streams.
    #[must_use]
    pub fn closed_bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }

    /// Drops closed streams that end before `limit_ns` and returns their size in bytes.
    pub fn expire(&mut self, limit_ns: i64) -> u64 {
        let mut freed = 0;
        self.parts.retain(|part| {
            let keep = part.last_ts_ns >= limit_ns;
            if !keep {
                freed += part.bytes.len() as u64;
            }
            keep
        });
        freed
    }
}
