//! Encodes and decodes frames and segment headers; FORMAT.md draws them. Pure.
//!
//! A frame contains its core, run, segment and number, all covered by its checksum. So a frame that
//! an earlier use of a file left behind, or that was written to the wrong place, is not mistaken
//! for a valid one.

use std::fmt;

/// Bytes of a segment's header.
pub const SEGMENT_HEADER_BYTES: usize = 64;
/// Bytes of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 32;
/// Frames begin at multiples of this.
pub const FRAME_ALIGN: usize = 8;
/// Most bytes of a payload: what gathers while a frame is synced, plus one request of new series
/// with the largest body (64 MiB decoded, at most tripled by the log's own fields).
pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;
/// The version of the format: the one this program writes, and the only one it reads.
pub const VERSION: u32 = 1;

const SEGMENT_MAGIC: [u8; 8] = *b"M3RLOG\r\n";
const FRAME_MAGIC: [u8; 4] = *b"M3RF";

/// Names a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentId {
    /// The run of the node. Every start takes the next number.
    pub epoch: u32,
    /// The core that wrote it in that run.
    pub core: u16,
    /// Its position in that core's log, from 0.
    pub seq: u32,
}

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Which segment it is.
    pub id: SegmentId,
    /// The number of cores in that run: shard `s` was on core `s % core_count`.
    pub core_count: u16,
    /// The number of virtual shards.
    pub num_shards: u32,
    /// The seed that assigned series to shards.
    pub hash_seed: u32,
    /// The number of its first frame.
    pub first_frame: u64,
    /// How a series' id was written when it was hashed: the
    /// [`QUOTED_ID_VERSION`](m3_metric::labels::QUOTED_ID_VERSION) of that program.
    pub id_version: u32,
}

/// Why bytes are not a segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHeader {
    /// Too short, or another kind of file.
    NotASegment,
    /// Written by a version that this program cannot read.
    Version(u32),
    /// The checksum does not match.
    Checksum {
        /// The checksum in the header.
        expected: u32,
        /// The checksum of the header's bytes.
        got: u32,
    },
}

impl fmt::Display for BadHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotASegment => f.write_str("not a segment of a commit log"),
            Self::Version(found) => {
                write!(f, "format version {found}; this program reads version {VERSION}")
            }
            Self::Checksum { expected, got } => {
                write!(f, "the header says checksum {expected:08x}, but its bytes have {got:08x}")
            }
        }
    }
}

impl SegmentHeader {
    /// Encodes the header.
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0; SEGMENT_HEADER_BYTES];
        out[0..8].copy_from_slice(&SEGMENT_MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&self.id.epoch.to_le_bytes());
        out[16..20].copy_from_slice(&self.id.seq.to_le_bytes());
        out[20..22].copy_from_slice(&self.id.core.to_le_bytes());
        out[22..24].copy_from_slice(&self.core_count.to_le_bytes());
        out[24..28].copy_from_slice(&self.num_shards.to_le_bytes());
        out[28..32].copy_from_slice(&self.hash_seed.to_le_bytes());
        out[32..40].copy_from_slice(&self.first_frame.to_le_bytes());
        out[40..44].copy_from_slice(&self.id_version.to_le_bytes());
        let crc = crc32c::crc32c(&out[..60]);
        out[60..64].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Decodes a header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let Some(bytes) = bytes.first_chunk::<SEGMENT_HEADER_BYTES>() else {
            return Err(BadHeader::NotASegment);
        };
        if bytes[0..8] != SEGMENT_MAGIC {
            return Err(BadHeader::NotASegment);
        }
        let expected = u32_at(bytes, 60);
        let got = crc32c::crc32c(&bytes[..60]);
        if expected != got {
            return Err(BadHeader::Checksum { expected, got });
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        let id =
            SegmentId { epoch: u32_at(bytes, 12), core: u16_at(bytes, 20), seq: u32_at(bytes, 16) };
        Ok(Self {
            id,
            core_count: u16_at(bytes, 22),
            num_shards: u32_at(bytes, 24),
            hash_seed: u32_at(bytes, 28),
            first_frame: u64_at(bytes, 32),
            id_version: u32_at(bytes, 40),
        })
    }
}

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Entries.
    Data = 1,
    /// The end of the segment: everything that belongs before it is there.
    Seal = 2,
}

/// Encodes the header of a frame with `payload`.
///
/// # Panics
/// If the payload is longer than [`PAYLOAD_BYTES_MAX`].
#[must_use]
pub fn encode_header(
    id: SegmentId,
    number: u64,
    kind: FrameKind,
    payload: &[u8],
) -> [u8; FRAME_HEADER_BYTES] {
    assert!(payload.len() <= PAYLOAD_BYTES_MAX, "the log bounds its payloads");
    let mut out = [0; FRAME_HEADER_BYTES];
    out[0..4].copy_from_slice(&FRAME_MAGIC);
    out[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    out[12] = kind as u8;
    out[14..16].copy_from_slice(&id.core.to_le_bytes());
    out[16..24].copy_from_slice(&number.to_le_bytes());
    out[24..28].copy_from_slice(&id.epoch.to_le_bytes());
    out[28..32].copy_from_slice(&id.seq.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&out), payload);
    out[8..12].copy_from_slice(&crc.to_le_bytes());
    out
}

/// A frame with a correct checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its number in the log.
    pub number: u64,
    /// Its kind.
    pub kind: FrameKind,
    /// Its payload.
    pub payload: &'a [u8],
    /// Bytes from its start to the start of the next frame.
    pub bytes: usize,
}

/// Decodes the frame at the start of `bytes`, if there is an intact one of segment `id`.
#[must_use]
pub fn decode(id: SegmentId, bytes: &[u8]) -> Option<Frame<'_>> {
    let header = bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
    if header[0..4] != FRAME_MAGIC {
        return None;
    }
    let len = u32_at(header, 4) as usize;
    let found =
        SegmentId { epoch: u32_at(header, 24), core: u16_at(header, 14), seq: u32_at(header, 28) };
    if len > PAYLOAD_BYTES_MAX || found != id {
        return None;
    }
    let payload = bytes.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + len)?;
    let mut blank = *header;
    blank[8..12].fill(0);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&blank), payload);
    if crc != u32_at(header, 8) {
        return None;
    }
    let kind = match header[12] {
        1 => FrameKind::Data,
        2 => FrameKind::Seal,
        _ => return None,
    };
    let bytes = frame_bytes(len);
    Some(Frame { number: u64_at(header, 16), kind, payload, bytes })
}

/// Bytes that a frame with `payload_len` bytes of payload takes in its segment.
#[must_use]
pub const fn frame_bytes(payload_len: usize) -> usize {
    (FRAME_HEADER_BYTES + payload_len).next_multiple_of(FRAME_ALIGN)
}

/// The offset of the first intact frame of segment `id` at or after `from`.
#[must_use]
pub fn find_frame(id: SegmentId, bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from.next_multiple_of(FRAME_ALIGN);
    while at + FRAME_HEADER_BYTES <= bytes.len() {
        if bytes[at..at + 4] == FRAME_MAGIC && decode(id, &bytes[at..]).is_some() {
            return Some(at);
        }
        at += FRAME_ALIGN;
    }
    None
}

/// How many of `bytes`, which are not an intact frame, were written for a frame of segment `id`,
/// judged by its header. Bytes from an earlier use of the file do not count.
#[must_use]
pub fn torn_bytes(id: SegmentId, bytes: &[u8]) -> usize {
    let Some(header) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else { return bytes.len() };
    let named =
        SegmentId { epoch: u32_at(header, 24), core: u16_at(header, 14), seq: u32_at(header, 28) };
    if header[0..4] != FRAME_MAGIC || named != id {
        return 0;
    }
    frame_bytes(u32_at(header, 4) as usize).min(bytes.len())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
