//! The third body of this crate: a world in one thread, made from a seed.
//!
//! Inside [`World::enter`] everything this crate offers is simulated: tasks of all cores take turns
//! in an order that the seed gives, clocks move only as they do, files and sockets live in memory.
//! [`World::crash`] ends the node as `kill -9` or a power cut would; after a cut the disk holds a
//! legal subset of what was not synced. The same seed gives the same run, to the byte:
//! [`World::trace`] is a hash over every step, and two runs of a seed have the same.
//!
//! What is outside the node (clients, whoever crashes it) runs as tasks of [`World::spawn`] and
//! survives it. Not simulated: [`crate::idle`], [`crate::net::UdpSocket`] and name resolution.

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

use executor::{Executor, Place};

use crate::CoreId;
pub(crate) use disk::Disk;
pub(crate) use file::SimFile;
pub(crate) use fs::SimLock;
pub(crate) use net::{Net, SimListener, SimReservation, SimStream};
pub use rng::Rng;

/// Wall time at the beginning of every world: 2026-01-01 in nanoseconds.
pub const EPOCH_NS: i64 = 1_767_225_600 * 1_000_000_000;
/// Polls of one world at most: a run that goes on beyond is stuck.
pub const POLLS_MAX: u64 = 20_000_000;

/// How the node ends against its will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// `kill -9`: what was written stays, synced or not.
    Process,
    /// A power cut: of what was not synced any legal subset stays.
    Power,
}

/// How the last run of the node ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Returned,
    /// As asked.
    Crashed(Crash),
    /// A task panicked, which ends the process.
    Panicked(String),
}

/// How likely an operation fails, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A read answers EIO.
    pub read: u32,
    /// A write, an allocation or a change of a directory answers EIO.
    pub write: u32,
    /// A write or an allocation answers ENOSPC.
    pub full: u32,
    /// A sync answers EIO, and what it should have made durable never will be.
    pub sync: u32,
    /// A read or a write does less than it was asked to, which is no error.
    pub short: u32,
}

/// Whether the file system takes direct writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direct {
    /// It does.
    #[default]
    Taken,
    /// It does not open a file for them.
    NotOpened,
    /// It opens a file for them and refuses each.
    NotWritten,
}

/// A world; see the module.
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

/// The world of this thread.
pub(crate) fn current() -> Option<Rc<World>> {
    WORLD.try_with(|world| world.try_borrow().ok()?.clone()).ok().flatten()
}

/// What [`crate::runtime::run_cores`] unwinds with when the node was crashed or panicked.
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
                // The tasks hold the world and the world holds the tasks.
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

    /// Starts a task outside the node. It runs while the node does, and in [`World::run`].
    pub fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        self.executor.spawn(Place::Outside, Box::pin(work));
    }

    /// Runs the tasks outside the node for as long as `while_true` says.
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

    /// Chooses how likely operations fail from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.faults.set(faults);
    }

    /// Chooses whether the file system takes direct writes.
    pub fn set_direct(&self, direct: Direct) {
        self.direct.set(direct);
    }

    pub(crate) fn refuses_direct_at_open(&self) -> bool {
        self.direct.get() == Direct::NotOpened
    }

    pub(crate) fn refuses_direct(&self) -> bool {
        self.direct.get() != Direct::Taken
    }

    /// Errors that operations were made to answer so far.
    pub fn injected(&self) -> u64 {
        self.injected.get()
    }

    /// A hash over every step so far.
    pub fn trace(&self) -> u64 {
        self.trace.get()
    }

    /// Polls so far.
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

    /// A number that was not given before.
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

    /// Decides whether an operation fails now.
    pub(crate) fn fails(&self, per_mille: impl Fn(&Faults) -> u32) -> bool {
        let per_mille = per_mille(&self.faults.get());
        // Only the node's own operations: a client's would say nothing.
        let fails =
            per_mille > 0 && self.core().is_some() && self.with_rng(|r| r.chance(per_mille));
        if fails {
            self.injected.set(self.injected.get() + 1);
        }
        fails
    }

    /// How much of `len` an operation does: all of it, unless [`Faults::short`] says otherwise.
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

    /// Lets an operation take from `low` to `high` nanoseconds.
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
                    // A client's panic is the verdict of a test, not an end of the node.
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

    /// What the end of a process does: its tasks, connections, listeners and locks are gone.
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

/// A panic on a core of a world is an event of the run, which keeps its text; it prints nothing.
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
