//! Waiting for what a process that has just ended still holds: addresses, the data directory.
//!
//! The kernel takes a ring of io_uring down some milliseconds after its process has ended, and the
//! sockets that the ring was working on with it; a process that is killed while it holds gigabytes
//! keeps its locks until they are given back. So a start that follows at once finds things taken
//! that nobody owns any more, and tries again for a while.

use std::time::Duration;

use crate::blocking;
use crate::error::IoError;
use crate::time::{Monotonic, now};

#[cfg(test)]
mod tests;

/// How long a start waits, for everything together that others hold.
pub const HELD_WAIT_MAX: Duration = Duration::from_secs(5);
/// Time between two tries.
const TRY_EVERY: Duration = Duration::from_millis(5);

/// What is left of the time that a start waits.
#[derive(Debug)]
pub struct Patience {
    begun: Monotonic,
    most: Duration,
    /// The log says once that the start waits, whatever it waits for.
    is_told: bool,
}

impl Patience {
    /// From now on `most` may pass.
    pub fn new(most: Duration) -> Patience {
        Patience { begun: now(), most, is_told: false }
    }

    /// Does `take` until nobody else holds what it wants. Blocks: not for a core.
    ///
    /// # Errors
    /// `StillHeld` if somebody else holds it for longer; every other error of `take` at once.
    pub fn until_free<T>(
        &mut self,
        mut take: impl FnMut() -> Result<T, IoError>,
    ) -> Result<T, IoError> {
        loop {
            let held = match take() {
                Err(error) if error.is_held() => error,
                taken => return taken,
            };
            let waited = now().since(self.begun);
            let left = self.most.saturating_sub(waited);
            if left.is_zero() {
                return Err(IoError::StillHeld { held: Box::new(held), waited });
            }
            if !std::mem::replace(&mut self.is_told, true) {
                let most = self.most;
                tracing::info!(
                    "{held}: trying again for {most:?}, since the kernel may hold it for a process \
                     that has just ended"
                );
            }
            blocking::sleep(TRY_EVERY.min(left));
        }
    }
}
