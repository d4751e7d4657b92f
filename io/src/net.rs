//! Sockets of a core: TCP listeners that share a port between cores, TCP streams, UDP.
//!
//! A read appends to the spare capacity of its buffer (from its length to its capacity), so that a
//! body is read into place, without zeroing or copying.

mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

use crate::driver::Driver;
use crate::error::IoError;
use crate::runtime::core;
use crate::{blocking, pool};

pub use tcp::{AcceptError, TcpListener, TcpStream};
pub use udp::UdpSocket;

/// Buffers of one vectored write at most; more are written in several.
const VECTOR_MAX: usize = 1024;

/// How a socket is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Let every core bind the same address (SO_REUSEPORT); the kernel spreads what arrives.
    pub reuse_port: bool,
    /// Connections that wait to be accepted, at most; the kernel may have a lower bound
    /// (net.core.somaxconn). Of no meaning for UDP.
    pub backlog: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { reuse_port: false, backlog: 4096 }
    }
}

/// A TCP address that this process has for itself while its cores bind it together.
///
/// With SO_REUSEPORT a second process of the same user could bind the same port and would silently
/// take half of the connections. So reserve each address before the cores start: this notices such
/// a neighbour, chooses the port where it is 0, and holds it until dropped. It accepts nothing
/// itself.
#[derive(Debug)]
pub struct Reservation {
    _holder: Holder,
    addr: SocketAddr,
}

/// What gives the port back when it goes.
#[derive(Debug)]
enum Holder {
    Socket(#[expect(dead_code, reason = "being bound is its use")] Socket),
    #[cfg(feature = "sim")]
    Sim(#[expect(dead_code, reason = "being reserved is its use")] crate::sim::SimReservation),
}

impl Reservation {
    /// Reserves `addr`. Needs no runtime.
    ///
    /// # Errors
    /// `AddressInUse` or `Bind`.
    pub fn take(addr: SocketAddr) -> Result<Reservation, IoError> {
        #[cfg(feature = "sim")]
        if let Some(world) = crate::sim::current() {
            let (held, addr) = crate::sim::SimReservation::take(&world, addr)?;
            return Ok(Reservation { _holder: Holder::Sim(held), addr });
        }
        let bound = |addr: SocketAddr, reuse_port| -> io::Result<Socket> {
            let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            bind(&socket, addr, reuse_port)?;
            Ok(socket)
        };
        let reserve = || {
            if addr.port() != 0 {
                // Without sharing, this fails if anybody listens there.
                drop(bound(addr, false)?);
            }
            let socket = bound(addr, true)?;
            let addr = socket.local_addr()?.as_socket();
            let addr = addr.ok_or_else(|| io::Error::other("the socket has no IP address"))?;
            Ok(Reservation { _holder: Holder::Socket(socket), addr })
        };
        reserve().map_err(bind_error(addr))
    }

    /// The address, with the port the system chose; bind it with [`Options::reuse_port`].
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// The addresses of `host:port`.
///
/// # Errors
/// As [`blocking::resolve`].
pub async fn resolve(host_port: &str) -> io::Result<Vec<SocketAddr>> {
    let text = host_port.to_owned();
    pool::run(move || blocking::resolve(&text)).await
}

/// A new socket, in the mode that the thread's driver wants.
fn new_socket(addr: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    // epoll tries first and waits after; a ring waits in the kernel and wants a blocking socket.
    socket.set_nonblocking(core::driver() == Driver::Epoll)?;
    Ok(socket)
}

fn bind(socket: &Socket, addr: SocketAddr, reuse_port: bool) -> io::Result<()> {
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    if addr.is_ipv6() {
        // [::] means both families here, whatever the machine's default is.
        let _ = socket.set_only_v6(false);
    }
    socket.bind(&addr.into())
}

fn bind_error(addr: SocketAddr) -> impl FnOnce(io::Error) -> IoError {
    move |source| match source.kind() {
        io::ErrorKind::AddrInUse => IoError::AddressInUse { addr },
        _ => IoError::Bind { addr, source },
    }
}

fn no_room() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the buffer has no spare capacity to read into")
}
