//! TCP listeners and streams.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use compio::BufResult;
use compio::buf::{IntoInner, IoBuf, IoBufMut};
use compio::io::{AsyncRead, AsyncWrite};
use socket2::{Protocol, SockRef, Type};

use super::{Options, bind, bind_error, new_socket, no_room};
use crate::error::IoError;
use crate::{task, time};

/// A socket that accepts connections on this core.
#[derive(Debug)]
pub struct TcpListener {
    backend: ListenerBackend,
    addr: SocketAddr,
}

/// The implementation behind a listener.
#[derive(Debug)]
enum ListenerBackend {
    Real(compio::net::TcpListener),
    #[cfg(feature = "sim")]
    Sim(crate::sim::SimListener),
}

/// Why no connection was accepted, by what to do next.
#[derive(Debug)]
pub enum AcceptError {
    /// The process or the system is out of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM):
    /// wait before trying again; the connection stays in the queue.
    Exhausted(io::Error),
    /// Only this connection failed, before it was accepted: try again at once.
    Connection(io::Error),
    /// The listener itself is broken.
    Listener(io::Error),
}

impl AcceptError {
    pub(super) fn sort(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                AcceptError::Exhausted(error)
            }
            Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP | libc::EFAULT) => {
                AcceptError::Listener(error)
            }
            _ => AcceptError::Connection(error),
        }
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcceptError::Exhausted(e) => write!(
                f,
                "cannot accept a connection: {e}; raise the limit on open files (ulimit -n, \
                 LimitNOFILE=) or lower the bound on connections"
            ),
            AcceptError::Connection(e) => {
                write!(f, "a connection failed before it was accepted: {e}")
            }
            AcceptError::Listener(e) => write!(f, "the listener is broken: {e}"),
        }
    }
}

impl std::error::Error for AcceptError {}

impl TcpListener {
    /// Listens on `addr`; port 0 lets the system choose. Does not wait.
    ///
    /// # Errors
    /// `AddressInUse` or `Bind`.
    pub fn bind(addr: SocketAddr, options: Options) -> Result<TcpListener, IoError> {
        #[cfg(feature = "sim")]
        if let Some(world) = crate::sim::current() {
            let (sim, addr) = crate::sim::SimListener::bind(&world, addr, options.reuse_port)?;
            return Ok(TcpListener { backend: ListenerBackend::Sim(sim), addr });
        }
        let listen = || {
            let socket = new_socket(addr, Type::STREAM, Protocol::TCP)?;
            // A restart must not wait until connections of the last run time out.
            socket.set_reuse_address(true)?;
            bind(&socket, addr, options.reuse_port)?;
            socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
            let inner = compio::net::TcpListener::from_std(socket.into())?;
            let addr = inner.local_addr()?;
            Ok(TcpListener { backend: ListenerBackend::Real(inner), addr })
        };
        listen().map_err(bind_error(addr))
    }

    /// The address it listens on, with the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits for a connection. A connection that arrives while the future is being dropped may be
    /// closed at once.
    ///
    /// # Errors
    /// [`AcceptError`], which says whether to try again.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr), AcceptError> {
        match &self.backend {
            ListenerBackend::Real(inner) => {
                let (inner, addr) = inner.accept().await.map_err(AcceptError::sort)?;
                task::spend().await;
                Ok((TcpStream::new(StreamBackend::Real(inner)), addr))
            }
            #[cfg(feature = "sim")]
            ListenerBackend::Sim(sim) => {
                let stream = sim.accept().await;
                let (_, peer) = stream.addrs();
                Ok((TcpStream::new(StreamBackend::Sim(stream)), peer))
            }
        }
    }
}

/// A TCP connection. Clones share it, for a reader and a writer in separate tasks. It closes with
/// the last clone.
#[derive(Clone, Debug)]
pub struct TcpStream {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    backend: StreamBackend,
    /// An operation was dropped before its end, so the kernel may still be working on it.
    abandoned: Cell<bool>,
}

/// The implementation behind a connection.
#[derive(Debug)]
enum StreamBackend {
    Real(compio::net::TcpStream),
    #[cfg(feature = "sim")]
    Sim(Rc<crate::sim::SimStream>),
}

/// Runs an operation on the simulated connection, if this is one.
macro_rules! in_world {
    ($shared:expr, $sim:ident => $operation:expr) => {
        #[cfg(feature = "sim")]
        if let StreamBackend::Sim($sim) = &$shared.backend {
            return $operation;
        }
    };
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.abandoned.get() {
            // Closing would not end the connection, because the kernel keeps the socket open for
            // the abandoned operation. Shutting it down does. If it is down already, this does
            // nothing.
            in_world!(self, sim => sim.reset());
            let _ = self.socket().shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self.real())
    }

    /// The socket. Operations on a simulated connection have returned before this is called.
    fn real(&self) -> &compio::net::TcpStream {
        match &self.backend {
            StreamBackend::Real(inner) => inner,
            #[cfg(feature = "sim")]
            StreamBackend::Sim(_) => unreachable!("a simulated connection has no socket"),
        }
    }
}

/// Marks the connection as abandoned unless [`InFlight::done`] is called.
struct InFlight<'a> {
    shared: &'a Shared,
    done: bool,
}

impl InFlight<'_> {
    fn done(mut self) {
        self.done = true;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.shared.abandoned.set(true);
        }
    }
}

/// Time between two checks whether the peer has closed.
const PEER_CHECK_INTERVAL: Duration = Duration::from_millis(250);

impl TcpStream {
    fn new(backend: StreamBackend) -> Self {
        TcpStream { shared: Rc::new(Shared { backend, abandoned: Cell::new(false) }) }
    }

    fn begin(&self) -> InFlight<'_> {
        InFlight { shared: &self.shared, done: false }
    }

    /// Connects to `addr`.
    ///
    /// # Errors
    /// The operating system's error, with the address.
    pub async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
        let context =
            |e: io::Error| io::Error::new(e.kind(), format!("cannot connect to {addr}: {e}"));
        #[cfg(feature = "sim")]
        if let Some(world) = crate::sim::current() {
            let stream = crate::sim::SimStream::connect(world, addr).await.map_err(context)?;
            return Ok(TcpStream::new(StreamBackend::Sim(stream)));
        }
        let socket = new_socket(addr, Type::STREAM, Protocol::TCP).map_err(context)?;
        let socket = compio::net::TcpSocket::from_std_stream(socket.into()).map_err(context)?;
        let inner = socket.connect(addr).await.map_err(context)?;
        Ok(TcpStream::new(StreamBackend::Real(inner)))
    }

    /// Reads once, appending to the spare capacity of `buf`. Returns the number of bytes read; 0
    /// means that the peer sends no more.
    ///
    /// Dropping the future loses the buffer and perhaps bytes of the stream, so close the
    /// connection then.
    ///
    /// # Errors
    /// `InvalidInput` if `buf` has no spare capacity; otherwise the operating system's error.
    pub async fn read(&self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        if buf.len() == buf.capacity() {
            return (Err(no_room()), buf);
        }
        let in_flight = self.begin();
        #[cfg(feature = "sim")]
        if let StreamBackend::Sim(sim) = &self.shared.backend {
            let mut buf = buf;
            let most = buf.capacity() - buf.len();
            let result = sim.read(&mut buf, most).await;
            in_flight.done();
            return (result, buf);
        }
        let mut inner = self.shared.real();
        let BufResult(result, buf) = inner.read(buf.uninit()).await;
        in_flight.done();
        task::spend().await;
        (result, buf.into_inner())
    }

    /// Writes all of `buf`.
    ///
    /// # Errors
    /// The operating system's error; how much was sent is then unknown.
    pub async fn write_all(&self, mut buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let mut done = 0;
        while done < buf.len() {
            let (result, back) = self.write_part(buf, done).await;
            buf = back;
            match result {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), buf),
                Ok(sent) => done += sent,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return (Err(e), buf),
            }
        }
        task::spend().await;
        (Ok(()), buf)
    }

    /// Writes once, from `begin` of `buf` on, as much as the socket takes. For callers that watch
    /// the progress of a long write.
    ///
    /// # Errors
    /// The operating system's error.
    pub async fn write_from(&self, buf: Vec<u8>, begin: usize) -> (io::Result<usize>, Vec<u8>) {
        let written = self.write_part(buf, begin).await;
        task::spend().await;
        written
    }

    async fn write_part(&self, buf: Vec<u8>, begin: usize) -> (io::Result<usize>, Vec<u8>) {
        let in_flight = self.begin();
        #[cfg(feature = "sim")]
        if let StreamBackend::Sim(sim) = &self.shared.backend {
            let result = sim.write(&buf[begin..]).await;
            in_flight.done();
            return (result, buf);
        }
        let mut inner = self.shared.real();
        let BufResult(result, slice) = inner.write(buf.slice(begin..)).await;
        in_flight.done();
        (result, slice.into_inner())
    }

    /// Says that nothing more will be sent; reading still works. Does not wait.
    ///
    /// # Errors
    /// The operating system's error, unless the connection is down already.
    pub fn shutdown(&self) -> io::Result<()> {
        self.stop(Shutdown::Write)
    }

    /// Ends the connection in both directions, and with it reads and writes in flight. Does not
    /// wait.
    ///
    /// # Errors
    /// As [`TcpStream::shutdown`].
    pub fn abort(&self) -> io::Result<()> {
        self.stop(Shutdown::Both)
    }

    fn stop(&self, how: Shutdown) -> io::Result<()> {
        in_world!(self.shared, sim => {
            if how == Shutdown::Write { sim.end() } else { sim.reset() }
            Ok(())
        });
        match self.shared.socket().shutdown(how) {
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }

    /// Sends small writes at once instead of waiting to fill a packet (TCP_NODELAY).
    ///
    /// # Errors
    /// The operating system's error.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        in_world!(self.shared, _sim => Ok(()));
        self.shared.socket().set_tcp_nodelay(on)
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// The operating system's error, for example if the peer is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        in_world!(self.shared, sim => Ok(sim.addrs().1));
        self.shared.real().peer_addr()
    }

    /// The local address.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        in_world!(self.shared, sim => Ok(sim.addrs().0));
        self.shared.real().local_addr()
    }

    /// Whether the peer has closed or reset the connection and everything it sent was read. One
    /// system call, no waiting.
    pub fn is_peer_closed(&self) -> bool {
        in_world!(self.shared, sim => sim.is_peer_closed());
        let mut byte = [MaybeUninit::uninit()];
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        match self.shared.socket().recv_with_flags(&mut byte, flags) {
            Ok(count) => count == 0,
            Err(e) => {
                let alive = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
                !alive.contains(&e.kind())
            }
        }
    }

    /// Resolves within a quarter of a second after the peer has closed. Race it against work that
    /// is useless then, such as a long query.
    pub async fn peer_closed(&self) {
        while !self.is_peer_closed() {
            time::sleep(PEER_CHECK_INTERVAL).await;
        }
    }
}
