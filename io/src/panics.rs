//! Panics: which of them end the process, and which end only one request.
//!
//! A panic on a core ends the process, because nobody knows what it left half changed. Work that
//! changes nothing beyond its request (reading a body, evaluating a query, writing an answer) may
//! run inside [`catch`] or [`catch_future`]. Its panic is logged with a backtrace, counted
//! ([`caught`]) and becomes an error. Code in such work that changes the store or the log runs
//! inside [`ends_process`], where a panic still ends the process, or inside [`catch_to_end`], whose
//! caller first records the cause.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind};
use std::pin::Pin;

/// The effect of a panic on this thread at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// It ends the process.
    Ends,
    /// It becomes an error of the current work.
    Caught,
    /// It is caught, and then the catcher ends the process.
    CaughtToEnd,
}

thread_local! {
    static SCOPE: Cell<Scope> = const { Cell::new(Scope::Ends) };
    /// The text of the last caught panic; the hook passes it to the catcher here.
    static TEXT: RefCell<Option<String>> = const { RefCell::new(None) };
    static CAUGHT: Cell<u64> = const { Cell::new(0) };
    /// Whether the last panic was one that ends the process.
    static ENDS: Cell<bool> = const { Cell::new(false) };
}

/// The work has panicked.
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

/// The number of panics on this core that became errors, without those of [`catch_to_end`].
pub fn caught() -> u64 {
    CAUGHT.get()
}

/// Sets the scope, and restores the previous one when dropped, including by unwinding.
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
        // In a real process the hook has ended it before this; a simulated one ends by unwinding.
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

/// Runs work that changes nothing beyond its request.
///
/// # Errors
/// The work panicked; everything it held was dropped.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    run(Scope::Caught, work).inspect_err(|_| CAUGHT.set(CAUGHT.get() + 1))
}

/// As [`catch`], for each poll of a future. The caller pins it (`pin!`), since a future that takes
/// another by value has room for it twice.
///
/// # Errors
/// A poll panicked. The future must not be polled again.
pub async fn catch_future<F: Future>(mut work: Pin<&mut F>) -> Result<F::Output, Panicked> {
    poll_fn(|cx| match catch(|| work.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(panicked) => std::task::Poll::Ready(Err(panicked)),
    })
    .await
}

/// Runs work that changes the store or the log: its panic ends the process, even within [`catch`].
pub fn ends_process<T>(work: impl FnOnce() -> T) -> T {
    let _within = Within::new(Scope::Ends);
    work()
}

/// As [`ends_process`], for a future.
pub async fn ends_process_future<F: Future>(mut work: Pin<&mut F>) -> F::Output {
    poll_fn(|cx| ends_process(|| work.as_mut().poll(cx))).await
}

/// Runs work whose panic must end the process, after the caller has recorded the cause. It is
/// reported as a panic that ends the process.
///
/// # Errors
/// The work panicked. The caller must not use anything that the work may have changed, and must end
/// the process.
pub fn catch_to_end<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    run(Scope::CaughtToEnd, work)
}

/// The first step of the panic hook: keeps the text for the catcher, and logs panics that will be
/// caught.
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
        // Logging must not panic here; the code it calls is not part of the work that panicked.
        tracing::error!(message, place, %backtrace, "a request's work panicked; the request fails");
    }
    scope
}
