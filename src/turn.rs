//! Queries take turns on a core, one slice at a time, and ingest has priority.
//!
//! However many queries there are, only one of them runs between two polls of sockets and disks;
//! then all other tasks run until none has work left. On a core that ingest keeps busy, queries
//! still get one part in five: a dashboard becomes slow, but does not stop.

use m3_io::time::{self, Monotonic};
use m3_io::{Permit, Semaphore, give_way};
use std::time::Duration;

/// How long a query runs before other tasks may have the core. A write waits for the core several
/// times (its body, its frame, the sync, its answer), each time for one slice.
const SLICE: Duration = Duration::from_micros(200);
/// How long other tasks may run, at most, before a query goes on.
const OTHERS_MAX: Duration = SLICE.saturating_mul(4);

/// The turns of one core. Cloning shares them.
#[derive(Clone)]
pub struct QueryTurns(Semaphore);

impl Default for QueryTurns {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

impl QueryTurns {
    /// Waits for a turn.
    pub async fn begin(&self) -> QueryTurn {
        let permit = self.0.acquire(1).await;
        give_way(OTHERS_MAX).await;
        QueryTurn { turns: self.clone(), permit: Some(permit), begun: time::now() }
    }
}

/// A query's turn; it ends when this is dropped. The query must not wait for anything else during
/// it.
pub struct QueryTurn {
    turns: QueryTurns,
    permit: Option<Permit>,
    begun: Monotonic,
}

impl QueryTurn {
    /// Whether the slice is used up and other tasks should run.
    #[must_use]
    pub fn is_over(&self) -> bool {
        time::now().since(self.begun) >= SLICE
    }

    /// Ends this turn and waits for the next.
    pub async fn next(&mut self) {
        self.permit = None;
        *self = self.turns.clone().begin().await;
    }
}

#[cfg(test)]
mod tests;
