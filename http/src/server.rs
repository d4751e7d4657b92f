//! The HTTP server of one core: accepts connections, serves the requests of each in order, and
//! stops gracefully.
//!
//! Suggested reading order: [`serve`], then `connection` (one connection's life), [`gzip`],
//! `stats`.
//!
//! Always holds: every wait on a client has a deadline and every buffer a bound; both are in
//! [`ServerLimits`]. A connection serves one request at a time, so its answers leave in the order
//! of the requests. A request that began before the stop is answered.

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
    /// Time from a connection's or a request's first byte to the end of its head; over it: 408.
    pub head_timeout: Duration,
    /// Average bytes a second that a body must arrive with; below it: 408.
    pub body_bytes_per_second: u64,
    /// How far a slow body may fall behind that rate.
    pub body_grace: Duration,
    /// Time from a body's first byte to its last, at any rate; over it: 408.
    pub body_timeout: Duration,
    /// How long a connection may idle between requests; over it: closed.
    pub idle_timeout: Duration,
    /// How long a client may read nothing of an answer that is being sent. The whole answer may
    /// take `body_timeout`.
    pub write_timeout: Duration,
    /// How long requests in progress may take after the stop begins.
    pub drain_timeout: Duration,
    /// After a refusal, how long to go on reading from a client that still sends, so that it sees
    /// the answer. A body that is refused while it arrives is read to its end.
    pub linger_timeout: Duration,
    /// Most bytes that are read during `linger_timeout`.
    pub linger_bytes: usize,
    /// Pause after the process ran out of descriptors.
    pub exhausted_pause: Duration,
    /// Bytes of body buffers that are kept for reuse.
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

/// Answers requests, on the core that accepted the connection.
pub trait Handler: 'static {
    /// Answers `request`, which belongs to the connection: take out (`std::mem::take`) what must
    /// outlive the answer. The future is dropped if the drain deadline passes before it is ready.
    fn handle(&self, request: &mut Request) -> impl Future<Output = Response>;
}

/// Connections of a core that are accepted even at the memory limit; any more are answered 503.
const CONNECTIONS_SURE: usize = 1000;

/// What the connections of a server share.
struct Shared<H> {
    handler: Rc<H>,
    limits: ServerLimits,
    stats: Rc<ServerStats>,
    /// Closed from outside to ask for the stop.
    stop: Gate,
    /// The open connections; closed when the stop begins.
    connections: Gate,
    bodies: Bodies,
    /// The memory budget for bodies that arrive.
    budget: Arc<Budget>,
}

/// Body buffers that are kept for reuse.
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
/// The listener broke. Open connections are still served until `stop` closes.
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
    // New connections must find a closed port, not a queue that is never served.
    drop(listener);
    if result.is_err() {
        stop.closed().await;
    }
    shared.connections.close();
    let drained = time::timeout(limits.drain_timeout, shared.connections.drained()).await;
    if drained.is_err() {
        tracing::warn!(
            connections = shared.connections.inside(),
            "requests still in progress at the drain deadline are abandoned"
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
                tracing::warn!(
                    %error,
                    "out of file descriptors: accepting pauses; raise the limit (ulimit -n)"
                );
                time::sleep(shared.limits.exhausted_pause).await;
            }
            Either::Right(Err(AcceptError::Connection(error))) => {
                tracing::debug!(%error, "a connection failed before it was accepted");
            }
            Either::Right(Err(error @ AcceptError::Listener(_))) => {
                tracing::error!(%error, "the listener is broken: no more connections are accepted");
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
        // A connection takes some memory before its first request is known.
        limit = limit.min(CONNECTIONS_SURE);
    }
    // A refusal is a connection too, for a moment. Beyond a tenth more, connections are dropped
    // without an answer.
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
            // A panic at a point where the client can no longer be told closes its connection.
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
