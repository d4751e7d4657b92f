//! Tasks and timers of a world: one thread polls the tasks of all cores, in an order that the seed
//! gives.
//!
//! A task belongs to a core of the node or to the outside (clients, and the code that controls the
//! run). Each poll takes a little simulated time. If no task is ready, the clock jumps to the next
//! timer.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::rng::Rng;
use crate::CoreId;

/// What a task belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A core of the node; its tasks end with the node.
    Core(CoreId),
    /// Clients and the code that controls the run.
    Outside,
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    place: Place,
    /// `None` while it is being polled.
    work: Option<Work>,
    ticket: Arc<Ticket>,
}

type Queue = Arc<Mutex<VecDeque<u64>>>;

/// The state behind a waker: queues its task at most once.
struct Ticket {
    id: u64,
    is_queued: AtomicBool,
    queue: Queue,
}

impl Wake for Ticket {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::Relaxed) {
            push(&self.queue, self.id);
        }
    }
}

fn push(queue: &Queue, id: u64) {
    queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(id);
}

/// The seed chooses among the first ready tasks only, so that no task starves.
const CHOICES_MAX: usize = 8;

#[derive(Default)]
pub(super) struct Executor {
    tasks: RefCell<BTreeMap<u64, Task>>,
    next: Cell<u64>,
    ready: Queue,
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
    timer_next: Cell<u64>,
    current: Cell<Option<Place>>,
    /// The node is being ended, so tasks that its destructors start are discarded.
    is_ending: Cell<bool>,
}

impl Executor {
    /// The core whose task is being polled.
    pub(super) fn core(&self) -> Option<CoreId> {
        match self.current.get() {
            Some(Place::Core(core)) => Some(core),
            _ => None,
        }
    }

    /// Where a new task belongs by default: where the task that starts it does.
    pub(super) fn here(&self) -> Place {
        self.current.get().unwrap_or(Place::Outside)
    }

    pub(super) fn spawn(&self, place: Place, work: Work) {
        if self.is_ending.get() {
            return;
        }
        let id = self.next.get();
        self.next.set(id + 1);
        let queue = Arc::clone(&self.ready);
        let ticket = Arc::new(Ticket { id, is_queued: AtomicBool::new(true), queue });
        self.tasks.borrow_mut().insert(id, Task { place, work: Some(work), ticket });
        push(&self.ready, id);
    }

    /// Takes a ready task, if there is one.
    pub(super) fn choose(&self, rng: &mut Rng) -> Option<u64> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let among = ready.len().min(CHOICES_MAX);
        ready.remove(rng.index(among))
    }

    /// Polls a task. Returns where it belongs, if it still exists. A panic passes through.
    pub(super) fn poll(&self, id: u64) -> Option<Place> {
        let (place, mut work, ticket) = {
            let mut tasks = self.tasks.borrow_mut();
            let task = tasks.get_mut(&id)?;
            (task.place, task.work.take()?, Arc::clone(&task.ticket))
        };
        ticket.is_queued.store(false, Ordering::Relaxed);
        let waker = Waker::from(ticket);
        self.current.set(Some(place));
        // After a panic the task stays without its future, and its place is still known.
        let polled = work.as_mut().poll(&mut Context::from_waker(&waker));
        match polled {
            Poll::Pending => {
                if let Some(task) = self.tasks.borrow_mut().get_mut(&id) {
                    task.work = Some(work);
                }
            }
            Poll::Ready(()) => {
                // Dropped while its core is still the current one.
                drop(work);
                self.tasks.borrow_mut().remove(&id);
            }
        }
        self.current.set(None);
        Some(place)
    }

    /// Where the poll that panicked belonged.
    pub(super) fn leave(&self) -> Option<Place> {
        self.current.take()
    }

    /// Drops all tasks of the node, as its end would.
    pub(super) fn end_node(&self) {
        self.is_ending.set(true);
        let ids: Vec<u64> = {
            let tasks = self.tasks.borrow();
            let of_node = tasks.iter().filter(|(_, task)| task.place != Place::Outside);
            of_node.map(|(id, _)| *id).collect()
        };
        for id in ids {
            let task = self.tasks.borrow_mut().remove(&id);
            drop(task);
        }
        self.is_ending.set(false);
    }

    /// Drops the tasks outside of the node, at the end of the world.
    pub(super) fn end_outside(&self) {
        self.is_ending.set(true);
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        drop(tasks);
        self.timers.borrow_mut().clear();
        self.is_ending.set(false);
    }

    pub(super) fn tasks(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// Wakes `waker` at `when`; the key cancels it.
    pub(super) fn set_timer(&self, when: u64, waker: Waker) -> (u64, u64) {
        let key = (when, self.timer_next.get());
        self.timer_next.set(key.1 + 1);
        self.timers.borrow_mut().insert(key, waker);
        key
    }

    pub(super) fn unset_timer(&self, key: (u64, u64)) {
        let waker = self.timers.borrow_mut().remove(&key);
        drop(waker);
    }

    /// The time of the next timer.
    pub(super) fn next_timer(&self) -> Option<u64> {
        self.timers.borrow().keys().next().map(|(when, _)| *when)
    }

    /// Fires the timers that are due.
    pub(super) fn fire(&self, now: u64) {
        loop {
            let due = {
                let mut timers = self.timers.borrow_mut();
                match timers.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove(),
                    _ => return,
                }
            };
            due.wake();
        }
    }
}
