//! The server of one core: accepts connections, serves their requests in order, stops in order.
//!
//! Suggested reading order: [`serve`], then `connection` (one connection's life), [`gzip`],
//! `stats`.
//!
//! Always holds: every wait on a client has a deadline, every buffer a bound, both named in
//! [`ServerLimits`]. A connection serves one request at a time, so answers leave in the order of
//! the requests. A request that has begun when the stop is asked for is answered.

use crate::message::{Request, Response};
use m3_io::budget::Budget;
use m3_io::net::{AcceptError, TcpListener, TcpStream};
use m3_io::{Either, Gate, panics, race, time, try_spawn};
use m3_metric::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX};
use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

mod answer;
mod connection;
pub mod gzip;
mod stats;

pub use stats::{LATENCY_BOUNDS_US, RouteStats, ServerStats, StatsSnapshot};

/// Every bound of a server. All are per core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Bytes of a request's line and headers; over it: 431.
    pub head_bytes: usize,
    /// Bytes of a body as it arrives; over it: 413.
    pub body_bytes: usize,
    /// Connections served at once; over it: 503 and close.
    pub connections: usize,
    /// From a connection's or a request's first byte to the end of its head; over it: 408.
    pub head_timeout: Duration,
    /// Bytes a second that a body must keep up on average; below it: 408.
    pub body_bytes_per_second: u64,
    /// What a slow body may lag behind that rate.
    pub body_grace: Duration,
    /// From a body's first byte to its last, however fast; over it: 408.
    pub body_timeout: Duration,
    /// How long a connection may idle between requests; over it: closed.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of an answer that waits for it; the whole answer may take
    /// `body_timeout`.
    pub write_timeout: Duration,
    /// How long requests in progress may take once the stop is asked for.
    pub drain_timeout: Duration,
    /// How long and how much is read from a client that still sends after it was refused, so that
    /// it sees the answer: a body refused on its way is read to its end.
    pub linger_timeout: Duration,
    /// See `linger_timeout`, in bytes.
    pub linger_bytes: usize,
    /// Pause after the process ran out of descriptors.
    pub exhausted_pause: Duration,
    /// Bytes of body buffers that wait for their next use.
    pub spare_body_bytes: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            head_bytes: HEAD_BYTES_MAX,
            body_bytes: BODY_BYTES_MAX,
            connections: 10_000,
            head_timeout: Duration::from_secs(10),
            body_bytes_per_second: 1024,
            body_grace: Duration::from_secs(10),
            body_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(300),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
            linger_timeout: Duration::from_secs(2),
            linger_bytes: BODY_BYTES_MAX,
            exhausted_pause: Duration::from_millis(100),
            spare_body_bytes: 32 << 20,
        }
    }
}

/// Answers requests. Runs on the core that accepted the connection; never between cores.
pub trait Handler: 'static {
    /// Answers `request`, which the connection keeps: take out (`std::mem::take`) what must
    /// outlive the answer. The future is dropped if the drain deadline passes before it is ready.
    fn handle(&self, request: &mut Request) -> impl Future<Output = Response>;
}

/// Connections of a core that are let in where the memory limit is reached; one more is answered
/// 503.
const CONNECTIONS_SURE: usize = 1000;

/// What the connections of a server share.
struct Shared<H> {
    handler: Rc<H>,
    limits: ServerLimits,
    stats: Rc<ServerStats>,
    /// The stop that was asked for from outside.
    stop: Gate,
    /// Connections alive; closed when the stop is asked for.
    connections: Gate,
    bodies: Bodies,
    /// What memory bodies may take while they arrive.
    budget: Arc<Budget>,
}

/// Body buffers that wait for their next use.
#[derive(Debug, Default)]
struct Bodies {
    spare: RefCell<Vec<Vec<u8>>>,
    bytes: std::cell::Cell<usize>,
}

impl Bodies {
    fn take(&self) -> Vec<u8> {
        let body = self.spare.borrow_mut().pop().unwrap_or_default();
        self.bytes.set(self.bytes.get() - body.capacity());
        body
    }

    fn give(&self, mut body: Vec<u8>, bytes_max: usize) {
        let bytes = self.bytes.get() + body.capacity();
        // A few large bodies must not take the place of many ordinary ones.
        let ordinary = body.capacity() > 0 && body.capacity() <= bytes_max / 8;
        if ordinary && bytes <= bytes_max {
            body.clear();
            self.bytes.set(bytes);
            self.spare.borrow_mut().push(body);
        }
    }
}

/// Serves `listener` on this core within `budget` until `stop` closes, then lets requests in
/// progress finish within the drain deadline and ends the other connections.
///
/// # Errors
/// The listener broke; connections that are open go on until `stop` closes.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    limits: ServerLimits,
    handler: Rc<H>,
    stats: Rc<ServerStats>,
    budget: Arc<Budget>,
    stop: Gate,
) -> Result<(), AcceptError> {
    let shared = Rc::new(Shared {
        handler,
        limits,
        stats,
        stop: stop.clone(),
        connections: Gate::new(),
        bodies: Bodies::default(),
        budget,
    });
    let result = accept_until_stopped(&listener, &shared).await;
    // New connections meet a closed port rather than a queue that nobody serves.
    drop(listener);
    if result.is_err() {
        stop.closed().await;
    }
    shared.connections.close();
    let drained = time::timeout(limits.drain_timeout, shared.connections.drained()).await;
    if drained.is_err() {
        tracing::warn!(
            connections = shared.connections.inside(),
            "requests still in progress at the end of the drain deadline are given up"
        );
    }
    result
}

async fn accept_until_stopped<H: Handler>(
    listener: &TcpListener,
    shared: &Rc<Shared<H>>,
) -> Result<(), AcceptError> {
    loop {
        let accepted = race(shared.stop.closed(), listener.accept()).await;
        match accepted {
            Either::Left(()) => return Ok(()),
            Either::Right(Ok((stream, peer))) => admit(shared, stream, peer),
            Either::Right(Err(AcceptError::Exhausted(error))) => {
                shared.stats.note_exhausted();
                tracing::warn!(%error, "out of file descriptors: accepting pauses");
                time::sleep(shared.limits.exhausted_pause).await;
            }
            Either::Right(Err(AcceptError::Connection(error))) => {
                tracing::debug!(%error, "a connection failed before it was accepted");
            }
            Either::Right(Err(error @ AcceptError::Listener(_))) => {
                tracing::error!(%error, "the listener is broken: nothing more is accepted");
                return Err(error);
            }
        }
    }
}

/// Starts to serve a connection, or to refuse it.
fn admit<H: Handler>(shared: &Rc<Shared<H>>, stream: TcpStream, peer: SocketAddr) {
    let Some(pass) = shared.connections.enter() else { return };
    let inside = shared.connections.inside();
    let mut limit = shared.limits.connections;
    if inside > CONNECTIONS_SURE && shared.budget.is_full() {
        // A connection takes some memory before it is known what it asks for.
        limit = limit.min(CONNECTIONS_SURE);
    }
    // Refusals are connections too for a moment; beyond a tenth more, even they are too much.
    if inside > limit + limit / 10 + 16 {
        shared.stats.note_refused();
        return;
    }
    let _ = stream.set_nodelay(true);
    let theirs = Rc::clone(shared);
    let started = if inside > limit {
        shared.stats.note_refused();
        try_spawn(async move {
            connection::refuse(&theirs, stream).await;
            drop(pass);
        })
    } else {
        try_spawn(async move {
            theirs.stats.note_opened();
            // A panic outside of what a client can be told about closes its connection.
            let _ = panics::catch_future(pin!(connection::run(&theirs, stream, peer))).await;
            theirs.stats.note_closed();
            drop(pass);
        })
    };
    if let Err(error) = started {
        shared.stats.note_refused();
        tracing::debug!(%error, "a connection was dropped");
    }
}

#[cfg(test)]
mod tests;
