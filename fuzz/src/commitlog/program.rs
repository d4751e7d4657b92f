//! Interprets bytes as a program that writes a log and then damages it.
//!
//! An instruction is a byte (its low four bits), followed by operands of one byte each. Operands
//! after the end are zero.

use super::disk::{Held, NAMESPACES};
use super::{Files, NOW, SHARDS};
use m3_metric::labels::QUOTED_ID_VERSION;
use m3_metric::{Labels, NamespaceId, ValueKind};
use m3_shard::SeriesSample;
use m3_shard::ShardMap;
use m3_shard::commitlog::entry::Payload;
use m3_shard::commitlog::frame::{
    FRAME_ALIGN, FRAME_HEADER_BYTES, FrameKind, SegmentHeader, SegmentId, decode, encode_header,
};
use m3_shard::commitlog::segment::file_name;
use std::collections::{BTreeMap, BTreeSet};

/// Most instructions of a program.
const STEPS_MAX: usize = 200;
/// The first bytes of a segment.
const SEGMENT_MAGIC: &[u8] = b"M3RLOG";

/// How the log was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    /// Not at all.
    None,
    /// One byte was changed.
    OneFlip,
    /// One frame was repeated at the end.
    OneCopy,
    /// In a way that allows no statement.
    Much,
}

/// A series by its namespace and its labels.
type Series = (u32, Vec<u8>);

/// A log, and what is known about it.
pub(super) struct Log {
    pub(super) files: Files,
    /// All values that were written for a timestamp of a series.
    pub(super) written: BTreeMap<Series, BTreeMap<i64, BTreeSet<u64>>>,
    /// Samples in order: the number of their frame, series, milliseconds, bits.
    samples: Vec<(usize, Series, i64, u64)>,
    /// Frames with data.
    pub(super) frames: usize,
    /// Whether it contains what no writer would write, with a correct checksum.
    pub(super) is_strange: bool,
    pub(super) harm: Harm,
}

impl Log {
    pub(super) fn from_program(data: &[u8]) -> Self {
        if data.starts_with(SEGMENT_MAGIC) {
            return Self::from_segment(data);
        }
        let mut writer = Writer::new();
        let mut program = Program(data);
        for _ in 0..STEPS_MAX {
            if program.0.is_empty() {
                break;
            }
            writer.step(&mut program);
        }
        writer.end_frame();
        let mut log = writer.log;
        log.frames = writer.frames.len();
        log.files.insert(file_name(writer.id), writer.segment);
        log
    }

    /// Takes the file as it is, with the name in its header, if any.
    fn from_segment(data: &[u8]) -> Self {
        let first = SegmentId { epoch: 1, core: 0, seq: 0 };
        let id = SegmentHeader::decode(data).map_or(first, |header| header.id);
        let mut log = Self::new();
        log.is_strange = true;
        if id.epoch < u32::MAX && file_name(id).len() == file_name(first).len() {
            log.files.insert(file_name(id), data.to_vec());
        }
        log
    }

    const fn new() -> Self {
        Self {
            files: Files::new(),
            written: BTreeMap::new(),
            samples: Vec::new(),
            frames: 0,
            is_strange: false,
            harm: Harm::None,
        }
    }

    /// The samples in the first `frames` frames; of equal times the last.
    pub(super) fn last(&self, frames: usize) -> Held {
        let mut held = Held::new();
        for (frame, series, ms, bits) in &self.samples {
            if *frame < frames && series.0 < NAMESPACES {
                held.entry(series.clone()).or_default().insert(*ms, *bits);
            }
        }
        held
    }
}

/// The operands, one byte each.
struct Program<'a>(&'a [u8]);

impl<'a> Program<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) =
            self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(count.min(self.0.len()));
        self.0 = tail;
        head
    }
}

struct Writer {
    log: Log,
    id: SegmentId,
    /// How series were assigned when the segment was written.
    shards: ShardMap,
    segment: Vec<u8>,
    payload: Payload,
    namespace: u32,
    /// The labels of the series in this log, by namespace. A series' position is its ordinal in the
    /// log.
    series: BTreeMap<u32, Vec<Vec<u8>>>,
    number: u64,
    /// Segment and offset of the data frames in the last segments.
    frames: Vec<(u32, usize)>,
    ms: i64,
}

impl Writer {
    fn new() -> Self {
        let mut writer = Self {
            log: Log::new(),
            id: SegmentId { epoch: 1, core: 0, seq: 0 },
            shards: SHARDS,
            segment: Vec::new(),
            payload: Payload::default(),
            namespace: 0,
            series: BTreeMap::new(),
            number: 0,
            frames: Vec::new(),
            ms: NOW / 1_000_000 - 3_600_000,
        };
        writer.begin_segment();
        writer
    }

    fn step(&mut self, program: &mut Program<'_>) {
        match program.byte() & 15 {
            0 | 1 => self.new_series(program.byte()),
            2..=5 => self.sample(program),
            6 => self.end_frame(),
            7 => {
                self.payload.end_section(NamespaceId(self.namespace));
                self.namespace = u32::from(program.byte()) % (NAMESPACES + 2);
            }
            8 => self.next_segment(),
            9 => self.strange_payload(program),
            10 => self.flip(program),
            11 => self.copy_frame(program),
            12 => self.truncate(program),
            13 => self.append(program),
            14 => self.shards_change(program.byte()),
            _ => self.next_log(),
        }
    }

    fn begin_segment(&mut self) {
        let header = SegmentHeader {
            id: self.id,
            core_count: self.shards.core_count,
            num_shards: self.shards.num_shards,
            hash_seed: self.shards.hash_seed,
            first_frame: self.number,
            id_version: QUOTED_ID_VERSION,
        };
        self.segment = header.encode().to_vec();
    }

    fn new_series(&mut self, name: u8) {
        let name = format!("s{}", name % 6);
        let labels = Labels::from_pairs([("__name__", name.as_str())]).expect("good labels");
        let all = self.series.entry(self.namespace).or_default();
        if all.iter().any(|known| known == labels.as_bytes()) {
            return;
        }
        let ordinal = u32::try_from(all.len()).expect("few series");
        all.push(labels.as_bytes().to_vec());
        let shard = self.shards.shard_of(labels.as_bytes()).0;
        let namespace = NamespaceId(self.namespace);
        // Series are written before the open section, as the node does.
        self.payload.series(namespace, ordinal, shard, ValueKind::default(), labels.as_bytes());
    }

    fn sample(&mut self, program: &mut Program<'_>) {
        let Some(all) = self.series.get(&self.namespace).filter(|all| !all.is_empty()) else {
            return;
        };
        let series = usize::from(program.byte()) % all.len();
        self.ms += i64::from(program.byte().cast_signed()) * 100;
        let value = program.byte();
        let bits = match value & 3 {
            0 => f64::from(value).to_bits(),
            1 => (-f64::from(value) * 1e9).to_bits(),
            2 => 0x7ff0_0000_0000_0002 | u64::from(value) << 20,
            _ => u64::from(value).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        };
        let key = (self.namespace, all[series].clone());
        let ordinal = u32::try_from(series).expect("few series");
        self.payload.sample(SeriesSample { series: ordinal, ts_ns: self.ms * 1_000_000, bits });
        let samples = self.log.written.entry(key.clone()).or_default();
        samples.entry(self.ms).or_default().insert(bits);
        self.log.samples.push((self.frames.len(), key, self.ms, bits));
    }

    fn end_frame(&mut self) {
        self.payload.end_section(NamespaceId(self.namespace));
        let payload = self.payload.take(Vec::new()).split_off(FRAME_HEADER_BYTES);
        if !payload.is_empty() {
            self.frames.push((self.id.seq, self.segment.len()));
            self.write_frame(FrameKind::Data, &payload);
        }
    }

    fn write_frame(&mut self, kind: FrameKind, payload: &[u8]) {
        self.segment.resize(self.segment.len().next_multiple_of(FRAME_ALIGN), 0);
        self.segment.extend_from_slice(&encode_header(self.id, self.number, kind, payload));
        self.segment.extend_from_slice(payload);
        self.segment.resize(self.segment.len().next_multiple_of(FRAME_ALIGN), 0);
        self.number += 1;
    }

    /// Seals the segment and begins the next one of the same log.
    fn next_segment(&mut self) {
        self.end_frame();
        self.write_frame(FrameKind::Seal, &[]);
        let bytes = std::mem::take(&mut self.segment);
        self.log.files.insert(file_name(self.id), bytes);
        self.id.seq += 1;
        self.begin_segment();
    }

    /// Restarts the node: a new log, which knows no series yet.
    fn next_log(&mut self) {
        self.end_frame();
        let bytes = std::mem::take(&mut self.segment);
        self.log.files.insert(file_name(self.id), bytes);
        self.id = SegmentId { epoch: self.id.epoch + 1, core: 0, seq: 0 };
        self.number = 0;
        self.series.clear();
        self.begin_segment();
        // Every log, not only the last one, may lose its last frame without a report.
        if self.log.harm != Harm::None {
            self.log.harm = Harm::Much;
        }
    }

    fn shards_change(&mut self, by: u8) {
        self.shards.hash_seed = u32::from(by);
        self.shards.num_shards = 1 + u32::from(by % 5);
    }

    /// A frame with arbitrary content and a correct checksum.
    fn strange_payload(&mut self, program: &mut Program<'_>) {
        let len = usize::from(program.byte());
        let payload = program.take(len);
        self.end_frame();
        self.log.is_strange = true;
        self.write_frame(FrameKind::Data, payload);
    }

    fn harm(&mut self, harm: Harm) {
        self.log.harm = if self.log.harm == Harm::None { harm } else { Harm::Much };
    }

    /// Changes one byte of the current segment.
    fn flip(&mut self, program: &mut Program<'_>) {
        self.end_frame();
        let at = usize::from(program.byte()) | usize::from(program.byte()) << 8;
        let mask = program.byte();
        if mask != 0 {
            let at = at % self.segment.len();
            self.segment[at] ^= mask;
            self.harm(Harm::OneFlip);
        }
    }

    /// Appends a copy of an earlier frame.
    fn copy_frame(&mut self, program: &mut Program<'_>) {
        self.end_frame();
        let seq = self.id.seq;
        let here: Vec<usize> =
            self.frames.iter().filter(|(of, _)| *of == seq).map(|(_, at)| *at).collect();
        let chosen = usize::from(program.byte()) % here.len().max(1);
        let Some(rest) = here.get(chosen).and_then(|from| self.segment.get(*from..)) else {
            return;
        };
        let Some(found) = decode(self.id, rest) else { return };
        let bytes = rest[..found.bytes.min(rest.len())].to_vec();
        self.segment.extend_from_slice(&bytes);
        self.harm(Harm::OneCopy);
    }

    fn truncate(&mut self, program: &mut Program<'_>) {
        self.end_frame();
        let at = usize::from(program.byte()) | usize::from(program.byte()) << 8;
        self.segment.truncate(at % (self.segment.len() + 1));
        if self.segment.is_empty() {
            self.begin_segment();
        }
        self.harm(Harm::Much);
    }

    /// Appends random bytes after the last frame, like those from an earlier use of the file.
    fn append(&mut self, program: &mut Program<'_>) {
        self.end_frame();
        let len = usize::from(program.byte());
        let bytes = program.take(len);
        self.segment.extend_from_slice(bytes);
        self.harm(Harm::Much);
        // Arbitrary bytes can have a correct checksum.
        self.log.is_strange = true;
    }
}
