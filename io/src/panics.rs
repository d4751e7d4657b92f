//! Panics: which of them end the process, and which end only the work of one request.
//!
//! A panic on a core ends the process, because nobody knows what it left half changed. Work that
//! changes nothing that outlives its request (reading a body, a query, writing an answer) may run
//! inside [`catch`] or [`catch_future`] instead: its panic is logged with a backtrace, counted
//! ([`caught`]) and becomes an error. What changes the store or the log within such work runs
//! inside [`ends_process`], where a panic ends the process as ever, or inside [`catch_to_end`],
//! whose caller first notes what caused it.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind};
use std::pin::pin;

/// What a panic on this thread does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// It ends the process.
    Ends,
    /// It becomes an error of the work that is under way.
    Caught,
    /// It is caught, and then the catcher ends the process.
    CaughtToEnd,
}

thread_local! {
    static SCOPE: Cell<Scope> = const { Cell::new(Scope::Ends) };
    /// The text of the last panic that was caught, from the hook to the catcher.
    static TEXT: RefCell<Option<String>> = const { RefCell::new(None) };
    static CAUGHT: Cell<u64> = const { Cell::new(0) };
    /// The last panic was one that ends the process.
    static ENDS: Cell<bool> = const { Cell::new(false) };
}

/// Work panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// The panic's message and its place in the source.
    pub text: String,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "caught panic: {}", self.text)
    }
}

impl std::error::Error for Panicked {}

/// Panics that became errors on this core since it began, without those of [`catch_to_end`].
pub fn caught() -> u64 {
    CAUGHT.get()
}

/// Sets the scope, and the one before when it is dropped, also by unwinding.
struct Within(Scope);

impl Within {
    fn new(scope: Scope) -> Self {
        Self(SCOPE.replace(scope))
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        SCOPE.set(self.0);
    }
}

fn run<T>(scope: Scope, work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _within = Within::new(scope);
        work()
    }));
    caught.map_err(|payload| {
        // The hook ends a real process before this; a simulated one ends by unwinding.
        if ENDS.get() {
            resume_unwind(payload);
        }
        panicked(payload.as_ref())
    })
}

fn panicked(payload: &(dyn Any + Send)) -> Panicked {
    let noted = TEXT.with_borrow_mut(Option::take);
    let text = noted.unwrap_or_else(|| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("(no message)")
            .to_owned()
    });
    Panicked { text }
}

/// Runs work that changes nothing that outlives its request.
///
/// # Errors
/// The work panicked; all it held was dropped.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    run(Scope::Caught, work).inspect_err(|_| CAUGHT.set(CAUGHT.get() + 1))
}

/// [`catch`] for a future: each of its polls is run so.
///
/// # Errors
/// A poll panicked; the future must not be polled again and is dropped.
pub async fn catch_future<F: Future>(work: F) -> Result<F::Output, Panicked> {
    let mut work = pin!(work);
    poll_fn(|cx| match catch(|| work.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(panicked) => std::task::Poll::Ready(Err(panicked)),
    })
    .await
}

/// Runs work whose panic ends the process, also within [`catch`]: it changes the store or the log.
pub fn ends_process<T>(work: impl FnOnce() -> T) -> T {
    let _within = Within::new(Scope::Ends);
    work()
}

/// [`ends_process`] for a future.
pub async fn ends_process_future<F: Future>(work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|cx| ends_process(|| work.as_mut().poll(cx))).await
}

/// Runs work whose panic must end the process after the caller has noted what caused it. The panic
/// is reported as one that ends the process.
///
/// # Errors
/// The work panicked. The caller must use nothing that the work may have changed, and end.
pub fn catch_to_end<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    run(Scope::CaughtToEnd, work)
}

/// What the panic hook does first: keeps the text for the catcher, and logs what will be caught.
pub(crate) fn note(info: &PanicHookInfo<'_>) -> Scope {
    let scope = SCOPE.get();
    let message = info.payload_as_str().unwrap_or("(no message)");
    let place = info.location().map_or_else(|| "unknown place".to_owned(), ToString::to_string);
    ENDS.set(scope == Scope::Ends);
    if scope != Scope::Ends {
        TEXT.with_borrow_mut(|text| *text = Some(format!("{message} ({place})")));
    }
    if scope == Scope::Caught {
        let backtrace = Backtrace::force_capture();
        // Logging must not panic here; what it calls has no part in the work that did.
        tracing::error!(message, place, %backtrace, "a request's work panicked; the request fails");
    }
    scope
}
