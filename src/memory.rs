//! The memory budget: at the limit writes are refused for now and queries fail with the reason, so
//! that the node is never killed for memory.
//!
//! What counts is what the process holds, and what requests in flight were promised
//! ([`m3_io::budget`]): bodies while they arrive (`http::server`) and while they are unpacked
//! (`http::api`), answers while they are written. Whoever takes memory step by step, a write its
//! new series and a query its samples, looks again every few milliseconds.

use m3_http::api::ApiError;
use m3_io::budget::{Budget, Promise};
use m3_io::time;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The limit where there are `available` bytes and nobody has named one: nine tenths, and less
/// where that would leave less room than [`ROOM_MIN`] for what arrives between two readings and for
/// the kernel's share of a cgroup.
#[must_use]
pub fn share_of(available: u64) -> u64 {
    available - (available / 10).max(ROOM_MIN.min(available / 3))
}

/// Bytes above the limit that the node may come to hold for a moment.
const ROOM_MIN: u64 = 96 << 20;

/// How often a core looks whether memory is scarce.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Looks between two attempts to give memory back, where the last has not helped.
const LOOKS_BETWEEN: u32 = 20;
/// Memory is scarce when less than this part of the limit is left.
const SCARCE_PART: u64 = 8;

/// Gives this core's free memory back to the system while memory is scarce. The allocator keeps
/// what a large query has freed, and gives it back as it is asked for more; a node that refuses
/// everything at its limit asks for nothing, and would stay there.
pub async fn give_back(memory: &Memory) {
    let mut wait = 0;
    loop {
        time::sleep(LOOK_EVERY).await;
        let limit = memory.limit();
        wait = if memory.budget.has_room(limit / SCARCE_PART) {
            0
        } else if wait == 0 {
            collect();
            LOOKS_BETWEEN
        } else {
            wait - 1
        };
    }
}

#[allow(unsafe_code, reason = "the allocator has no safe call for it")]
fn collect() {
    // SAFETY: it takes no pointer, may be called by any thread at any time, and frees only what is
    // not in use.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// Memory for an admin document that is not asked for.
const DOCUMENT_BYTES_SURE: u64 = 4 << 20;

/// What memory there is and how much of it is in use.
#[derive(Debug)]
pub struct Memory {
    budget: Arc<Budget>,
    refused_writes: AtomicU64,
    refused_queries: AtomicU64,
}

impl Memory {
    /// A budget of `limit` bytes; 0 is no limit.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        let (refused_writes, refused_queries) = Default::default();
        Self { budget: Budget::new(limit), refused_writes, refused_queries }
    }

    /// The budget, for those who take memory before a call is made.
    #[must_use]
    pub const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// The limit in bytes; 0 is none.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.budget.limit()
    }

    /// Whether the limit is reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.budget.is_full()
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
        if self.is_full() { Err(self.refuse_write()) } else { Ok(()) }
    }

    /// Why a write that met the limit is not stored, or not all of it.
    #[must_use]
    pub fn refuse_write(&self) -> ApiError {
        self.refused_writes.fetch_add(1, Ordering::Relaxed);
        self.refusal("the write is refused for now")
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
    /// They are promised until what is given is dropped.
    ///
    /// # Errors
    /// 429 with Retry-After.
    pub fn admit_answer(&self, bytes: u64) -> Result<Promise, ApiError> {
        self.budget.promise(bytes).ok_or_else(|| {
            self.refused_queries.fetch_add(1, Ordering::Relaxed);
            self.refusal(&format!("the query's answer of about {} MiB is refused", bytes >> 20))
        })
    }

    /// Lets an admin document be read that may take `bytes`, unless they are more than is left; a
    /// small one always is, for it may be what frees memory.
    ///
    /// # Errors
    /// 429 with Retry-After.
    pub fn admit_document(&self, bytes: u64) -> Result<Promise, ApiError> {
        let mut promise = self.budget.nothing();
        if bytes <= DOCUMENT_BYTES_SURE || promise.extend(bytes) {
            return Ok(promise);
        }
        Err(self.refusal("the document is refused"))
    }

    fn refusal(&self, what: &str) -> ApiError {
        ApiError::no_memory(what, &self.budget)
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
