//! Bounds the work that a core gives to its runtime's thread pool.
//!
//! With epoll every file operation runs there, with io_uring only those that have no ring
//! operation. The runtime spins on the core while the pool is full. So a core never gives it more
//! operations than it has threads; further ones wait here for a permit. Reads and writes have
//! separate permits, so that many reads cannot delay the commit log.

use std::cell::RefCell;

use crate::driver::Driver;
use crate::local::{Permit, Semaphore};
use crate::runtime::core;

/// Threads of one core's pool.
pub(crate) const THREADS: usize = READS + WRITES;
/// Threads for reads, lookups and listings.
const READS: usize = 5;
/// Threads for writes and syncs.
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

/// Gives a new runtime on this thread all permits.
pub(crate) fn reset() {
    PERMITS.with_borrow_mut(|permits| *permits = Permits::new());
}

/// A permit for an operation that reads; `None` with io_uring, where no thread is needed.
pub(crate) async fn read_permit() -> Option<Permit> {
    match core::driver() {
        Driver::IoUring => None,
        Driver::Epoll => Some(blocking_permit().await),
    }
}

/// A permit for an operation that writes; `None` with io_uring, where no thread is needed.
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
