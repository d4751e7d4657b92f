//! Synchronization between tasks of one core: [`Notify`], [`Semaphore`], [`Gate`].
//!
//! All are handles to shared state, so cloning is cheap. None may leave its core. Waiters are
//! served in order of arrival.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Tells waiting tasks that something may have changed.
///
/// Call [`Notify::notified`] *before* checking the condition, then check, then await. Then a
/// notification between the check and the await is not lost.
#[derive(Clone, Default)]
pub struct Notify {
    state: Rc<RefCell<NotifyState>>,
}

#[derive(Default)]
struct NotifyState {
    /// Number of notifications so far.
    round: u64,
    next: u64,
    waiting: BTreeMap<u64, Waker>,
}

impl Notify {
    /// A notifier that nobody waits for.
    pub fn new() -> Self {
        Notify::default()
    }

    /// Wakes everyone whose [`Notified`] was made before this call.
    pub fn notify_waiters(&self) {
        let woken = {
            let mut state = self.state.borrow_mut();
            state.round += 1;
            std::mem::take(&mut state.waiting)
        };
        woken.into_values().for_each(Waker::wake);
    }

    /// Resolves at the first notification after this call (not after the first poll).
    pub fn notified(&self) -> Notified {
        let round = self.state.borrow().round;
        Notified { state: Rc::clone(&self.state), round, ticket: None }
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").field("waiting", &self.state.borrow().waiting.len()).finish()
    }
}

/// A wait for the next notification.
#[must_use = "a wait does nothing until it is awaited"]
pub struct Notified {
    state: Rc<RefCell<NotifyState>>,
    round: u64,
    ticket: Option<u64>,
}

impl Future for Notified {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.state.borrow_mut();
        if state.round != this.round {
            this.ticket = None;
            return Poll::Ready(());
        }
        let next = &mut state.next;
        let ticket = *this.ticket.get_or_insert_with(|| take_ticket(next));
        state.waiting.insert(ticket, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Notified {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.state.borrow_mut().waiting.remove(&ticket);
        }
    }
}

impl fmt::Debug for Notified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notified")
    }
}

fn take_ticket(next: &mut u64) -> u64 {
    let ticket = *next;
    *next += 1;
    ticket
}

/// A number of permits, to bound how many tasks do something at once or how many bytes are in
/// flight.
#[derive(Clone)]
pub struct Semaphore {
    state: Rc<RefCell<SemaphoreState>>,
}

struct SemaphoreState {
    total: usize,
    available: usize,
    next: u64,
    /// Waiting tasks in order of arrival. The one that has waited longest is woken.
    waiting: BTreeMap<u64, Waker>,
}

impl SemaphoreState {
    fn wake_first(&self) {
        if let Some(waker) = self.waiting.values().next() {
            waker.wake_by_ref();
        }
    }
}

impl Semaphore {
    /// A semaphore of `total` permits.
    pub fn new(total: usize) -> Self {
        let waiting = BTreeMap::new();
        let state = SemaphoreState { total, available: total, next: 0, waiting };
        Semaphore { state: Rc::new(RefCell::new(state)) }
    }

    /// The number of free permits.
    pub fn available(&self) -> usize {
        self.state.borrow().available
    }

    /// The number of tasks that wait for permits.
    pub fn waiting(&self) -> usize {
        self.state.borrow().waiting.len()
    }

    /// Waits for `count` permits. A count above the total takes all of them, so that an oversized
    /// request still gets through, alone.
    pub async fn acquire(&self, count: usize) -> Permit {
        let mut wait = Waiting { state: &self.state, ticket: None };
        poll_fn(|cx| {
            let taken = wait.take(count);
            if taken.is_none() {
                wait.queue(cx);
            }
            taken.map_or(Poll::Pending, |count| {
                Poll::Ready(Permit { state: Rc::clone(&self.state), count })
            })
        })
        .await
    }

    /// Takes `count` permits if they are free and nobody waits.
    pub fn try_acquire(&self, count: usize) -> Option<Permit> {
        let count = Waiting { state: &self.state, ticket: None }.take(count)?;
        Some(Permit { state: Rc::clone(&self.state), count })
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("Semaphore")
            .field("total", &state.total)
            .field("available", &state.available)
            .finish()
    }
}

/// A place in the queue of a semaphore; given up when dropped.
struct Waiting<'a> {
    state: &'a RefCell<SemaphoreState>,
    ticket: Option<u64>,
}

impl Waiting<'_> {
    /// Takes the permits if it is the first in the queue.
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut state = self.state.borrow_mut();
        let count = count.min(state.total);
        let first = state.waiting.keys().next().copied();
        if first.is_some_and(|first| self.ticket != Some(first)) || count > state.available {
            return None;
        }
        state.available -= count;
        if let Some(ticket) = self.ticket.take() {
            state.waiting.remove(&ticket);
            // The remaining permits may be enough for the next task.
            state.wake_first();
        }
        Some(count)
    }

    fn queue(&mut self, cx: &Context<'_>) {
        let mut state = self.state.borrow_mut();
        let next = &mut state.next;
        let ticket = *self.ticket.get_or_insert_with(|| take_ticket(next));
        state.waiting.insert(ticket, cx.waker().clone());
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut state = self.state.borrow_mut();
            state.waiting.remove(&ticket);
            // It may have been woken and leaves without taking permits, so the next task is woken
            // instead.
            state.wake_first();
        }
    }
}

/// Permits of a [`Semaphore`]; returned when dropped.
#[must_use = "a permit that is dropped at once guards nothing"]
pub struct Permit {
    state: Rc<RefCell<SemaphoreState>>,
    count: usize,
}

impl Permit {
    /// How many permits this holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns all permits but `keep`, if fewer were needed than expected.
    pub fn shrink(&mut self, keep: usize) {
        let back = self.count.saturating_sub(keep);
        self.count -= back;
        give_back(&self.state, back);
    }
}

fn give_back(state: &RefCell<SemaphoreState>, count: usize) {
    let mut state = state.borrow_mut();
    state.available += count;
    state.wake_first();
}

impl Drop for Permit {
    fn drop(&mut self) {
        give_back(&self.state, self.count);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("count", &self.count).finish()
    }
}

/// An orderly stop. Tasks enter while the gate is open. After [`Gate::close`] nobody enters, tasks
/// inside see [`Gate::closed`], and [`Gate::drained`] resolves when the last one has left.
#[derive(Clone, Default)]
pub struct Gate {
    state: Rc<RefCell<GateState>>,
    changed: Notify,
}

#[derive(Default)]
struct GateState {
    closed: bool,
    inside: usize,
}

impl Gate {
    /// An open gate with no task inside.
    pub fn new() -> Self {
        Gate::default()
    }

    /// Enters, unless the gate is closed. Keep the pass as long as the work lasts.
    pub fn enter(&self) -> Option<Pass> {
        let mut state = self.state.borrow_mut();
        if state.closed {
            return None;
        }
        state.inside += 1;
        Some(Pass { gate: self.clone() })
    }

    /// The number of tasks inside.
    pub fn inside(&self) -> usize {
        self.state.borrow().inside
    }

    /// Closes the gate: nobody can enter any more.
    pub fn close(&self) {
        self.state.borrow_mut().closed = true;
        self.changed.notify_waiters();
    }

    /// Whether the gate is closed.
    pub fn is_closed(&self) -> bool {
        self.state.borrow().closed
    }

    /// Resolves when the gate is closed.
    pub async fn closed(&self) {
        self.until(|state| state.closed).await;
    }

    /// Resolves when the gate is closed and nobody is inside.
    pub async fn drained(&self) {
        self.until(|state| state.closed && state.inside == 0).await;
    }

    async fn until(&self, holds: impl Fn(&GateState) -> bool) {
        loop {
            let changed = self.changed.notified();
            if holds(&self.state.borrow()) {
                return;
            }
            changed.await;
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.borrow();
        let mut out = f.debug_struct("Gate");
        out.field("closed", &state.closed).field("inside", &state.inside).finish()
    }
}

/// Proof that a task is inside a [`Gate`]; the task leaves when it is dropped.
#[must_use = "a pass that is dropped at once has left already"]
pub struct Pass {
    gate: Gate,
}

impl Pass {
    /// The gate of this pass, to watch for its closing.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let drained = {
            let mut state = self.gate.state.borrow_mut();
            state.inside -= 1;
            state.closed && state.inside == 0
        };
        if drained {
            self.gate.changed.notify_waiters();
        }
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass")
    }
}
