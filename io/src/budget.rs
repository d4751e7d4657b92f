//! A memory budget for the process: resident bytes plus bytes that are promised but not resident
//! yet.
//!
//! Resident bytes count, whoever allocated them. The core that needs the figure asks the kernel
//! again if the last reading is older than [`FRESH_FOR`], so no busy core can delay it. Code that
//! is about to take a lot of memory gets a promise first ([`Budget::promise`]) and reduces the
//! promise as the memory becomes resident. So requests that begin at the same moment cannot all
//! count on the same free memory.

#[cfg(test)]
mod tests;

use crate::process::resident_bytes;
use crate::time::{self, Monotonic};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a reading is used. A reading costs some ten microseconds.
pub const FRESH_FOR: Duration = Duration::from_millis(5);

/// The memory budget, shared by all cores.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    begun: Monotonic,
    resident: AtomicU64,
    promised: AtomicU64,
    refused: AtomicU64,
    /// Time of the last reading, in microseconds since `begun`.
    read_at: AtomicU64,
    read: fn() -> u64,
}

impl Budget {
    /// A budget of `limit` bytes; 0 is no limit.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        Self::reading(limit, resident_bytes)
    }

    /// A budget that gets the number of resident bytes from `read`.
    #[must_use]
    pub fn reading(limit: u64, read: fn() -> u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            begun: time::now(),
            resident: AtomicU64::new(if limit > 0 { read() } else { 0 }),
            promised: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            read_at: AtomicU64::new(0),
            read,
        })
    }

    /// The limit in bytes; 0 is none.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Resident bytes by a fresh reading, plus promised bytes.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.renew();
        let promised = self.promised.load(Ordering::Relaxed);
        self.resident.load(Ordering::Relaxed).saturating_add(promised)
    }

    /// Whether the limit is reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.has_room(1)
    }

    /// Whether `bytes` more would stay within the limit.
    #[must_use]
    pub fn has_room(&self, bytes: u64) -> bool {
        self.limit == 0 || self.used().saturating_add(bytes) <= self.limit
    }

    /// Promises `bytes`, if they are within the limit.
    #[must_use]
    pub fn promise(self: &Arc<Self>, bytes: u64) -> Option<Promise> {
        let mut promise = self.nothing();
        promise.extend(bytes).then_some(promise)
    }

    /// An empty promise to extend later; available even when the limit is reached.
    pub fn nothing(self: &Arc<Self>) -> Promise {
        Promise { budget: Arc::clone(self), bytes: 0 }
    }

    /// How often a promise was refused since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// What a client is told where the limit is reached and `what` follows from it.
    #[must_use]
    pub fn refusal(&self, what: &str) -> String {
        let (used, limit) = (self.used() >> 20, self.limit() >> 20);
        format!(
            "memory limit reached: {what}; {used} MiB are in use, memory.limit is {limit} MiB. \
             Raise memory.limit, shorten the retention or send fewer series"
        )
    }

    fn renew(&self) {
        if self.limit == 0 {
            return;
        }
        let now = u64::try_from(time::now().since(self.begun).as_micros()).unwrap_or(u64::MAX);
        let last = self.read_at.load(Ordering::Relaxed);
        let is_fresh = now < last.saturating_add(FRESH_FOR.as_micros() as u64);
        // One core reads; meanwhile the others use the last reading.
        if is_fresh
            || self
                .read_at
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        self.read_again();
    }

    /// Reads the resident bytes even if the last reading is fresh, for a caller that has just freed
    /// memory.
    pub fn read_again(&self) {
        if self.limit > 0 {
            self.resident.store((self.read)(), Ordering::Relaxed);
        }
    }
}

/// Memory promised to a caller; returned when dropped.
#[must_use = "a promise that is dropped at once promises nothing"]
#[derive(Debug)]
pub struct Promise {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Promise {
    /// Promises `more` bytes if they are within the limit. Returns whether they are.
    #[must_use]
    pub fn extend(&mut self, more: u64) -> bool {
        // Add first, check afterwards: of two cores that do this at the same moment, at least one
        // sees the other's bytes.
        self.budget.promised.fetch_add(more, Ordering::Relaxed);
        if self.budget.has_room(0) {
            self.bytes += more;
            return true;
        }
        self.budget.promised.fetch_sub(more, Ordering::Relaxed);
        self.budget.refused.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Says that `bytes` of the promise are resident now, or no longer needed.
    pub fn settle(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.promised.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.settle(u64::MAX);
    }
}
