//! Sockets of a core: TCP listeners that share a port between cores, TCP streams, UDP.
//!
//! A read appends to the spare capacity of its buffer, so a body is read in place, without zeroing
//! or copying.

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

/// How a socket is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether every core may bind the same address (SO_REUSEPORT); the kernel then distributes
    /// connections.
    pub reuse_port: bool,
    /// Most connections that wait to be accepted; the kernel may have a lower bound
    /// (net.core.somaxconn). Unused for UDP.
    pub backlog: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { reuse_port: false, backlog: 4096 }
    }
}

/// Reserves a TCP address for this process while its cores bind it together.
///
/// With SO_REUSEPORT a second process of the same user could bind the same port and silently take
/// half of the connections. So each address is reserved before the cores start. The reservation
/// notices such a process, chooses a port if it is 0, and holds it until dropped. It accepts no
/// connections.
#[derive(Debug)]
pub struct Reservation {
    _holder: Holder,
    addr: SocketAddr,
}

/// Releases the port when dropped.
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
                // Without SO_REUSEPORT this fails if another process listens there.
                drop(bound(addr, false)?);
            }
            let socket = bound(addr, true)?;
            let addr = socket.local_addr()?.as_socket();
            let addr = addr.ok_or_else(|| io::Error::other("the socket has no IP address"))?;
            Ok(Reservation { _holder: Holder::Socket(socket), addr })
        };
        reserve().map_err(bind_error(addr))
    }

    /// The address, with the port that the system chose; bind it with [`Options::reuse_port`].
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
    // epoll tries first and then waits; a ring waits in the kernel and needs a blocking socket.
    socket.set_nonblocking(core::driver() == Driver::Epoll)?;
    Ok(socket)
}

fn bind(socket: &Socket, addr: SocketAddr, reuse_port: bool) -> io::Result<()> {
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    if addr.is_ipv6() {
        // [::] means both address families here, whatever the system's default is.
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
