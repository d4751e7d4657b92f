//! The clock and timers of a core.

#[cfg(test)]
mod tests;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

/// Nanoseconds on a clock that never goes back, counted from its first use. Comparable between the
/// cores of one process, meaningless outside of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// The time `span` after this one; the last possible time if that is too late.
    pub fn plus(self, span: Duration) -> Monotonic {
        Monotonic(self.0.saturating_add(nanos(span)))
    }

    /// The time from `earlier` to this; zero if `earlier` is later.
    pub fn since(self, earlier: Monotonic) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// The time from which [`Monotonic`] counts, the same for all threads.
#[expect(clippy::disallowed_methods, reason = "the facade's own look at the clock")]
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

/// The current time.
pub fn now() -> Monotonic {
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        return Monotonic(world.now());
    }
    Monotonic(nanos(origin().elapsed()))
}

/// Nanoseconds since 1970 on the wall clock, which people and NTP adjust. Saturates.
#[expect(clippy::disallowed_methods, reason = "the facade's own look at the clock")]
pub fn wall_ns() -> i64 {
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        return world.wall_ns();
    }
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, i64::wrapping_neg)
        }
    }
}

/// Waits for `span`, counted from the first poll.
pub async fn sleep(span: Duration) {
    sleep_until(now().plus(span)).await;
}

/// Longest single timer; later deadlines take several.
const TIMER_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Waits until `deadline`; returns at once if it has passed.
pub async fn sleep_until(deadline: Monotonic) {
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        return world.sleep_until(deadline.0).await;
    }
    loop {
        let left = deadline.since(now());
        if left.is_zero() {
            return;
        }
        // An Instant cannot hold every deadline a Monotonic can.
        compio::time::sleep(left.min(TIMER_MAX)).await;
    }
}

/// The time given to a future is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the time allowed is over")
    }
}

impl std::error::Error for Elapsed {}

/// Runs `future` for at most `span`.
///
/// A future that runs out of time is dropped. That is fine for a socket read or write if the
/// connection is closed next (the buffer does not come back, and a read may have taken bytes from
/// the stream), for an inbox, a reply, a permit or a timer. **Never** use it for a file write, an
/// allocation or a sync: they may still happen after the drop, and nobody would know the outcome.
/// Let one task own those.
///
/// # Errors
/// [`Elapsed`]. A future that is ready when the time is over still wins.
pub async fn timeout<F: Future>(span: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut timer = pin!(sleep(span));
    poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(value));
        }
        timer.as_mut().poll(cx).map(|()| Err(Elapsed))
    })
    .await
}
