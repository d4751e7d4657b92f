//! The machine: the only crate that uses a runtime, files, sockets or a clock.
//!
//! Suggested reading order: [`driver`] (io_uring or epoll, and why), [`runtime`] (one pinned thread
//! per core), [`task`] and [`local`] (within a core), [`time`], [`mesh`] and [`oneshot`] (between
//! cores), [`file`], [`net`], [`idle`] (CPU-heavy work), [`signal`], [`process`], [`budget`],
//! [`panics`], [`rlimits`], [`blocking`] and [`held`] (before the cores start); with the feature
//! `sim`, `sim` (a simulated world in one thread).
//!
//! Always holds: no type of the underlying runtime appears in a public signature, so another
//! backend (`sim`, with a seeded clock, disk and network) fits behind the same names. Buffers are
//! owned: an operation takes a `Vec<u8>` and returns it with its result.

mod affinity;
pub mod blocking;
pub mod budget;
pub mod driver;
mod error;
mod failpoint;
pub mod file;
pub mod held;
pub mod idle;
pub mod local;
pub mod mesh;
pub mod net;
pub mod oneshot;
pub mod panics;
mod pool;
pub mod privilege;
pub mod process;
pub mod rlimits;
pub mod runtime;
pub mod signal;
#[cfg(feature = "sim")]
pub mod sim;
pub mod task;
#[cfg(test)]
mod testing;
pub mod time;
mod uring;

pub use error::{Gone, IoError, PathError, os_code};
pub use failpoint::failpoint;
pub use local::{Gate, Notify, Pass, Permit, Semaphore};
pub use oneshot::{PendingReply, ReplyTo, oneshot};
pub use task::{Either, JoinHandle, give_way, race, spawn, spawn_join, try_spawn, yield_now};

/// One pinned thread with its ring, counted from 0. Neither a cpu number nor a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CoreId(pub u16);

impl CoreId {
    /// The id as an index into per-core tables.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl std::fmt::Display for CoreId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}
