//! The memory budget: at the limit writes are refused for now and queries fail with the reason, so
//! that the node is never killed for memory.
//!
//! What counts is what the process holds (resident bytes), whoever took it: series, buffers, bodies
//! of requests, queries. Core 0 reads it [`WATCH_EVERY`]; all cores look at the last reading.
//! Between two readings ingest can take some tens of megabytes, which the limit's distance from
//! what the machine has is for.

use m3_http::api::{ApiError, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often the reading is renewed.
pub const WATCH_EVERY: Duration = Duration::from_millis(50);
/// Seconds after which a refused sender may try again.
const RETRY_AFTER_S: u32 = 5;

/// The limit where there are `available` bytes and nobody has named one: nine tenths, and less
/// where that would leave less room than [`ROOM_MIN`] for what arrives between two readings and for
/// the kernel's share of a cgroup.
#[must_use]
pub fn share_of(available: u64) -> u64 {
    available - (available / 10).max(ROOM_MIN.min(available / 3))
}

/// Bytes above the limit that the node may come to hold for a moment.
const ROOM_MIN: u64 = 96 << 20;

/// What memory there is and how much of it is in use.
#[derive(Debug)]
pub struct Memory {
    limit: u64,
    resident: AtomicU64,
    refused_writes: AtomicU64,
    refused_queries: AtomicU64,
}

impl Memory {
    /// A budget of `limit` bytes; 0 is no limit.
    #[must_use]
    pub const fn new(limit: u64) -> Self {
        Self {
            limit,
            resident: AtomicU64::new(0),
            refused_writes: AtomicU64::new(0),
            refused_queries: AtomicU64::new(0),
        }
    }

    /// The limit in bytes; 0 is none.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Notes what is in use now.
    pub fn note(&self, resident: u64) {
        self.resident.store(resident, Ordering::Relaxed);
    }

    /// Whether the limit is reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.limit > 0 && self.resident.load(Ordering::Relaxed) >= self.limit
    }

    /// Writes and queries refused since the start.
    #[must_use]
    pub fn refused(&self) -> (u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.refused_writes), read(&self.refused_queries))
    }

    /// Lets a write in, unless the limit is reached.
    ///
    /// # Errors
    /// 429 with Retry-After.
    pub fn admit_write(&self) -> Result<(), ApiError> {
        if !self.is_full() {
            return Ok(());
        }
        self.refused_writes.fetch_add(1, Ordering::Relaxed);
        Err(self.refusal("the write is refused for now"))
    }

    /// Lets a query in or go on, unless the limit is reached.
    ///
    /// # Errors
    /// 429 with Retry-After.
    pub fn admit_query(&self) -> Result<(), ApiError> {
        if self.is_full() { Err(self.refuse_query()) } else { Ok(()) }
    }

    /// Why a query that met the limit is not answered: 429 with Retry-After.
    #[must_use]
    pub fn refuse_query(&self) -> ApiError {
        self.refused_queries.fetch_add(1, Ordering::Relaxed);
        self.refusal("the query is refused")
    }

    /// Lets an answer be written that will take about `bytes`, unless they are more than is left.
    ///
    /// # Errors
    /// 429 with Retry-After.
    pub fn admit_answer(&self, bytes: u64) -> Result<(), ApiError> {
        let resident = self.resident.load(Ordering::Relaxed);
        if self.limit == 0 || resident.saturating_add(bytes) < self.limit {
            return Ok(());
        }
        self.refused_queries.fetch_add(1, Ordering::Relaxed);
        Err(self.refusal(&format!("the query's answer of about {} MiB is refused", bytes >> 20)))
    }

    fn refusal(&self, what: &str) -> ApiError {
        let used = self.resident.load(Ordering::Relaxed) >> 20;
        let limit = self.limit >> 20;
        let message = format!(
            "memory limit reached: {what}; {used} MiB are in use, memory.limit is {limit} MiB. \
             Raise memory.limit, shorten the retention or send fewer series"
        );
        ApiError {
            retry_after_s: Some(RETRY_AFTER_S),
            ..ApiError::new(ErrorKind::Exhausted, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::share_of;

    #[test]
    fn the_share_leaves_room() {
        const MIB: u64 = 1 << 20;
        assert_eq!(share_of(0), 0);
        assert_eq!(share_of(96 * MIB), 64 * MIB);
        assert_eq!(share_of(512 * MIB), 416 * MIB);
        assert_eq!(share_of(100_000 * MIB), 90_000 * MIB);
    }
}
