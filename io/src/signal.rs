//! The signals a node listens to. Wait for each on one core only.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::task::{Either, race};

/// Which signal asked the node to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM: an init system or a container runtime.
    Terminate,
    /// SIGINT: Ctrl-C on a terminal.
    Interrupt,
}

/// Resolves at the next SIGTERM or SIGINT. Once it has resolved, the next such signal kills the
/// process as usual, which is the way out of a stop that hangs.
///
/// # Errors
/// What the operating system said to the handler.
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

/// SIGHUP, again and again. From [`Hangups::new`] on, until it is dropped, the signal does not end
/// the process.
pub struct Hangups {
    next: Wait,
    // Never awaited: while one listener is there the signal's default stays away, also between two.
    _keep: Wait,
}

impl Hangups {
    /// Listens from now on.
    ///
    /// # Errors
    /// What the operating system said to the handler.
    pub fn new() -> io::Result<Self> {
        Ok(Hangups { _keep: listen()?, next: listen()? })
    }

    /// Resolves at the next SIGHUP since the last call resolved; several in between count as one.
    ///
    /// # Errors
    /// What the operating system said to the handler.
    pub async fn next(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.next.as_mut().poll(cx)).await?;
        self.next = listen()?;
        Ok(())
    }
}

/// A listener that is in place already, not only when it is first awaited.
fn listen() -> io::Result<Wait> {
    let mut wait: Wait = Box::pin(compio::signal::unix::signal(libc::SIGHUP));
    match wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => Ok(wait),
        Poll::Ready(Err(error)) => Err(error),
        // The signal came within the call; the next await tells.
        Poll::Ready(Ok(())) => Ok(Box::pin(async { Ok(()) })),
    }
}

impl fmt::Debug for Hangups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hangups")
    }
}
