//! The life of one connection: read a head, read a body, ask the handler, write the answer, repeat.

use super::{Handler, Shared, answer, gzip};
use crate::message::{Method, Request, Response};
use crate::wire::WireError;
use crate::wire::body::Chunked;
use crate::wire::head::{self, Framing, Head, Scanner};
use crate::wire::target::PARAMS_MAX;
use m3_io::budget::Promise;
use m3_io::net::TcpStream;
use m3_io::time::{self, Monotonic};
use m3_io::{Either, panics, race};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

/// Free space for each read of a head or of chunks.
const READ_BYTES: usize = 8 << 10;
/// Free space for the first read of a body. It doubles as bytes arrive, so that a declared length
/// takes no memory before its bytes come.
const BODY_READ_BYTES: usize = 64 << 10;

/// Size of a body, or of a head to be parsed, up to which the memory limit is not checked: it may
/// be a query, or an admin request that frees memory.
const SMALL_BODY_BYTES: usize = 4 << 10;
/// Size of a head's buffer up to which the memory limit is not checked. A connection keeps no
/// larger one between two requests.
const SMALL_HEAD_BYTES: usize = 4 * READ_BYTES;

/// Most memory that a parsed head of `len` bytes takes. A byte of a header that is not UTF-8
/// becomes a character of three bytes. The shortest parameter has two bytes and becomes two texts,
/// in a list that grows by doubling.
fn parsed_bytes_max(len: usize) -> u64 {
    let params = PARAMS_MAX.min(len / 2);
    (3 * len + 3 * params * size_of::<(String, String)>()) as u64
}

/// Bytes of the answer's buffer that a connection keeps between requests. The answer to a write
/// needs no more, and there may be many idle connections.
const KEEP_BYTES: usize = 4 << 10;

/// Why a connection ends.
enum End {
    /// The peer is gone or the node stops: close without an answer.
    Silent,
    /// Send this answer and close.
    Refuse(Response),
}

impl From<WireError> for End {
    fn from(error: WireError) -> Self {
        Self::Refuse(answer::wire_refusal(&error))
    }
}

/// Runs a step that precedes the first byte of the answer. If it panics, the client gets a 500.
async fn caught<T>(step: Pin<&mut impl Future<Output = Result<T, End>>>) -> Result<T, End> {
    panics::catch_future(step)
        .await
        .unwrap_or_else(|panicked| Err(End::Refuse(answer::refusal(500, &panicked.to_string()))))
}

struct Connection<'a, H> {
    shared: &'a Shared<H>,
    stream: TcpStream,
    /// Bytes that were read; those from `start` on are not consumed yet.
    inbound: Vec<u8>,
    start: usize,
    outbound: Vec<u8>,
    request: Request,
}

/// Serves a connection to its end.
pub(super) async fn run<H: Handler>(shared: &Shared<H>, stream: TcpStream, peer: SocketAddr) {
    let request =
        Request { peer: Some(peer), connection: Some(stream.clone()), ..Request::default() };
    let mut connection =
        Connection { shared, stream, inbound: Vec::new(), start: 0, outbound: Vec::new(), request };
    loop {
        match connection.serve_one().await {
            Ok(true) => {}
            Ok(false) => break,
            Err(End::Silent) => return,
            Err(End::Refuse(response)) => {
                shared.stats.note_bad_request();
                if response.status == 408 {
                    shared.stats.note_timeout();
                }
                let sent = connection.send(response, Method::Get, false, true).await;
                if sent.is_ok() {
                    connection.linger().await;
                }
                return;
            }
        }
    }
    let _ = connection.stream.shutdown();
}

/// Answers that there are too many connections.
pub(super) async fn refuse<H: Handler>(shared: &Shared<H>, stream: TcpStream) {
    let mut response = answer::refusal(
        503,
        "too many connections to this core: try again, or raise the limit of connections",
    );
    response.push_header("Retry-After", "1");
    let request = Request::default();
    let mut connection =
        Connection { shared, stream, inbound: Vec::new(), start: 0, outbound: Vec::new(), request };
    if connection.send(response, Method::Get, false, true).await.is_ok() {
        connection.linger().await;
    }
}

impl<H: Handler> Connection<'_, H> {
    /// Serves one request; returns whether another may follow.
    async fn serve_one(&mut self) -> Result<bool, End> {
        let head = caught(pin!(self.read_head())).await?;
        let begun = time::now();
        caught(pin!(self.read_body(&head))).await?;
        let mut response = self.answer().await?;
        self.request.let_go(SMALL_HEAD_BYTES);
        let body = std::mem::take(&mut self.request.body);
        self.shared.bodies.give(body, self.shared.limits.spare_body_bytes);
        if head.accepts_gzip && answer::has_body(self.request.method, response.status) {
            let mut deflated = Box::pin(async {
                gzip::deflate_response(&mut response).await;
                Ok(())
            });
            caught(deflated.as_mut()).await?;
            drop(deflated);
        }
        let keep_alive = head.keep_alive && !self.shared.stop.is_closed();
        let (route, status, method) = (response.route, response.status, self.request.method);
        let sent = self.send(response, method, keep_alive, head.is_1_1).await;
        self.shared.stats.note_answer(route, status, time::now().since(begun));
        sent?;
        Ok(keep_alive)
    }

    async fn answer(&mut self) -> Result<Response, End> {
        if self.request.method == Method::Options {
            // CORS preflight; every answer has the headers that allow it.
            return Ok(Response::new(204));
        }
        let drain = self.shared.limits.drain_timeout;
        let stopping = async {
            self.shared.connections.closed().await;
            time::sleep(drain).await;
        };
        // Boxed, so that an idle connection takes no memory for it.
        let handled = Box::pin(self.shared.handler.handle(&mut self.request));
        // The deadline is polled second: an answer that is ready wins.
        match race(handled, stopping).await {
            Either::Left(response) => Ok(response),
            Either::Right(()) => Err(End::Refuse(answer::refusal(
                503,
                "the node is stopping and the request took too long to finish",
            ))),
        }
    }

    /// Reads until a head is complete. An idle connection may wait here, and is closed silently.
    async fn read_head(&mut self) -> Result<Head, End> {
        let limits = self.shared.limits;
        let mut scanner = Scanner::default();
        let mut deadline: Option<Monotonic> = None;
        let mut promise = self.shared.budget.nothing();
        loop {
            let waiting = &self.inbound[self.start..];
            if let Some(len) = scanner.scan(waiting, limits.head_bytes)? {
                return self.parse_head(len, &mut promise);
            }
            let idle = waiting.is_empty();
            if idle && self.shared.connections.is_closed() {
                return Err(End::Silent);
            }
            // Only before more is read: if many requests arrived at once, the first must not move
            // all the others.
            self.compact();
            let span = if idle {
                limits.idle_timeout
            } else {
                let now = time::now();
                deadline.get_or_insert_with(|| now.plus(limits.head_timeout)).since(now)
            };
            self.grow_inbound(limits.head_bytes, &mut promise)?;
            let before = self.inbound.len();
            self.fill(span, idle, || {
                format!(
                    "the request's head did not arrive within {} s",
                    limits.head_timeout.as_secs_f64()
                )
            })
            .await?;
            promise.settle((self.inbound.len() - before) as u64);
        }
    }

    /// Parses the first `len` bytes, which are a head. Memory for the result is reserved as well
    /// unless it is small. The bytes of a large head are freed before the request is handled.
    fn parse_head(&mut self, len: usize, promise: &mut Promise) -> Result<Head, End> {
        if len > SMALL_BODY_BYTES && !promise.extend(parsed_bytes_max(len)) {
            return Err(self.no_memory("head", len));
        }
        let bytes = &self.inbound[self.start..self.start + len];
        let head = head::parse(bytes, self.shared.limits.body_bytes, &mut self.request)?;
        self.start += len;
        if self.start == self.inbound.len() {
            self.compact();
        }
        Ok(head)
    }

    /// Makes room for the next read of a head. The buffer at most doubles, so a client never gets
    /// more memory than it has sent bytes for.
    fn grow_inbound(&mut self, head_max: usize, promise: &mut Promise) -> Result<(), End> {
        let mut inbound = std::mem::take(&mut self.inbound);
        let most = head_max.saturating_sub(inbound.len());
        let room = inbound.len().min(most).max(READ_BYTES);
        let grown = self.grow(&mut inbound, room, "head", SMALL_HEAD_BYTES, promise);
        self.inbound = inbound;
        grown
    }

    /// Reads the body into the request.
    async fn read_body(&mut self, head: &Head) -> Result<(), End> {
        self.request.body.clear();
        if head.framing == Framing::Length(0) {
            return Ok(());
        }
        if self.request.body.capacity() == 0 {
            self.request.body = self.shared.bodies.take();
        }
        let here = self.inbound.len() - self.start;
        let wanted = match head.framing {
            Framing::Length(len) => here < len,
            Framing::Chunked => here == 0,
        };
        if head.expects_continue && wanted {
            self.outbound.clear();
            self.outbound.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            let bytes = std::mem::take(&mut self.outbound);
            self.outbound = self.write(bytes).await?;
        }
        let begun = time::now();
        match head.framing {
            Framing::Length(len) => self.read_length(len, begun).await,
            Framing::Chunked => self.read_chunks(begun).await,
        }
    }

    async fn read_length(&mut self, len: usize, begun: Monotonic) -> Result<(), End> {
        let here = len.min(self.inbound.len() - self.start);
        let mut body = std::mem::take(&mut self.request.body);
        body.extend_from_slice(&self.inbound[self.start..self.start + here]);
        self.start += here;
        let mut promise = self.shared.budget.nothing();
        while body.len() < len {
            let room = body.len().max(BODY_READ_BYTES).min(len - body.len());
            self.grow(&mut body, room, "body", SMALL_BODY_BYTES, &mut promise)?;
            let span = self.body_span(begun, body.len())?;
            let read = time::timeout(span, self.stream.read(body)).await;
            let Ok((result, back)) = read else { return Err(self.body_too_slow()) };
            body = back;
            match result {
                Ok(0) | Err(_) => return Err(End::Silent),
                Ok(read) => {
                    promise.settle(read as u64);
                    self.shared.stats.note_in(read);
                }
            }
        }
        // A buffer from the pool may have had room for more than the body: the bytes behind it
        // begin the next request.
        if body.len() > len {
            self.compact();
            self.inbound.extend_from_slice(&body[len..]);
            body.truncate(len);
        }
        self.request.body = body;
        Ok(())
    }

    async fn read_chunks(&mut self, begun: Monotonic) -> Result<(), End> {
        let limit = self.shared.limits.body_bytes;
        let mut chunked = Chunked::default();
        let mut received = 0;
        let mut promise = self.shared.budget.nothing();
        loop {
            let input = &self.inbound[self.start..];
            let mut body = std::mem::take(&mut self.request.body);
            if body.capacity() - body.len() < input.len() {
                let most = limit.saturating_sub(body.len());
                let room = body.len().min(most).max(input.len());
                self.grow(&mut body, room, "body", SMALL_BODY_BYTES, &mut promise)?;
            }
            let before = body.len();
            let (taken, done) = chunked.feed(input, &mut body, limit)?;
            promise.settle((body.len() - before) as u64);
            self.request.body = body;
            self.start += taken;
            received += taken;
            if done {
                return Ok(());
            }
            self.compact();
            let span = self.body_span(begun, received)?;
            self.fill(span, false, || "the request's body arrived too slowly".to_owned()).await?;
        }
    }

    /// Makes room for `room` more bytes of a head or a body (`what`). Memory is reserved first for
    /// a buffer of more than `small` bytes, so that a large declared length or many clients at once
    /// cannot exceed the limit.
    fn grow(
        &self,
        buffer: &mut Vec<u8>,
        room: usize,
        what: &str,
        small: usize,
        promise: &mut Promise,
    ) -> Result<(), End> {
        if buffer.capacity() - buffer.len() >= room {
            return Ok(());
        }
        // The old buffer is freed only after its bytes are copied to the new one.
        let whole = buffer.len() + room;
        if whole > small && !promise.extend(whole as u64) {
            return Err(self.no_memory(what, buffer.len()));
        }
        buffer.reserve_exact(room);
        promise.settle(buffer.len() as u64);
        Ok(())
    }

    fn no_memory(&self, what: &str, arrived: usize) -> End {
        End::Refuse(answer::no_memory(what, arrived, &self.shared.budget))
    }

    /// How long the next piece of a body may take, before the average rate falls too low or the
    /// whole takes too long.
    fn body_span(&self, begun: Monotonic, received: usize) -> Result<Duration, End> {
        let limits = &self.shared.limits;
        let rate = limits.body_bytes_per_second.max(1);
        let earned = Duration::from_secs(received as u64 / rate);
        let allowed = limits.body_timeout.min(limits.body_grace + earned);
        let span = begun.plus(allowed).since(time::now());
        if span.is_zero() { Err(self.body_too_slow()) } else { Ok(span) }
    }

    fn body_too_slow(&self) -> End {
        End::Refuse(answer::refusal(
            408,
            &format!(
                "the request's body arrived too slowly: at least {} bytes a second are expected",
                self.shared.limits.body_bytes_per_second
            ),
        ))
    }

    /// Reads once into `inbound`, for at most `span`. While idle, a stop or the end of `span`
    /// closes the connection silently.
    async fn fill(
        &mut self,
        span: Duration,
        idle: bool,
        too_slow: impl FnOnce() -> String,
    ) -> Result<(), End> {
        let mut buffer = std::mem::take(&mut self.inbound);
        buffer.reserve(READ_BYTES);
        let read = time::timeout(span, self.stream.read(buffer));
        let outcome = if idle {
            match race(read, self.shared.connections.closed()).await {
                Either::Left(outcome) => outcome,
                Either::Right(()) => return Err(End::Silent),
            }
        } else {
            read.await
        };
        let Ok((result, buffer)) = outcome else {
            self.start = 0;
            return Err(if idle {
                End::Silent
            } else {
                End::Refuse(answer::refusal(408, &too_slow()))
            });
        };
        self.inbound = buffer;
        match result {
            Ok(0) | Err(_) => Err(End::Silent),
            Ok(read) => {
                self.shared.stats.note_in(read);
                Ok(())
            }
        }
    }

    /// Moves unconsumed bytes to the front and frees a buffer that has grown.
    fn compact(&mut self) {
        self.inbound.drain(..self.start);
        self.start = 0;
        // Exactly once a buffer that has grown, for what is left is then all that it holds.
        if self.inbound.capacity() > SMALL_HEAD_BYTES && self.inbound.len() < READ_BYTES {
            self.inbound.shrink_to_fit();
        }
    }

    async fn send(
        &mut self,
        mut response: Response,
        method: Method,
        keep_alive: bool,
        is_1_1: bool,
    ) -> Result<(), End> {
        let mut out = std::mem::take(&mut self.outbound);
        out.clear();
        answer::write_head(&mut out, &response, keep_alive, is_1_1);
        let has_body = answer::has_body(method, response.status);
        let joined = response.body.len() <= answer::JOIN_BYTES_MAX;
        if has_body && joined {
            out.extend_from_slice(&response.body);
        }
        self.outbound = self.write(out).await?;
        if has_body && !joined {
            self.write(std::mem::take(&mut response.body)).await?;
        }
        if self.outbound.capacity() > KEEP_BYTES {
            self.outbound = Vec::new();
        }
        Ok(())
    }

    async fn write(&self, bytes: Vec<u8>) -> Result<Vec<u8>, End> {
        let limits = &self.shared.limits;
        let begun = time::now();
        let mut bytes = bytes;
        let mut sent = 0;
        while sent < bytes.len() {
            // Bytes that only fill the kernel's buffers do not show that the client reads, so they
            // earn it no time.
            let whole = limits.write_timeout.max(limits.body_timeout);
            let span = begun.plus(whole).since(time::now()).min(limits.write_timeout);
            match time::timeout(span, self.stream.write_from(bytes, sent)).await {
                Ok((Err(e), back)) if e.kind() == std::io::ErrorKind::Interrupted => bytes = back,
                Ok((Ok(0) | Err(_), _)) => return Err(End::Silent),
                Ok((Ok(more), back)) => {
                    bytes = back;
                    sent += more;
                    self.shared.stats.note_out(more);
                }
                Err(_) => {
                    self.shared.stats.note_timeout();
                    return Err(End::Silent);
                }
            }
        }
        Ok(bytes)
    }

    /// Goes on reading for a moment after a refusal. Closing a socket with unread bytes would reset
    /// it, and the client might never see the answer.
    async fn linger(&mut self) {
        if self.stream.shutdown().is_err() {
            return;
        }
        let limits = self.shared.limits;
        let until = time::now().plus(limits.linger_timeout);
        let mut left = limits.linger_bytes;
        self.start = self.inbound.len();
        self.compact();
        let mut buffer = std::mem::take(&mut self.inbound);
        loop {
            buffer.clear();
            buffer.reserve(READ_BYTES);
            let span = until.since(time::now());
            if span.is_zero() || left == 0 || self.shared.connections.is_closed() {
                return;
            }
            match time::timeout(span, self.stream.read(buffer)).await {
                Ok((Ok(read), back)) if read > 0 => {
                    left = left.saturating_sub(read);
                    buffer = back;
                }
                _ => return,
            }
        }
    }
}
