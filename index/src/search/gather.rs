//! Unions of many lists, and testing whether a list meets a set.
//!
//! A union collects runs while they are few, and sets bits once they are many. Bitmaps are only
//! referenced, so a union of one long list copies nothing.

use crate::list::{List, Parts, Runs, append_run};
use roaring::{MultiOps, RoaringBitmap};
use std::ops::Range;

/// A union under construction.
pub(crate) struct Gather<'a> {
    count: u32,
    runs: Vec<Range<u32>>,
    /// One bit per series, once there are many runs; empty before.
    bits: Vec<u8>,
    bitmaps: Vec<&'a RoaringBitmap>,
}

/// A finished union: what was collected, and references to long lists of the index.
pub(crate) struct Found<'a> {
    own: RoaringBitmap,
    bitmaps: Vec<&'a RoaringBitmap>,
}

/// A set of series, prepared to be tested against many lists.
pub(crate) struct Among<'a> {
    set: &'a RoaringBitmap,
    /// The same set, one bit per series.
    bits: Vec<u8>,
}

/// A union keeps its runs in a list as long as there are at most one for this many series: sorting
/// a run costs about as much as clearing and reading the bits of so many series.
const SERIES_PER_RUN: usize = 512;
/// Runs that are always kept in a list.
const RUNS_MIN: usize = 64;
/// Runs of up to this many series are tested bit by bit, longer ones through the set.
const RUN_BITS_MAX: u32 = 2048;
/// Up to this many bitmaps are intersected one by one; more are united first.
const BITMAPS_APART_MAX: usize = 4;

impl<'a> Gather<'a> {
    /// A union for an index of `count` series.
    pub(crate) fn new(count: u32) -> Self {
        Self { count, runs: Vec::new(), bits: Vec::new(), bitmaps: Vec::new() }
    }

    #[inline]
    pub(crate) fn add(&mut self, list: Parts<'a>) {
        self.bitmaps.extend(list.bitmap);
        self.add_runs(list.runs);
    }

    #[inline]
    fn add_runs(&mut self, runs: Runs<'_>) {
        for run in runs {
            if !self.bits.is_empty() {
                set(&mut self.bits, run);
                continue;
            }
            self.runs.push(run);
            if self.runs.len() > RUNS_MIN + self.count as usize / SERIES_PER_RUN {
                self.bits = vec![0; (self.count as usize).div_ceil(8)];
                self.runs.drain(..).for_each(|run| set(&mut self.bits, run));
            }
        }
    }

    pub(crate) fn finish(mut self) -> Found<'a> {
        let own = if self.bits.is_empty() {
            self.runs.sort_unstable_by_key(|run| run.start);
            let mut own = RoaringBitmap::new();
            // A series has only one value of a name, so the runs of different values never overlap.
            self.runs.into_iter().for_each(|run| append_run(&mut own, run));
            own
        } else {
            RoaringBitmap::from_lsb0_bytes(0, &self.bits)
        };
        let bitmaps = if self.bitmaps.len() > BITMAPS_APART_MAX {
            let own = self.bitmaps.into_iter().chain([&own]).union();
            return Found { own, bitmaps: Vec::new() };
        } else {
            self.bitmaps
        };
        Found { own, bitmaps }
    }
}

impl Found<'_> {
    pub(crate) fn len(&self) -> u64 {
        self.own.len() + self.bitmaps.iter().map(|bitmap| bitmap.len()).sum::<u64>()
    }

    /// The series that are both here and in `left`.
    pub(crate) fn and(&self, left: &RoaringBitmap) -> RoaringBitmap {
        self.bitmaps.iter().fold(&self.own & left, |all, bitmap| all | (*bitmap & left))
    }

    /// Removes everything here from `left`.
    pub(crate) fn take_from(&self, left: &mut RoaringBitmap) {
        *left -= &self.own;
        self.bitmaps.iter().for_each(|bitmap| *left -= *bitmap);
    }

    pub(crate) fn into_owned(self) -> RoaringBitmap {
        self.bitmaps.into_iter().fold(self.own, |all, bitmap| all | bitmap)
    }
}

impl<'a> Among<'a> {
    /// Prepares `set`, for an index of `count` series.
    pub(crate) fn new(set: &'a RoaringBitmap, count: u32) -> Self {
        let mut bits = vec![0; (count as usize).div_ceil(8)];
        let mut ordinals = set.iter();
        while let Some(run) = ordinals.next_range() {
            // The caller's set may come from a later state of the index.
            let end = count.min(run.end().saturating_add(1));
            if *run.start() < end {
                self::set(&mut bits, *run.start()..end);
            }
        }
        Self { set, bits }
    }

    /// A quick test: true only if no series of `list` is in the set.
    #[inline]
    pub(crate) fn surely_misses(&self, list: List) -> bool {
        list.single_run().is_some_and(|run| !self.meets_run(&run))
    }

    /// Whether any series of the list is in the set.
    pub(crate) fn meets(&self, mut list: Parts<'_>) -> bool {
        list.runs.any(|run| self.meets_run(&run))
            || list.bitmap.is_some_and(|bitmap| !bitmap.is_disjoint(self.set))
    }

    #[inline]
    fn meets_run(&self, run: &Range<u32>) -> bool {
        if run.end - run.start > RUN_BITS_MAX {
            return self.set.range(run.clone()).next().is_some();
        }
        let bits = &self.bits[run.start as usize / 8..(run.end as usize).div_ceil(8)];
        let (low, high) = edges(run);
        match bits {
            [] => false,
            [only] => only & low & high != 0,
            [first, middle @ .., last] => {
                first & low != 0 || last & high != 0 || middle.iter().any(|&byte| byte != 0)
            }
        }
    }
}

/// The bits of `run` in its first and its last byte.
#[inline]
fn edges(run: &Range<u32>) -> (u8, u8) {
    (0xff << (run.start % 8), 0xff >> (7 - (run.end - 1) % 8))
}

/// Sets the bits of `run`.
#[inline]
fn set(bits: &mut [u8], run: Range<u32>) {
    let (first, last) = (run.start as usize / 8, (run.end - 1) as usize / 8);
    let (low, high) = edges(&run);
    if first == last {
        bits[first] |= low & high;
        return;
    }
    bits[first] |= low;
    bits[first + 1..last].fill(0xff);
    bits[last] |= high;
}
