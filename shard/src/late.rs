//! Samples that arrived out of order, until they are folded into their blocks.
//!
//! They are kept in order of arrival, and a read sorts the ones it needs. When a series has many of
//! them they are folded: their blocks are decoded, merged and encoded again. How many is
//! proportional to what the series holds, so that the cost of a backfill is not quadratic in its
//! length; and it is between [`FOLD_COUNT`] and [`FOLD_COUNT_MAX`], so that few samples wait.

#[cfg(test)]
mod tests;

use crate::cells::Cells;
use crate::codec::{self, BrokenStream};
use crate::series::{ClosedStream, Cold, Hot};
use hashbrown::HashMap;

/// Number of late samples that triggers a fold in a short series.
pub const FOLD_COUNT: usize = 256;
/// Number of late samples that triggers a fold in any series: a quarter of a MiB.
pub const FOLD_COUNT_MAX: usize = 16 << 10;
/// Bytes of closed streams per waiting late sample.
const BYTES_PER_LATE: usize = 16;

/// The late samples of one namespace on one core.
#[derive(Default)]
pub struct Late {
    by_series: HashMap<u32, Vec<(i64, u64)>>,
}

impl Late {
    /// Keeps a late sample. Returns whether the series' late samples should be folded. `held`
    /// returns the bytes of its closed streams.
    pub fn push(
        &mut self,
        series: u32,
        ts_ns: i64,
        bits: u64,
        held: impl FnOnce() -> usize,
    ) -> bool {
        let samples = self.by_series.entry(series).or_default();
        samples.push((ts_ns, bits));
        samples.len().is_multiple_of(FOLD_COUNT)
            && samples.len() >= (held() / BYTES_PER_LATE).min(FOLD_COUNT_MAX)
    }

    /// Whether a late sample has this time.
    #[must_use]
    pub fn holds(&self, series: u32, ts_ns: i64) -> bool {
        let samples = self.by_series.get(&series);
        samples.is_some_and(|samples| samples.iter().any(|(ts, _)| *ts == ts_ns))
    }

    /// The number of waiting samples.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.by_series.values().map(|s| s.len() as u64).sum()
    }

    /// The late samples of `series` in `from_ns..=to_ns` in order of time; of equal times the last.
    #[must_use]
    pub fn read(&self, series: u32, from_ns: i64, to_ns: i64) -> Vec<(i64, u64)> {
        let Some(samples) = self.by_series.get(&series) else { return Vec::new() };
        let within = samples.iter().filter(|(ts, _)| *ts >= from_ns && *ts <= to_ns);
        last_of_each(within.copied().collect())
    }

    /// Folds the late samples of `series` into its closed streams.
    ///
    /// # Errors
    /// [`BrokenStream`] if the bytes in memory are not what was written.
    pub fn fold(
        &mut self,
        series: u32,
        hot: &mut Hot,
        cold: &mut Cold,
        cells: &mut Cells,
        block_of: impl Fn(i64) -> i32,
    ) -> Result<(), BrokenStream> {
        let Some(samples) = self.by_series.remove(&series) else { return Ok(()) };
        hot.close(cold, cells);
        let samples = last_of_each(samples);
        samples.iter().for_each(|(ts_ns, bits)| hot.overwrite(*ts_ns, *bits));
        for late in samples.chunk_by(|a, b| block_of(a.0) == block_of(b.0)) {
            let block = block_of(late[0].0);
            let mut held = Vec::new();
            for part in cold.take_block(block) {
                codec::decode(part.start, &part.bytes, |ts, bits| held.push((ts, bits)))?;
            }
            cold.insert_part(ClosedStream::encode(block, &merge(&held, late)));
        }
        Ok(())
    }

    /// Drops samples before `limit_ns`.
    pub fn expire(&mut self, limit_ns: i64) {
        self.by_series.retain(|_, samples| {
            samples.retain(|(ts, _)| *ts >= limit_ns);
            !samples.is_empty()
        });
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.by_series.values().map(|s| s.capacity() as u64 * 16).sum::<u64>()
            + self.by_series.capacity() as u64 * 36
    }
}

/// Sorts by time; of samples with equal times the last to arrive stays.
fn last_of_each(mut samples: Vec<(i64, u64)>) -> Vec<(i64, u64)> {
    samples.sort_by_key(|(ts, _)| *ts);
    samples.reverse();
    samples.dedup_by_key(|(ts, _)| *ts);
    samples.reverse();
    samples
}

/// Merges two sorted lists; for equal times `late` wins, since it arrived later.
#[must_use]
pub fn merge(held: &[(i64, u64)], late: &[(i64, u64)]) -> Vec<(i64, u64)> {
    let mut out = Vec::with_capacity(held.len() + late.len());
    let (mut i, mut j) = (0, 0);
    while i < held.len() && j < late.len() {
        match held[i].0.cmp(&late[j].0) {
            std::cmp::Ordering::Less => {
                out.push(held[i]);
                i += 1;
            }
            std::cmp::Ordering::Greater => {
                out.push(late[j]);
                j += 1;
            }
            std::cmp::Ordering::Equal => {
                out.push(late[j]);
                i += 1;
                j += 1;
            }
        }
    }
    out.extend_from_slice(&held[i..]);
    out.extend_from_slice(&late[j..]);
    out
}
