//! Which block of a namespace a time lies in, also where the block size has changed.
//!
//! Blocks have numbers that ascend with time. A new block size holds from the end of the last block
//! that has a sample, so what is held stays in the blocks it was written to: a change costs
//! nothing, cannot fail half way and looks the same to a read before and after. The road not taken
//! is to code everything held once more, which takes seconds per million series and has to be
//! correct at every point in between. After a restart the log is read into blocks of the new size.
//!
//! Always holds: the numbers of one era follow those of the era before it without a gap, so two
//! times have the same number if and only if they lie in the same block.

use m3_metric::Span;

/// A stretch of time in which all blocks have one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Era {
    /// Where it begins; it ends where the next one begins.
    from_ns: i64,
    block: Span,
    /// What is added to `time / size` so that numbers follow those of the era before.
    shift: i64,
}

impl Era {
    const fn number_of(self, ts_ns: i64) -> i64 {
        ts_ns.div_euclid(self.block.0) + self.shift
    }

    /// Where the block `number` of this era ends and a block of the size `next` may begin; `None`
    /// behind the end of time.
    fn end_ns(self, number: i64, next: Span) -> Option<i64> {
        let end_ns = (number + 1 - self.shift).checked_mul(self.block.0)?;
        let into_next = end_ns.rem_euclid(next.0);
        if into_next == 0 { Some(end_ns) } else { end_ns.checked_add(next.0 - into_next) }
    }
}

/// The blocks of one namespace on one core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// Apart from the others, because nearly every sample lies in it.
    latest: Era,
    /// Eras before it, ascending. Each holds a sample at the time it is left, so there are no more
    /// than blocks with samples.
    earlier: Vec<Era>,
}

impl Blocks {
    /// Blocks of the size `block`, always and for ever.
    ///
    /// # Panics
    /// If the size is under a minute: numbers are kept in an `i32`.
    #[must_use]
    pub(crate) fn new(block: Span) -> Self {
        assert!(block >= Span::from_s(60), "block numbers are kept in an i32");
        Self { latest: Era { from_ns: i64::MIN, block, shift: 0 }, earlier: Vec::new() }
    }

    /// The number of the block that holds `ts_ns`.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "2^64 ns are 3.1e8 minutes")]
    pub(crate) fn number_of(&self, ts_ns: i64) -> i32 {
        if ts_ns >= self.latest.from_ns {
            return self.latest.number_of(ts_ns) as i32;
        }
        self.era_of(ts_ns).number_of(ts_ns) as i32
    }

    #[cold]
    fn era_of(&self, ts_ns: i64) -> Era {
        let found = self.earlier.iter().rev().find(|era| ts_ns >= era.from_ns);
        *found.expect("the first era begins with time")
    }

    /// Blocks are of the size `block` from where nothing is held; `last` is the last block that
    /// has a sample.
    ///
    /// # Panics
    /// If the size is under a minute.
    pub(crate) fn resize(&mut self, block: Span, last: Option<i32>) {
        let Some(last) = last.map(i64::from) else {
            *self = Self::new(block);
            return;
        };
        assert!(block >= Span::from_s(60), "block numbers are kept in an i32");
        // Eras without a sample were only planned.
        while self.latest.number_of(self.latest.from_ns) > last
            && let Some(before) = self.earlier.pop()
        {
            self.latest = before;
        }
        if self.latest.block == block {
            return;
        }
        let Some(from_ns) = self.latest.end_ns(last, block) else { return };
        let first = self.latest.number_of(from_ns - 1) + 1;
        let shift = first - from_ns.div_euclid(block.0);
        self.earlier.push(self.latest);
        self.latest = Era { from_ns, block, shift };
    }
}

#[cfg(test)]
mod tests {
    use super::Blocks;
    use m3_metric::Span;

    const MINUTE: i64 = 60_000_000_000;

    fn minutes(count: i64) -> Span {
        Span(count * MINUTE)
    }

    /// Where blocks begin in these minutes, and that numbers ascend by one from block to block.
    fn starts(blocks: &Blocks, minutes: std::ops::Range<i64>) -> Vec<i64> {
        let mut starts = Vec::new();
        for minute in minutes {
            let (before, here) = (minute * MINUTE - 1, minute * MINUTE);
            let step = blocks.number_of(here) - blocks.number_of(before);
            assert!((0..=1).contains(&step), "minute {minute}: a step of {step}");
            assert_eq!(blocks.number_of(here), blocks.number_of(here + MINUTE - 1));
            if step == 1 {
                starts.push(minute);
            }
        }
        starts
    }

    #[test]
    fn a_new_size_holds_behind_the_last_block_with_samples() {
        let mut blocks = Blocks::new(minutes(20));
        let last = blocks.number_of(50 * MINUTE);
        blocks.resize(minutes(7), Some(last));
        assert_eq!(blocks.number_of(50 * MINUTE), last);
        assert_eq!(starts(&blocks, 1..85), [20, 40, 60, 63, 70, 77, 84]);
        // Larger again, with a sample in a small block.
        blocks.resize(minutes(30), Some(blocks.number_of(65 * MINUTE)));
        assert_eq!(starts(&blocks, 1..130), [20, 40, 60, 63, 70, 77, 84, 90, 120]);
    }

    #[test]
    fn a_size_that_nothing_was_written_in_leaves_no_trace() {
        let mut blocks = Blocks::new(minutes(20));
        let last = Some(blocks.number_of(-50 * MINUTE));
        let before = blocks.clone();
        for size in [7, 30, 1440] {
            blocks.resize(minutes(size), last);
        }
        blocks.resize(minutes(20), last);
        assert_eq!(blocks, before);
        blocks.resize(minutes(7), None);
        assert_eq!(blocks, Blocks::new(minutes(7)));
    }

    #[test]
    fn the_edges_of_time_have_blocks() {
        for ts in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
            let mut blocks = Blocks::new(minutes(1));
            let number = blocks.number_of(ts);
            blocks.resize(minutes(1440), Some(number));
            assert_eq!(blocks.number_of(ts), number);
            assert!(blocks.number_of(i64::MIN) <= number);
            assert!(blocks.number_of(i64::MAX) >= number);
        }
    }
}
