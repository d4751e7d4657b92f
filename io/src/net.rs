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
