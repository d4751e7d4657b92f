//! The simulated backend: a whole world in one thread, generated from a seed.
//!
//! Inside [`World::enter`] everything in this crate is simulated. Tasks of all cores run in an
//! order that the seed gives, the clock moves only with them, files and sockets are in memory.
//! [`World::crash`] ends the node like `kill -9` or a power cut; after a power cut the disk holds a
//! legal subset of what was not synced. The same seed gives exactly the same run: [`World::trace`]
//! is a hash over every step and is equal for both.
//!
//! What is outside of the node (clients, and the code that crashes it) runs in tasks of
//! [`World::spawn`] and survives it. Not simulated: [`crate::idle`], [`crate::net::UdpSocket`] and
//! name resolution.

mod disk;
mod executor;
mod file;
mod fs;
mod net;
mod rng;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Once;
use std::task::{Poll, Waker};
use std::time::Duration;

use executor::{Executor, Place};

use crate::CoreId;
pub(crate) use disk::Disk;
pub(crate) use file::SimFile;
pub(crate) use fs::SimLock;
pub(crate) use net::{Net, SimListener, SimReservation, SimStream};
pub use rng::Rng;

/// Wall time at the beginning of every world: 2026-01-01 in nanoseconds.
pub const EPOCH_NS: i64 = 1_767_225_600 * 1_000_000_000;
/// Most polls in one world. A run with more is stuck.
pub const POLLS_MAX: u64 = 20_000_000;

/// How the node is crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// `kill -9`: what was written stays, synced or not.
    Process,
    /// A power cut: a legal subset of what was not synced stays.
    Power,
}

/// How the last run of the node ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It returned by itself.
    Returned,
    /// It was crashed on request.
    Crashed(Crash),
    /// A task panicked, which ends the process.
    Panicked(String),
}

/// How often operations fail, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A read fails with EIO.
    pub read: u32,
    /// A write, an allocation or a change of a directory fails with EIO.
    pub write: u32,
    /// A write or an allocation fails with ENOSPC.
    pub full: u32,
    /// A sync fails with EIO, and what it should have made durable never will be.
    pub sync: u32,
    /// A read or a write does less than it was asked to, without an error.
    pub short: u32,
}

/// Whether the file system supports direct writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direct {
    /// It supports them.
    #[default]
    Taken,
    /// It refuses to open a file for them.
    NotOpened,
    /// It opens a file for them but refuses each write.
    NotWritten,
}

/// A simulated world; see the module.
pub struct World {
    seed: u64,
    rng: RefCell<Rng>,
    now: Cell<u64>,
    polls: Cell<u64>,
    trace: Cell<u64>,
    executor: Executor,
    disk: RefCell<Disk>,
    net: RefCell<Net>,
    faults: Cell<Faults>,
    direct: Cell<Direct>,
    injected: Cell<u64>,
    crash: Cell<Option<Crash>>,
    end: RefCell<End>,
    signals: RefCell<BTreeMap<u64, Waker>>,
    signalled: Cell<bool>,
    next: Cell<u64>,
    armed: RefCell<BTreeMap<String, Vec<u8>>>,
}

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The world of this thread, if it is in one.
pub(crate) fn current() -> Option<Rc<World>> {
    WORLD.try_with(|world| world.try_borrow().ok()?.clone()).ok().flatten()
}

/// The panic payload of [`crate::runtime::run_cores`] when the node crashed or panicked.
#[derive(Debug)]
pub struct NodeEnded;

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("seed", &self.seed).field("now", &self.now.get()).finish()
    }
}

impl World {
    /// The world of `seed`, with an empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Rc<World> {
        Rc::new(World {
            seed,
            rng: RefCell::new(Rng::new(seed)),
            now: Cell::new(1),
            polls: Cell::new(0),
            trace: Cell::new(0),
            executor: Executor::default(),
            disk: RefCell::new(Disk::new()),
            net: RefCell::new(Net::default()),
            faults: Cell::default(),
            direct: Cell::default(),
            injected: Cell::new(0),
            crash: Cell::new(None),
            end: RefCell::new(End::Returned),
            signals: RefCell::default(),
            signalled: Cell::new(false),
            next: Cell::new(0),
            armed: RefCell::default(),
        })
    }

    /// Runs `inside` with this thread in the world.
    pub fn enter<T>(self: &Rc<Self>, inside: impl FnOnce() -> T) -> T {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                let world = WORLD.with_borrow_mut(Option::take);
                // Tasks and world refer to each other, so the tasks are dropped explicitly.
                if let Some(world) = world {
                    WORLD.with_borrow_mut(|slot| *slot = Some(Rc::clone(&world)));
                    world.executor.end_node();
                    world.executor.end_outside();
                    WORLD.with_borrow_mut(Option::take);
                }
            }
        }
        quiet_panics();
        crate::task::reset_spent();
        WORLD.with_borrow_mut(|slot| *slot = Some(Rc::clone(self)));
        let _leave = Leave;
        inside()
    }

    /// Starts a task outside of the node. It runs while the node does, and in [`World::run`].
    pub fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        self.executor.spawn(Place::Outside, Box::pin(work));
    }

    /// Runs the tasks outside of the node while `while_true` holds.
    pub fn run(&self, while_true: impl Fn() -> bool) {
        while while_true() {
            self.step();
        }
    }

    /// Ends the node before its next step. Called from a task of [`World::spawn`].
    pub fn crash(&self, how: Crash) {
        self.crash.set(Some(how));
    }

    /// Sends the node the signal that asks it to stop.
    pub fn terminate(&self) {
        self.signalled.set(true);
        let waiting = std::mem::take(&mut *self.signals.borrow_mut());
        waiting.into_values().for_each(Waker::wake);
    }

    /// From now on the node panics at [`crate::failpoint`] `name` whenever `bytes` are in what it
    /// works on there; nothing in `bytes` is in everything.
    pub fn arm(&self, name: &str, bytes: &[u8]) {
        self.armed.borrow_mut().insert(name.to_owned(), bytes.to_vec());
    }

    /// Undoes [`World::arm`].
    pub fn disarm(&self, name: &str) {
        self.armed.borrow_mut().remove(name);
    }

    pub(crate) fn is_armed(&self, name: &str, what: &[u8]) -> bool {
        let armed = self.armed.borrow();
        let Some(bytes) = armed.get(name).filter(|_| self.core().is_some()) else { return false };
        bytes.is_empty() || what.windows(bytes.len()).any(|window| window == bytes)
    }

    /// How the last run of the node ended.
    pub fn end(&self) -> End {
        self.end.borrow().clone()
    }

    /// Sets how often operations fail from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.faults.set(faults);
    }

    /// Sets whether the file system supports direct writes.
    pub fn set_direct(&self, direct: Direct) {
        self.direct.set(direct);
    }

    pub(crate) fn refuses_direct_at_open(&self) -> bool {
        self.direct.get() == Direct::NotOpened
    }

    pub(crate) fn refuses_direct(&self) -> bool {
        self.direct.get() != Direct::Taken
    }

    /// The number of errors injected so far.
    pub fn injected(&self) -> u64 {
        self.injected.get()
    }

    /// A hash over every step so far.
    pub fn trace(&self) -> u64 {
        self.trace.get()
    }

    /// The number of polls so far.
    pub fn polls(&self) -> u64 {
        self.polls.get()
    }

    pub(crate) fn core(&self) -> Option<CoreId> {
        self.executor.core()
    }

    pub(crate) fn now(&self) -> u64 {
        self.now.get()
    }

    pub(crate) fn wall_ns(&self) -> i64 {
        EPOCH_NS.saturating_add_unsigned(self.now.get())
    }

    pub(crate) fn with_rng<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.rng.borrow_mut())
    }

    pub(crate) fn disk(&self) -> &RefCell<Disk> {
        &self.disk
    }

    pub(crate) fn net(&self) -> &RefCell<Net> {
        &self.net
    }

    /// A unique number.
    pub(crate) fn number(&self) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        number
    }

    /// Adds to the trace.
    pub(crate) fn note(&self, what: u64) {
        let mixed = (self.trace.get().rotate_left(5) ^ what).wrapping_mul(0x517c_c1b7_2722_0a95);
        self.trace.set(mixed);
    }

    /// Decides whether an operation fails.
    pub(crate) fn fails(&self, per_mille: impl Fn(&Faults) -> u32) -> bool {
        let per_mille = per_mille(&self.faults.get());
        // Only the node's operations fail. A client's failure would show nothing.
        let fails =
            per_mille > 0 && self.core().is_some() && self.with_rng(|r| r.chance(per_mille));
        if fails {
            self.injected.set(self.injected.get() + 1);
        }
        fails
    }

    /// How much of `len` an operation does: all, unless [`Faults::short`] makes it short.
    pub(crate) fn portion(&self, len: usize) -> usize {
        let per_mille = self.faults.get().short;
        self.with_rng(
            |rng| {
                if len > 1 && rng.chance(per_mille) { 1 + rng.index(len - 1) } else { len }
            },
        )
    }

    pub(crate) fn start(&self, work: Pin<Box<dyn Future<Output = ()>>>) {
        self.executor.spawn(self.executor.here(), work);
    }

    /// Lets `span` pass while nothing runs: the node does not run yet and blocks its only thread.
    pub(crate) fn pass(&self, span: Duration) {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.now.set(self.now.get().saturating_add(span));
        self.executor.fire(self.now.get());
    }

    /// Waits until the clock shows `when`.
    pub(crate) async fn sleep_until(self: Rc<Self>, when: u64) {
        let mut timer = Timer { world: self, key: None };
        poll_fn(|cx| {
            timer.unset();
            if timer.world.now.get() >= when {
                return Poll::Ready(());
            }
            timer.key = Some(timer.world.executor.set_timer(when, cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Lets an operation take between `low` and `high` nanoseconds.
    pub(crate) async fn take(self: &Rc<Self>, low: u64, high: u64) {
        let span = self.with_rng(|r| r.between(low, high));
        Rc::clone(self).sleep_until(self.now.get() + span).await;
    }

    /// Resolves when the node is asked to stop.
    pub(crate) async fn terminated(self: Rc<Self>) {
        let number = self.number();
        poll_fn(|cx| {
            if self.signalled.get() {
                return Poll::Ready(());
            }
            self.signals.borrow_mut().insert(number, cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Polls one task, or moves the clock to the next timer.
    fn step(&self) {
        let chosen = self.executor.choose(&mut self.rng.borrow_mut());
        let Some(id) = chosen else {
            let next = self.executor.next_timer();
            let next = next.unwrap_or_else(|| {
                panic!("all {} tasks wait and no timer runs", self.executor.tasks())
            });
            self.now.set(self.now.get().max(next));
            return self.executor.fire(self.now.get());
        };
        self.polls.set(self.polls.get() + 1);
        assert!(self.polls.get() < POLLS_MAX, "the run does not end: {POLLS_MAX} polls");
        self.note(id);
        self.executor.poll(id);
        let took = self.with_rng(|r| r.between(200, 20_000));
        self.now.set(self.now.get() + took);
        self.executor.fire(self.now.get());
    }

    /// [`crate::runtime::run_cores`] of this world.
    pub(crate) fn run_cores<F>(self: &Rc<Self>, cores: usize, body: &F)
    where
        F: Fn(CoreId) -> Pin<Box<dyn Future<Output = ()>>>,
    {
        let left = Rc::new(Cell::new(cores));
        self.crash.set(None);
        self.signalled.set(false);
        for core in (0..=u16::MAX).map(CoreId).take(cores) {
            let running = body(core);
            let left = Rc::clone(&left);
            let root = async move {
                running.await;
                left.set(left.get() - 1);
            };
            self.executor.spawn(Place::Core(core), Box::pin(root));
        }
        let end = loop {
            if left.get() == 0 {
                break End::Returned;
            }
            if let Some(how) = self.crash.take() {
                break End::Crashed(how);
            }
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.step())) {
                if !matches!(self.executor.leave(), Some(Place::Core(_))) {
                    // A panic of a client is a failed test, not an end of the node.
                    self.take_down();
                    resume_unwind(payload);
                }
                let text = PANIC.with_borrow_mut(Option::take).unwrap_or_default();
                break End::Panicked(text);
            }
        };
        self.take_down();
        if end == End::Crashed(Crash::Power) {
            let mut rng = self.rng.borrow_mut();
            self.disk.borrow_mut().cut(&mut rng);
        }
        let returned = end == End::Returned;
        *self.end.borrow_mut() = end;
        if !returned {
            resume_unwind(Box::new(NodeEnded));
        }
    }

    /// Does what the end of a process does: tasks, connections, listeners and locks go away.
    fn take_down(&self) {
        self.executor.end_node();
        Net::reset(self);
        self.disk.borrow_mut().unlock_all();
    }
}

struct Timer {
    world: Rc<World>,
    key: Option<(u64, u64)>,
}

impl Timer {
    fn unset(&mut self) {
        if let Some(key) = self.key.take() {
            self.world.executor.unset_timer(key);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.unset();
    }
}

/// Records the text of a panic on a simulated core instead of printing it, since it is part of the
/// run.
fn quiet_panics() {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let on_core = current().is_some_and(|world| world.core().is_some());
            if !on_core {
                return before(info);
            }
            if crate::panics::note(info) == crate::panics::Scope::Caught {
                return;
            }
            let message = info.payload_as_str().unwrap_or("(no message)");
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            PANIC.with_borrow_mut(|slot| *slot = Some(format!("{message} ({place})")));
        }));
    });
}
