//! UDP sockets.

use std::io;
use std::net::SocketAddr;

use compio::BufResult;
use compio::buf::{IntoInner, IoBufMut};
use socket2::{Protocol, Type};

use super::{Options, bind, bind_error, new_socket, no_room};
use crate::error::IoError;
use crate::task;

/// A UDP socket of this core.
#[derive(Debug)]
pub struct UdpSocket {
    inner: compio::net::UdpSocket,
    addr: SocketAddr,
}

impl UdpSocket {
    /// Binds `addr`; port 0 lets the system choose. Does not wait.
    ///
    /// # Errors
    /// `AddressInUse` or `Bind`.
    pub fn bind(addr: SocketAddr, options: Options) -> Result<UdpSocket, IoError> {
        let open = || {
            let socket = new_socket(addr, Type::DGRAM, Protocol::UDP)?;
            bind(&socket, addr, options.reuse_port)?;
            let inner = compio::net::UdpSocket::from_std(socket.into())?;
            let addr = inner.local_addr()?;
            Ok(UdpSocket { inner, addr })
        };
        open().map_err(bind_error(addr))
    }

    /// The address it is bound to, with the port the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits for a datagram and appends it to the spare capacity of `buf`; bytes that do not fit
    /// are lost. Returns its length and its sender.
    ///
    /// # Errors
    /// `InvalidInput` if `buf` has no spare capacity; otherwise the operating system's error.
    pub async fn recv_from(&self, buf: Vec<u8>) -> (io::Result<(usize, SocketAddr)>, Vec<u8>) {
        if buf.len() == buf.capacity() {
            return (Err(no_room()), buf);
        }
        let BufResult(result, buf) = self.inner.recv_from(buf.uninit()).await;
        task::spend().await;
        (result, buf.into_inner())
    }

    /// Sends `buf` as one datagram.
    ///
    /// # Errors
    /// The operating system's error.
    pub async fn send_to(&self, buf: Vec<u8>, to: SocketAddr) -> (io::Result<usize>, Vec<u8>) {
        let BufResult(result, buf) = self.inner.send_to(buf, to).await;
        (result, buf)
    }
}
