//! A channel for one answer, also between cores.
//!
//! [`ReplyTo`] travels inside a message. [`PendingReply`] stays with the asker and resolves to the
//! answer, or to [`Gone`] if `ReplyTo` was dropped without one. If the `PendingReply` is dropped,
//! the answer is discarded.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::Gone;

// The lock is taken twice for each answer and never held across other work. This is the simplest
// way that is correct between threads.
type Shared<T> = Arc<Mutex<Slot<T>>>;

enum Slot<T> {
    /// No answer yet; holds the asker's waker once it waits.
    Open(Option<Waker>),
    /// The answer, until the asker takes it.
    Full(T),
    /// The answering side is gone, or the answer was taken.
    Closed,
}

fn lock<T>(shared: &Shared<T>) -> MutexGuard<'_, Slot<T>> {
    // Nothing panics while the lock is held, so a poisoned slot is still valid.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Creates both ends.
pub fn oneshot<T: Send>() -> (ReplyTo<T>, PendingReply<T>) {
    let shared = Arc::new(Mutex::new(Slot::Open(None)));
    (ReplyTo { shared: Some(Arc::clone(&shared)) }, PendingReply { shared })
}

/// The end that answers.
pub struct ReplyTo<T> {
    // `send` takes it, so that drop has nothing left to do.
    shared: Option<Shared<T>>,
}

impl<T> ReplyTo<T> {
    /// Sends the answer. The asker wakes on its own core.
    pub fn send(mut self, value: T) {
        if let Some(shared) = self.shared.take() {
            settle(&shared, Slot::Full(value));
        }
    }

    /// Whether the asker has stopped waiting, so that work for it can be skipped.
    pub fn is_abandoned(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| Arc::strong_count(shared) == 1)
    }
}

impl<T> Drop for ReplyTo<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            settle(&shared, Slot::Closed);
        }
    }
}

impl<T> std::fmt::Debug for ReplyTo<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReplyTo")
    }
}

fn settle<T>(shared: &Shared<T>, with: Slot<T>) {
    let before = std::mem::replace(&mut *lock(shared), with);
    if let Slot::Open(Some(waker)) = before {
        waker.wake();
    }
}

/// The end that waits.
#[must_use = "a reply does nothing until it is awaited"]
pub struct PendingReply<T> {
    shared: Shared<T>,
}

impl<T> PendingReply<T> {
    /// The answer if it is there; `Ok(None)` if it is still to come. Does not wait.
    ///
    /// # Errors
    /// [`Gone`] if no answer will come, or if it was taken before.
    pub fn try_take(&mut self) -> Result<Option<T>, Gone> {
        let mut slot = lock(&self.shared);
        if let Slot::Open(_) = *slot {
            return Ok(None);
        }
        match std::mem::replace(&mut *slot, Slot::Closed) {
            Slot::Full(value) => Ok(Some(value)),
            Slot::Open(_) | Slot::Closed => Err(Gone),
        }
    }
}

impl<T> Future for PendingReply<T> {
    type Output = Result<T, Gone>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = lock(&self.shared);
        if let Slot::Open(waker) = &mut *slot {
            if !waker.as_ref().is_some_and(|old| old.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        match std::mem::replace(&mut *slot, Slot::Closed) {
            Slot::Full(value) => Poll::Ready(Ok(value)),
            Slot::Open(_) | Slot::Closed => Poll::Ready(Err(Gone)),
        }
    }
}

impl<T> std::fmt::Debug for PendingReply<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PendingReply")
    }
}
