//! State of a core's thread: its number, its driver, its tasks.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use crate::CoreId;
use crate::driver::Driver;

thread_local! {
    static CORE: Cell<Option<CoreId>> = const { Cell::new(None) };
    static DRIVER: Cell<Driver> = const { Cell::new(Driver::Epoll) };
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static TASKS_MAX: Cell<usize> = const { Cell::new(usize::MAX) };
    static PANICKED: Cell<bool> = const { Cell::new(false) };
    static ROOT: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// Marks the thread as one of the node's cores.
pub(super) fn become_core(core: CoreId) {
    CORE.set(Some(core));
}

/// The core of this thread; `None` if it is not a core.
pub(super) fn current() -> Option<CoreId> {
    // While a thread ends, its locals may be gone already.
    CORE.try_with(Cell::get).unwrap_or(None)
}

/// Records the options of the thread's runtime.
pub(super) fn note_runtime(driver: Driver, tasks_max: usize) {
    DRIVER.set(driver);
    TASKS_MAX.set(tasks_max);
    PANICKED.set(false);
}

/// The driver of this thread's runtime.
pub(crate) fn driver() -> Driver {
    DRIVER.get()
}

/// The number of live tasks on this thread.
pub(crate) fn live_tasks() -> usize {
    LIVE.get()
}

/// Registers the waker of the root future, to wake it when a task panics.
pub(super) fn watch_panics(root: &Waker) {
    ROOT.with_borrow_mut(|slot| {
        if !slot.as_ref().is_some_and(|old| old.will_wake(root)) {
            *slot = Some(root.clone());
        }
    });
}

/// Whether a task of this thread has panicked since its runtime was built.
pub(super) fn panicked() -> bool {
    PANICKED.get()
}

/// One live task.
pub(crate) struct Live(());

impl Live {
    pub(crate) fn enter() -> Self {
        LIVE.set(LIVE.get() + 1);
        Live(())
    }

    /// Counts a task; the bound as an error if it is reached.
    pub(crate) fn try_enter() -> Result<Self, usize> {
        let max = TASKS_MAX.get();
        if LIVE.get() >= max { Err(max) } else { Ok(Live::enter()) }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
        if std::thread::panicking() {
            PANICKED.set(true);
            let root = ROOT.with_borrow_mut(Option::take);
            root.into_iter().for_each(Waker::wake);
        }
    }
}
