//! The memory budget: at the limit writes are refused for now and queries fail with the reason, so
//! that the node is never killed for its memory use.
//!
//! The budget counts what the process holds and what is reserved for requests in flight
//! ([`m3_io::budget`]): heads and bodies while they arrive (`http::server`), bodies while they are
//! unpacked (`http::api`), answers while they are written. A write that adds series and a query
//! that reads samples take memory step by step, and check the limit again every few milliseconds.

use m3_io::budget::{Budget, Promise};
use m3_io::time::{self, Monotonic};
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The limit if `available` bytes exist and none is configured: nine tenths, or less if that would
/// leave less than [`ROOM_MIN`] for what arrives between two readings and for the kernel's share of
/// a cgroup.
#[must_use]
pub fn share_of(available: u64) -> u64 {
    available - (available / 10).max(ROOM_MIN.min(available / 3))
}

/// Bytes above the limit that the node may hold for a moment.
const ROOM_MIN: u64 = 96 << 20;

/// How often a core checks whether memory is scarce.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The shortest time between two attempts of a core to give memory back, unless memory in use has
/// grown since the last one by this part of the limit.
const COLLECT_EVERY: Duration = Duration::from_secs(2);
const COLLECT_GROWTH_PART: u64 = 128;
/// Memory is scarce when less than this part of the limit is left.
const SCARCE_PART: u64 = 8;
/// After writes were refused, they are admitted again when this part of the limit is free.
/// Otherwise a node at its limit would store a few requests out of many, for the little memory that
/// becomes free.
const FREE_AGAIN_PART: u64 = 32;

/// Gives this core's free memory back to the system while memory is scarce. The allocator keeps
/// what a large query has freed and returns it only as it is used; without this, an idle core would
/// keep it.
pub async fn give_back(memory: &Memory) {
    loop {
        time::sleep(LOOK_EVERY).await;
        if !memory.budget.has_room(memory.limit() / SCARCE_PART) {
            memory.collect();
        }
    }
}

thread_local! {
    /// When this core last gave memory back, and how much was in use afterwards.
    static COLLECTED: Cell<Option<(Monotonic, u64)>> = const { Cell::new(None) };
}

#[allow(unsafe_code, reason = "the allocator has no safe call for it")]
fn give_back_all() {
    // SAFETY: it takes no pointer, may be called by any thread at any time, and frees only what is
    // not in use.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// Size of an admin document up to which the limit is not checked.
const DOCUMENT_BYTES_SURE: u64 = 4 << 20;

/// The memory limit is reached; the text says what was refused and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoMemory {
    /// The text for the client.
    pub text: String,
}

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The memory budget of the node and its counters.
#[derive(Debug)]
pub struct Memory {
    budget: Arc<Budget>,
    refused_writes: AtomicU64,
    refused_queries: AtomicU64,
    /// Whether a write was refused and little memory has become free since.
    writes_wait: AtomicBool,
}

impl Memory {
    /// A budget of `limit` bytes; 0 is no limit.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self::within(Budget::new(limit))
    }

    fn within(budget: Arc<Budget>) -> Self {
        let (refused_writes, refused_queries, writes_wait) = Default::default();
        Self { budget, refused_writes, refused_queries, writes_wait }
    }

    /// The budget, for memory that is taken before a call is made.
    #[must_use]
    pub const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// The limit in bytes; 0 means no limit.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.budget.limit()
    }

    /// Whether the limit is reached even after this core has given its free memory back.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.budget.is_full() && (!self.collect() || self.budget.is_full())
    }

    /// Gives this core's free memory back, unless it did so a moment ago and little was taken
    /// since. Returns whether it did.
    fn collect(&self) -> bool {
        let now = time::now();
        let little = self.limit() / COLLECT_GROWTH_PART;
        if let Some((last, left)) = COLLECTED.get()
            && now.since(last) < COLLECT_EVERY
            && self.budget.used() <= left.saturating_add(little)
        {
            return false;
        }
        give_back_all();
        self.budget.read_again();
        COLLECTED.set(Some((now, self.budget.used())));
        true
    }

    /// Writes and queries refused since the start.
    #[must_use]
    pub fn refused(&self) -> (u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.refused_writes), read(&self.refused_queries))
    }

    /// Admits a write, unless the limit is reached, or was reached and little memory has become
    /// free since.
    ///
    /// # Errors
    /// [`NoMemory`]; a later attempt may succeed.
    pub fn admit_write(&self) -> Result<(), NoMemory> {
        let waits = self.writes_wait.load(Ordering::Relaxed);
        if self.is_full() || waits && !self.budget.has_room(self.limit() / FREE_AGAIN_PART) {
            return Err(self.refuse_write());
        }
        if waits {
            self.writes_wait.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The refusal of a write, or of the rest of it, at the limit.
    #[must_use]
    pub fn refuse_write(&self) -> NoMemory {
        self.refused_writes.fetch_add(1, Ordering::Relaxed);
        self.writes_wait.store(true, Ordering::Relaxed);
        self.refusal("the write is refused for now")
    }

    /// Admits a query, or lets it go on, unless the limit is reached.
    ///
    /// # Errors
    /// [`NoMemory`]; a later attempt may succeed.
    pub fn admit_query(&self) -> Result<(), NoMemory> {
        if self.is_full() { Err(self.refuse_query()) } else { Ok(()) }
    }

    /// The refusal of a query at the limit.
    #[must_use]
    pub fn refuse_query(&self) -> NoMemory {
        self.refused_queries.fetch_add(1, Ordering::Relaxed);
        self.refusal("the query is refused")
    }

    /// Reserves about `bytes` for writing an answer, unless that is more than is left, until the
    /// result is dropped.
    ///
    /// # Errors
    /// [`NoMemory`]; a later attempt may succeed.
    pub fn admit_answer(&self, bytes: u64) -> Result<Promise, NoMemory> {
        self.budget.promise(bytes).ok_or_else(|| {
            self.refused_queries.fetch_add(1, Ordering::Relaxed);
            self.refusal(&format!("the query's answer of about {} MiB is refused", bytes >> 20))
        })
    }

    /// Reserves `bytes` for reading an admin document, unless that is more than is left. A small
    /// document is always admitted, because it may free memory.
    ///
    /// # Errors
    /// [`NoMemory`]; a later attempt may succeed.
    pub fn admit_document(&self, bytes: u64) -> Result<Promise, NoMemory> {
        let mut promise = self.budget.nothing();
        if bytes <= DOCUMENT_BYTES_SURE || promise.extend(bytes) {
            return Ok(promise);
        }
        Err(self.refusal("the document is refused"))
    }

    fn refusal(&self, what: &str) -> NoMemory {
        NoMemory { text: self.budget.refusal(what) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, share_of};
    use m3_io::budget::Budget;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn a_write_that_met_the_limit_is_let_in_when_there_is_room_and_not_for_crumbs() {
        static RESIDENT: AtomicU64 = AtomicU64::new(0);
        let memory = Memory::within(Budget::reading(3200, || RESIDENT.load(Ordering::Relaxed)));
        let writes_at = |resident| {
            RESIDENT.store(resident, Ordering::Relaxed);
            memory.budget.read_again();
            memory.admit_write().is_ok()
        };
        assert!(writes_at(3199), "there was always room");
        assert!(!writes_at(3200));
        assert!(!writes_at(3190) && !writes_at(3101), "the limit was reached, little came free");
        assert!(memory.admit_query().is_ok(), "a query gives back what it takes");
        assert!(writes_at(3100) && writes_at(3199));
        assert_eq!(memory.refused(), (3, 0));
    }

    #[test]
    fn the_share_leaves_room() {
        const MIB: u64 = 1 << 20;
        assert_eq!(share_of(0), 0);
        assert_eq!(share_of(96 * MIB), 64 * MIB);
        assert_eq!(share_of(512 * MIB), 416 * MIB);
        assert_eq!(share_of(100_000 * MIB), 90_000 * MIB);
    }
}
