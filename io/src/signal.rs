//! The signals a node listens to. Wait for each on one core only.

use std::io;

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
    let term = compio::signal::unix::signal(libc::SIGTERM);
    let int = compio::signal::unix::signal(libc::SIGINT);
    match race(term, int).await {
        Either::Left(done) => done.map(|()| Stop::Terminate),
        Either::Right(done) => done.map(|()| Stop::Interrupt),
    }
}

/// Resolves at the next SIGHUP. Call it again at once: between two calls the signal's default,
/// which ends the process, is back.
///
/// # Errors
/// What the operating system said to the handler.
pub async fn hangup() -> io::Result<()> {
    compio::signal::unix::signal(libc::SIGHUP).await
}
