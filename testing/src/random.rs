//! Random numbers that can be had again: splitmix64 (Steele, Lea, Flood 2014).

use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(test)]
mod tests;

/// A random generator. The same seed gives the same numbers.
///
/// One that is made for a test takes its seed from the variable `SEED` and prints it, so that a
/// failure can be repeated.
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// A generator for the test `test`. Without `SEED` every run is another one.
    #[expect(clippy::disallowed_methods, reason = "every run of a test wants another seed")]
    pub fn new(test: &str) -> Self {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH);
        Self::or_seed(test, clock.map_or(0, |since| since.as_nanos() as u64))
    }

    /// A generator for the test `test`. Without `SEED` every run is the same one.
    pub fn or_seed(test: &str, default: u64) -> Self {
        let seed = crate::setting("SEED", default);
        println!("{test}: SEED={seed}");
        Self::from_seed(seed)
    }

    /// A generator with this seed, which prints nothing: for a part of a test.
    pub const fn from_seed(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// What it began with.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `bound`, of whatever integer type the bound has.
    ///
    /// # Panics
    ///
    /// If there is no such number.
    pub fn below<N: TryInto<u64> + TryFrom<u64>>(&mut self, bound: N) -> N {
        let bound = bound.try_into().unwrap_or(0);
        assert!(bound > 0, "there is no number from 0 to below 0");
        let Ok(number) = N::try_from(self.next() % bound) else {
            unreachable!("a number below the bound fits the bound's type");
        };
        number
    }

    /// One of `all`, which are not none.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
