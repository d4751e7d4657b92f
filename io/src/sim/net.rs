//! The simulated network: connections with latency, pieces of any size, and resets.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::World;
use crate::error::IoError;

/// Most bytes in flight in one direction.
const PIPE_BYTES_MAX: usize = 64 << 10;

/// Listeners and reservations by address.
#[derive(Debug, Default)]
pub(crate) struct Net {
    listeners: BTreeMap<SocketAddr, Vec<Listening>>,
    reserved: BTreeMap<SocketAddr, u64>,
    /// The node's ends of connections that it accepted.
    accepted: Vec<std::rc::Weak<SimStream>>,
    port: u16,
}

/// A listener's number, and its queue.
type Listening = (u64, Rc<RefCell<Queue>>);

/// Connections that wait to be accepted.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Rc<SimStream>>,
    waker: Option<Waker>,
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Pipe {
    /// Pieces with their times of arrival.
    pieces: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
    /// The writer has finished.
    is_ended: bool,
    is_reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }

    fn reset(&mut self) {
        self.is_reset = true;
        self.wake();
    }

    fn end(&mut self) {
        self.is_ended = true;
        self.wake();
    }
}

fn reset_error() -> io::Error {
    io::Error::from_raw_os_error(libc::ECONNRESET)
}

impl Net {
    /// Ends everything on the node's side.
    pub(super) fn reset(world: &World) {
        let (listeners, accepted) = {
            let mut net = world.net().borrow_mut();
            net.reserved.clear();
            (std::mem::take(&mut net.listeners), std::mem::take(&mut net.accepted))
        };
        let queued = listeners.into_values().flatten();
        for (_, queue) in queued {
            let waiting = std::mem::take(&mut queue.borrow_mut().waiting);
            waiting.iter().for_each(|stream| stream.reset());
        }
        accepted.iter().filter_map(std::rc::Weak::upgrade).for_each(|stream| stream.reset());
    }

    fn choose_port(&mut self, addr: SocketAddr) -> SocketAddr {
        if addr.port() != 0 {
            return addr;
        }
        self.port = self.port.wrapping_add(1);
        SocketAddr::new(addr.ip(), 30_000 + self.port % 30_000)
    }
}

/// An address reserved for the node.
#[derive(Debug)]
pub(crate) struct SimReservation(SocketAddr);

impl SimReservation {
    pub(crate) fn take(world: &World, addr: SocketAddr) -> Result<(Self, SocketAddr), IoError> {
        let mut net = world.net().borrow_mut();
        let addr = net.choose_port(addr);
        if net.reserved.insert(addr, 0).is_some() {
            return Err(IoError::AddressInUse { addr });
        }
        Ok((SimReservation(addr), addr))
    }
}

impl Drop for SimReservation {
    fn drop(&mut self) {
        if let Some(world) = super::current() {
            world.net().borrow_mut().reserved.remove(&self.0);
        }
    }
}

/// A listener of one core.
#[derive(Debug)]
pub(crate) struct SimListener {
    addr: SocketAddr,
    number: u64,
    queue: Rc<RefCell<Queue>>,
}

impl SimListener {
    pub(crate) fn bind(
        world: &World,
        addr: SocketAddr,
        reuse_port: bool,
    ) -> Result<(Self, SocketAddr), IoError> {
        let number = world.number();
        let mut net = world.net().borrow_mut();
        let addr = net.choose_port(addr);
        let there = net.listeners.entry(addr).or_default();
        if !there.is_empty() && !reuse_port {
            return Err(IoError::AddressInUse { addr });
        }
        let queue = Rc::default();
        there.push((number, Rc::clone(&queue)));
        Ok((SimListener { addr, number, queue }, addr))
    }

    pub(crate) async fn accept(&self) -> Rc<SimStream> {
        poll_fn(|cx| {
            let mut queue = self.queue.borrow_mut();
            if let Some(stream) = queue.waiting.pop_front() {
                return Poll::Ready(stream);
            }
            queue.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        if let Some(world) = super::current() {
            let mut net = world.net().borrow_mut();
            if let Some(there) = net.listeners.get_mut(&self.addr) {
                there.retain(|(number, _)| *number != self.number);
            }
        }
        let waiting = std::mem::take(&mut self.queue.borrow_mut().waiting);
        waiting.iter().for_each(|stream| stream.reset());
    }
}

/// One end of a connection.
pub(crate) struct SimStream {
    world: Rc<World>,
    incoming: Rc<RefCell<Pipe>>,
    outgoing: Rc<RefCell<Pipe>>,
    local: SocketAddr,
    peer: SocketAddr,
}

impl std::fmt::Debug for SimStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimStream").field("local", &self.local).field("peer", &self.peer).finish()
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        // Closing with unread data resets the connection, as in TCP.
        let is_rude = !self.incoming.borrow().pieces.is_empty();
        if is_rude {
            return self.reset();
        }
        self.outgoing.borrow_mut().end();
        self.incoming.borrow_mut().end();
    }
}

impl SimStream {
    pub(crate) async fn connect(world: Rc<World>, addr: SocketAddr) -> io::Result<Rc<SimStream>> {
        world.take(20_000, 500_000).await;
        let mut net = world.net().borrow_mut();
        let there = net.listeners.get(&addr).filter(|there| !there.is_empty());
        let there = there.ok_or_else(|| io::Error::from_raw_os_error(libc::ECONNREFUSED))?;
        let chosen = world.with_rng(|rng| rng.index(there.len()));
        let queue = Rc::clone(&there[chosen].1);
        let local = net.choose_port(SocketAddr::new(addr.ip(), 0));
        let (to, from): (Rc<RefCell<Pipe>>, Rc<RefCell<Pipe>>) = Default::default();
        let ours = SimStream {
            world: Rc::clone(&world),
            incoming: Rc::clone(&from),
            outgoing: Rc::clone(&to),
            local,
            peer: addr,
        };
        let theirs = Rc::new(SimStream {
            world: Rc::clone(&world),
            incoming: to,
            outgoing: from,
            local: addr,
            peer: local,
        });
        net.accepted.retain(|stream| stream.strong_count() > 0);
        net.accepted.push(Rc::downgrade(&theirs));
        drop(net);
        let waker = {
            let mut queue = queue.borrow_mut();
            queue.waiting.push_back(theirs);
            queue.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
        Ok(Rc::new(ours))
    }

    /// Breaks the connection for both ends.
    pub(crate) fn reset(&self) {
        self.incoming.borrow_mut().reset();
        self.outgoing.borrow_mut().reset();
    }

    /// Says that nothing more will be sent.
    pub(crate) fn end(&self) {
        self.outgoing.borrow_mut().end();
    }

    pub(crate) fn addrs(&self) -> (SocketAddr, SocketAddr) {
        (self.local, self.peer)
    }

    pub(crate) fn is_peer_closed(&self) -> bool {
        let pipe = self.incoming.borrow();
        pipe.is_reset || (pipe.is_ended && pipe.pieces.is_empty())
    }

    /// Appends at most `most` bytes that have arrived; 0 means the end.
    pub(crate) async fn read(&self, buf: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        loop {
            let arrives = poll_fn(|cx| self.poll_arrival(cx)).await?;
            let Some(when) = arrives else { return Ok(0) };
            if when > self.world.now() {
                Rc::clone(&self.world).sleep_until(when).await;
                continue;
            }
            let count = self.take_piece(buf, most);
            self.world.note(count as u64);
            return Ok(count);
        }
    }

    /// When the next piece arrives; `None` means the end.
    fn poll_arrival(&self, cx: &Context<'_>) -> Poll<io::Result<Option<u64>>> {
        let mut pipe = self.incoming.borrow_mut();
        if pipe.is_reset {
            return Poll::Ready(Err(reset_error()));
        }
        match pipe.pieces.front() {
            Some((when, _)) => Poll::Ready(Ok(Some(*when))),
            None if pipe.is_ended => Poll::Ready(Ok(None)),
            None => {
                pipe.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn take_piece(&self, buf: &mut Vec<u8>, most: usize) -> usize {
        let mut pipe = self.incoming.borrow_mut();
        let Some((when, mut piece)) = pipe.pieces.pop_front() else { return 0 };
        let most = most.min(piece.len());
        let is_part = self.world.with_rng(|rng| rng.chance(200));
        let count = if is_part { self.world.with_rng(|rng| 1 + rng.index(most)) } else { most };
        let rest = piece.split_off(count);
        buf.extend_from_slice(&piece);
        if !rest.is_empty() {
            pipe.pieces.push_front((when, rest));
        }
        pipe.bytes -= count;
        pipe.writer.take().into_iter().for_each(Waker::wake);
        count
    }

    /// Sends some of `bytes`, which must not be empty.
    pub(crate) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let room = poll_fn(|cx| {
            let mut pipe = self.outgoing.borrow_mut();
            if pipe.is_reset {
                return Poll::Ready(Err(reset_error()));
            }
            if pipe.is_ended {
                return Poll::Ready(Err(io::Error::from_raw_os_error(libc::EPIPE)));
            }
            if pipe.bytes >= PIPE_BYTES_MAX {
                pipe.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Ok(PIPE_BYTES_MAX - pipe.bytes))
        })
        .await?;
        let count = bytes.len().min(room);
        let latency = self.world.with_rng(|rng| rng.between(5_000, 300_000));
        let mut pipe = self.outgoing.borrow_mut();
        // Bytes arrive in the order they were sent.
        let after = pipe.pieces.back().map_or(0, |(when, _)| *when);
        let arrives = after.max(self.world.now() + latency);
        pipe.pieces.push_back((arrives, bytes[..count].to_vec()));
        pipe.bytes += count;
        pipe.reader.take().into_iter().for_each(Waker::wake);
        Ok(count)
    }
}
