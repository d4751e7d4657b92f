//! The signals that a node handles. Only one core may wait for each.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::task::{Either, race};

/// The signal that asked the node to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM: an init system or a container runtime.
    Terminate,
    /// SIGINT: Ctrl-C on a terminal.
    Interrupt,
}

/// Resolves at the next SIGTERM or SIGINT. After that the next such signal kills the process as
/// usual, so a stop that hangs can be ended.
///
/// # Errors
/// The operating system's error from installing the handler.
pub async fn terminate() -> io::Result<Stop> {
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        world.terminated().await;
        return Ok(Stop::Terminate);
    }
    let term = compio::signal::unix::signal(libc::SIGTERM);
    let int = compio::signal::unix::signal(libc::SIGINT);
    match race(term, int).await {
        Either::Left(done) => done.map(|()| Stop::Terminate),
        Either::Right(done) => done.map(|()| Stop::Interrupt),
    }
}

type Wait = Pin<Box<dyn Future<Output = io::Result<()>>>>;

/// Receives SIGHUP repeatedly. From [`Hangups::new`] on, until it is dropped, SIGHUP does not end
/// the process.
pub struct Hangups {
    next: Wait,
    // Never awaited. As long as one listener exists, the signal's default action stays disabled.
    _keep: Wait,
}

impl Hangups {
    /// Listens from now on.
    ///
    /// # Errors
    /// The operating system's error from installing the handler.
    pub fn new() -> io::Result<Self> {
        Ok(Hangups { _keep: listen()?, next: listen()? })
    }

    /// Resolves at the first SIGHUP after the last call resolved; several in between count as one.
    ///
    /// # Errors
    /// The operating system's error from installing the handler.
    pub async fn next(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.next.as_mut().poll(cx)).await?;
        self.next = listen()?;
        Ok(())
    }
}

/// Creates a listener that is active at once, not only when it is first awaited.
fn listen() -> io::Result<Wait> {
    let mut wait: Wait = Box::pin(compio::signal::unix::signal(libc::SIGHUP));
    match wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => Ok(wait),
        Poll::Ready(Err(error)) => Err(error),
        // The signal arrived during this call; the next await returns it.
        Poll::Ready(Ok(())) => Ok(Box::pin(async { Ok(()) })),
    }
}

impl fmt::Debug for Hangups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hangups")
    }
}
