//! Bounds what a core hands to its runtime's pool of threads.
//!
//! Under epoll every file operation goes there; under io_uring only what has no ring operation. The
//! runtime spins on the core when the pool is full, so nothing may be handed over beyond the number
//! of threads: it waits here for a permit instead. Reads and writes have separate permits, so that
//! a flood of reads does not hold up the commit log.

use std::cell::RefCell;

use crate::driver::Driver;
use crate::local::{Permit, Semaphore};
use crate::runtime::core;

/// Threads of one core's pool.
pub(crate) const THREADS: usize = READS + WRITES;
/// Of which for reads, look-ups and listings.
const READS: usize = 5;
/// Of which for writes and syncs.
const WRITES: usize = 3;

struct Permits {
    reads: Semaphore,
    writes: Semaphore,
}

impl Permits {
    fn new() -> Self {
        Permits { reads: Semaphore::new(READS), writes: Semaphore::new(WRITES) }
    }
}

thread_local! {
    static PERMITS: RefCell<Permits> = RefCell::new(Permits::new());
}

/// A new runtime on this thread starts with all permits.
pub(crate) fn reset() {
    PERMITS.with_borrow_mut(|permits| *permits = Permits::new());
}

/// A permit for a read-like file operation; none is needed where a ring does it.
pub(crate) async fn read_permit() -> Option<Permit> {
    match core::driver() {
        Driver::IoUring => None,
        Driver::Epoll => Some(blocking_permit().await),
    }
}

/// A permit for a write-like file operation; none is needed where a ring does it.
pub(crate) async fn write_permit() -> Option<Permit> {
    match core::driver() {
        Driver::IoUring => None,
        Driver::Epoll => {
            let writes = PERMITS.with_borrow(|permits| permits.writes.clone());
            Some(writes.acquire(1).await)
        }
    }
}

async fn blocking_permit() -> Permit {
    let reads = PERMITS.with_borrow(|permits| permits.reads.clone());
    reads.acquire(1).await
}

/// Runs a blocking closure on the pool, under either driver.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        world.take(2_000, 200_000).await;
        return work();
    }
    let _permit = blocking_permit().await;
    match compio::runtime::spawn_blocking(work).await {
        Ok(value) => value,
        Err(compio::runtime::JoinError::Panicked(payload)) => std::panic::resume_unwind(payload),
        Err(compio::runtime::JoinError::Cancelled) => {
            unreachable!("a blocking closure is not cancelled while its handle is held")
        }
    }
}
