//! The ordinals of the series of one label: a list that only grows at its end.
//!
//! A [`List`] is three words, stored with its label: the run of consecutive ordinals that is
//! growing, and the number of a tail with all earlier runs. Senders write the series of a target
//! together. So most appends only extend the growing run, and a label with one series has no tail.
//! A tail begins as runs in varints (two bytes for a typical scattered ordinal) and becomes a
//! bitmap when it is long.
//!
//! Always holds: runs ascend and neither touch nor overlap. The growing run is the last one.

use crate::slab::Slab;
use m3_metric::labels::{read_varint, write_varint};
use roaring::RoaringBitmap;
use std::ops::Range;

/// Most bytes of runs in a tail before it becomes a bitmap. Decoding that many takes about ten
/// microseconds.
const ENCODED_BYTES_MAX: usize = 4096;
const NO_TAIL: u32 = u32::MAX;
/// Bytes of a bitmap container without its ordinals, including the allocator's overhead.
const CONTAINER_BYTES: usize = 56;

/// The ordinals of one label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    start: u32,
    end: u32,
    tail: u32,
}

/// The runs of a list before the growing one.
enum Tail {
    /// For each run, `(gap to the previous run << 1) | (more than one ordinal)`, then its length
    /// minus two if it has more than one.
    Encoded {
        bytes: Vec<u8>,
        end: u32,
    },
    Bitmap {
        bitmap: Box<RoaringBitmap>,
        window: Window,
    },
}

/// The last container of a bitmap, to estimate its size.
#[derive(Default)]
struct Window {
    key: u32,
    ordinals: u32,
}

/// The tails of every list.
#[derive(Default)]
pub(crate) struct Tails {
    slab: Slab<Tail>,
    owned_bytes: usize,
}

/// The parts of a list, for a search.
pub(crate) struct Parts<'a> {
    pub(crate) bitmap: Option<&'a RoaringBitmap>,
    pub(crate) runs: Runs<'a>,
}

/// The runs of a list that are not in a bitmap, ascending.
pub(crate) struct Runs<'a> {
    encoded: &'a [u8],
    end: u32,
    last: Option<Range<u32>>,
}

impl List {
    /// An empty list whose first ordinal will be `ordinal`.
    pub(crate) fn before(ordinal: u32) -> Self {
        Self { start: ordinal, end: ordinal, tail: NO_TAIL }
    }

    /// A list with only `ordinal`.
    pub(crate) fn one(ordinal: u32) -> Self {
        Self { start: ordinal, end: ordinal + 1, tail: NO_TAIL }
    }

    /// The ordinals, if they form a single run.
    #[inline]
    pub(crate) fn single_run(self) -> Option<Range<u32>> {
        (self.tail == NO_TAIL).then_some(self.start..self.end)
    }
}

impl Tails {
    /// Appends `ordinal`, which must be above every ordinal of the list.
    #[inline]
    pub(crate) fn append(&mut self, list: &mut List, ordinal: u32) {
        if list.end != ordinal {
            let run = list.start..list.end;
            self.push_run(list, run);
            list.start = ordinal;
        }
        list.end = ordinal + 1;
    }

    fn push_run(&mut self, list: &mut List, run: Range<u32>) {
        if list.tail == NO_TAIL {
            let bytes = Vec::with_capacity(8);
            self.owned_bytes += bytes.capacity();
            list.tail = self.slab.push(Tail::Encoded { bytes, end: 0 });
        }
        let tail = self.slab.at_mut(list.tail);
        match tail {
            Tail::Encoded { bytes, end } => {
                let before = bytes.capacity();
                if bytes.len() + 16 > before {
                    // Grows by half, not double: there are many lists, and most stay short.
                    bytes.reserve_exact((before / 2).max(16));
                }
                encode_run(bytes, run.start - *end, run.end - run.start);
                *end = run.end;
                self.owned_bytes += bytes.capacity() - before;
                if bytes.len() > encoded_bytes_max(run.end) {
                    self.owned_bytes -= bytes.capacity();
                    let runs = Runs { encoded: bytes, end: 0, last: None };
                    let (bitmap, window, bytes) = bitmap_of(runs);
                    self.owned_bytes += bytes;
                    *tail = Tail::Bitmap { bitmap, window };
                }
            }
            Tail::Bitmap { bitmap, window } => {
                self.owned_bytes += window.grow(&run);
                append_run(bitmap, run);
            }
        }
    }

    pub(crate) fn parts(&self, list: List) -> Parts<'_> {
        let last = Some(list.start..list.end);
        if list.tail == NO_TAIL {
            return Parts { bitmap: None, runs: Runs { encoded: &[], end: 0, last } };
        }
        match self.slab.at(list.tail) {
            Tail::Encoded { bytes, .. } => {
                Parts { bitmap: None, runs: Runs { encoded: bytes, end: 0, last } }
            }
            Tail::Bitmap { bitmap, .. } => {
                Parts { bitmap: Some(bitmap), runs: Runs { encoded: &[], end: 0, last } }
            }
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.slab.memory_bytes() + self.owned_bytes
    }
}

impl Iterator for Runs<'_> {
    type Item = Range<u32>;

    #[inline]
    fn next(&mut self) -> Option<Range<u32>> {
        if self.encoded.is_empty() {
            return self.last.take();
        }
        let head = self.varint();
        let length = if head & 1 == 1 { self.varint() + 2 } else { 1 };
        #[allow(clippy::cast_possible_truncation, reason = "a gap and a length of ordinals")]
        let start = self.end + (head >> 1) as u32;
        #[allow(clippy::cast_possible_truncation, reason = "a gap and a length of ordinals")]
        let end = start + length as u32;
        self.end = end;
        Some(start..end)
    }
}

impl Runs<'_> {
    #[inline]
    fn varint(&mut self) -> u64 {
        let first = self.encoded[0];
        if first < 0x80 {
            self.encoded = &self.encoded[1..];
            return u64::from(first);
        }
        read_varint(&mut self.encoded).expect("a tail is whole varints")
    }
}

/// Most bytes of runs in a tail that ends at ordinal `end`, before it becomes a bitmap. The
/// bitmap's containers, one for each 65,536 ordinals, must be worth their memory.
fn encoded_bytes_max(end: u32) -> usize {
    ENCODED_BYTES_MAX.max((end >> 16) as usize * CONTAINER_BYTES / 2)
}

fn encode_run(bytes: &mut Vec<u8>, gap: u32, length: u32) {
    write_varint(bytes, u64::from(gap) << 1 | u64::from(length > 1));
    if length > 1 {
        write_varint(bytes, u64::from(length) - 2);
    }
}

fn bitmap_of(runs: Runs<'_>) -> (Box<RoaringBitmap>, Window, usize) {
    let mut bitmap = RoaringBitmap::new();
    let mut window = Window { key: u32::MAX, ordinals: 0 };
    let mut bytes = size_of::<RoaringBitmap>();
    for run in runs {
        bytes += window.grow(&run);
        append_run(&mut bitmap, run);
    }
    (Box::new(bitmap), window, bytes)
}

/// Appends a run above everything else in `bitmap`.
pub(crate) fn append_run(bitmap: &mut RoaringBitmap, run: Range<u32>) {
    /// From this length on, a range costs less than its ordinals one by one.
    const RANGE_MIN: u32 = 16;
    if run.end - run.start < RANGE_MIN {
        bitmap.append(run).expect("runs ascend");
    } else {
        bitmap.insert_range(run);
    }
}

impl Window {
    /// The approximate number of bytes by which the bitmap grows when `run` is appended.
    fn grow(&mut self, run: &Range<u32>) -> usize {
        let mut grown = 0;
        let mut start = run.start;
        while start < run.end {
            let key = start >> 16;
            let end = run.end.min((key << 16).saturating_add(1 << 16));
            if key != self.key {
                *self = Self { key, ordinals: 0 };
                grown += CONTAINER_BYTES;
            }
            let before = container_bytes(self.ordinals);
            self.ordinals += end - start;
            grown += container_bytes(self.ordinals) - before;
            start = end;
        }
        grown
    }
}

/// Bytes of a container's ordinals: two each, until a bitmap of 8 KiB is smaller.
fn container_bytes(ordinals: u32) -> usize {
    (ordinals as usize * 2).min(8192)
}

#[cfg(test)]
mod tests;
