//! `m3ring health`: checks whether a running node is healthy, for an image without a shell.
//!
//! One blocking GET of `/health` over its own socket, before any core exists. Always holds: the
//! check ends within [`PATIENCE`] and reads at most [`HEAD_BYTES_MAX`] bytes, whatever listens
//! there.

use m3_io::time;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a node may take to connect and to answer, together.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes of an answer within which its status line must end.
pub const HEAD_BYTES_MAX: usize = 1024;

/// Why a node is not healthy.
#[derive(Debug)]
pub enum Unwell {
    /// Nothing listens, or there is no answer.
    Silent {
        /// The address that was asked.
        addr: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// It answers with something other than 200.
    Answered {
        /// The address that was asked.
        addr: SocketAddr,
        /// The first line of the answer.
        line: String,
    },
}

impl fmt::Display for Unwell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent { addr, source } => {
                write!(f, "no answer from http://{addr}/health: {source}")
            }
            Self::Answered { addr, line } => {
                write!(f, "http://{addr}/health answered {line:?} instead of 200")
            }
        }
    }
}

impl std::error::Error for Unwell {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Silent { source, .. } => Some(source),
            Self::Answered { .. } => None,
        }
    }
}

/// Asks the node that listens on `listen`, an address from the configuration; for an unspecified
/// address, this machine's own. Returns the address that answered.
///
/// # Errors
/// [`Unwell`] if there is no answer within [`PATIENCE`], or one other than 200.
pub fn ask(listen: SocketAddr) -> Result<SocketAddr, Unwell> {
    let addr = own(listen);
    let line = status_line(addr, PATIENCE).map_err(|source| Unwell::Silent { addr, source })?;
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    if is_http && words.next() == Some("200") {
        return Ok(addr);
    }
    Err(Unwell::Answered { addr, line })
}

/// The address by which this machine reaches a server that listens on `listen`.
fn own(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The first line of the answer, without its end.
fn status_line(addr: SocketAddr, patience: Duration) -> io::Result<String> {
    let deadline = time::now().plus(patience);
    let left = || {
        let left = deadline.since(time::now());
        if left.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(left) }
    };
    let mut stream = TcpStream::connect_timeout(&addr, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    let ask = format!("GET /health HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes())?;
    let mut head = [0; HEAD_BYTES_MAX];
    let mut len = 0;
    loop {
        if let Some(end) = head[..len].iter().position(|&byte| byte == b'\n') {
            return Ok(String::from_utf8_lossy(head[..end].trim_ascii_end()).into_owned());
        }
        if len == head.len() {
            let text = format!("no status line in the first {HEAD_BYTES_MAX} bytes of the answer");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut head[len..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => len += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // The kernel's text for a timeout of a blocking socket would mislead the reader.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests;
