//! Tasks of one core: start them, join them, yield, and race two futures.
//!
//! A task stays on the core that spawned it and need not be `Send`. A panic in a task is never
//! ignored: on a core of the node it ends the process (see [`crate::runtime::run_cores`]); under
//! [`crate::runtime::run_here`] it ends that call.

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::runtime::core;
use crate::time::{self, Monotonic};

/// Starts a task that runs by itself. If the node must wait for it before it stops, use a
/// [`crate::Gate`].
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    start(core::Live::enter(), future);
}

/// No task was started, because the core has as many as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyTasks {
    /// The bound: `tasks_max` of the runtime's options.
    pub max: usize,
}

impl fmt::Display for TooManyTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this core already runs the {} tasks it may (tasks_max)", self.max)
    }
}

impl std::error::Error for TooManyTasks {}

/// Starts a task unless the core already runs `tasks_max`. For tasks that clients cause:
/// connections and requests.
///
/// # Errors
/// [`TooManyTasks`]; the future is dropped.
pub fn try_spawn(future: impl Future<Output = ()> + 'static) -> Result<(), TooManyTasks> {
    let live = core::Live::try_enter().map_err(|max| TooManyTasks { max })?;
    start(live, future);
    Ok(())
}

fn start(live: core::Live, future: impl Future<Output = ()> + 'static) {
    let task = async move {
        // Counted until the future is gone, whether it ended, was dropped or panicked.
        let _live = live;
        future.await;
    };
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        return world.start(Box::pin(task));
    }
    compio::runtime::spawn(task).detach();
}

/// The number of live tasks on this core.
pub fn live_tasks() -> usize {
    core::live_tasks()
}

/// Starts a task and returns a handle for its result. The task runs whether or not the handle is
/// awaited or kept.
pub fn spawn_join<T: 'static>(future: impl Future<Output = T> + 'static) -> JoinHandle<T> {
    let slot = Rc::new(RefCell::new(JoinSlot { value: None, waker: None }));
    let theirs = Rc::clone(&slot);
    spawn(async move {
        let value = future.await;
        let mut slot = theirs.borrow_mut();
        slot.value = Some(value);
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    });
    JoinHandle { slot }
}

struct JoinSlot<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// Resolves to the result of a task. Dropping it does not stop the task.
pub struct JoinHandle<T> {
    slot: Rc<RefCell<JoinSlot<T>>>,
}

impl<T> JoinHandle<T> {
    /// Whether the task has ended and its result can be taken.
    pub fn is_finished(&self) -> bool {
        self.slot.borrow().value.is_some()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.slot.borrow_mut();
        match slot.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("finished", &self.is_finished()).finish()
    }
}

/// Shortest time between two polls of the driver that yields cause.
const POLL_INTERVAL_MIN: Duration = Duration::from_micros(200);

thread_local! {
    static LAST_POLL: Cell<Monotonic> = const { Cell::new(Monotonic(0)) };
}

/// Yields once: every ready task runs before this one continues, including those whose socket, file
/// or timer became ready. Long work should call it about every millisecond.
pub fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        #[cfg(feature = "sim")]
        if crate::sim::current().is_some() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // The executor polls the driver only after dozens of task polls, which take dozens of
        // milliseconds when several long tasks alternate. So the driver is polled here, but not for
        // every short slice.
        let now = time::now();
        if now.since(LAST_POLL.get()) >= POLL_INTERVAL_MIN {
            LAST_POLL.set(now);
            compio::runtime::Runtime::with_current(|rt| rt.poll_with(Some(Duration::ZERO)));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// A turn of the event loop that took less time than this had nothing to do.
const IDLE_TURN: Duration = Duration::from_micros(30);

/// Yields to other tasks, turn after turn with a poll of the driver each, until a turn had nothing
/// to do or `most` has passed. For work of low priority: a request needs several turns to get
/// through, and a single yield per slice would give it one.
pub async fn give_way(most: Duration) {
    let begun = time::now();
    let mut turn = begun;
    loop {
        LAST_POLL.set(Monotonic(0));
        yield_now().await;
        let now = time::now();
        if now.since(turn) < IDLE_TURN || now.since(begun) >= most {
            return;
        }
        turn = now;
    }
}

/// Socket operations in a row, on this core, before one yields.
const SOCKET_BUDGET: u32 = 128;

thread_local! {
    static SPENT: Cell<u32> = const { Cell::new(0) };
}

/// Resets the count of this thread, for the start of a simulated world.
#[cfg(feature = "sim")]
pub(crate) fn reset_spent() {
    SPENT.set(0);
}

/// Counts a finished socket operation and sometimes yields. With epoll an operation that is ready
/// at once does not wait, so a peer that always has more data could keep a task running for ever.
pub(crate) async fn spend() {
    let spent = SPENT.get() + 1;
    if spent < SOCKET_BUDGET {
        return SPENT.set(spent);
    }
    SPENT.set(0);
    yield_now().await;
}

/// The result of whichever future ended first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first.
    Left(A),
    /// The second.
    Right(B),
}

/// Runs two futures until one ends, and drops the other. The left one wins a tie. The warning of
/// [`crate::time::timeout`] about futures that must not be dropped applies here too.
pub async fn race<A: Future, B: Future>(left: A, right: B) -> Either<A::Output, B::Output> {
    let mut left = pin!(left);
    let mut right = pin!(right);
    poll_fn(|cx| {
        if let Poll::Ready(value) = left.as_mut().poll(cx) {
            return Poll::Ready(Either::Left(value));
        }
        right.as_mut().poll(cx).map(Either::Right)
    })
    .await
}
