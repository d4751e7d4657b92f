//! What can go wrong below the facade, in words that say what would be right.
//!
//! Two kinds: [`IoError`] for what a person must fix (driver, cores, addresses, locks), and
//! `std::io::Error` for what an operation met. The latter carries a [`PathError`] wherever a path
//! is known; its kind is kept, and [`os_code`] finds the number of the operating system in both.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A failure that ends the start of the node, or one that a person has to act on.
#[derive(Debug)]
pub enum IoError {
    /// `io.driver` is none of the three words.
    UnknownDriver {
        /// What was written.
        given: String,
    },
    /// io_uring was demanded and the kernel refused the ring.
    UringRefused {
        /// Which call failed, how, and because of what.
        reason: String,
        /// The exact setting that would allow it.
        remedy: String,
    },
    /// A cpu list does not read as `0-3,8`.
    BadCpuList {
        /// What was written.
        given: String,
        /// The part that does not fit, and why.
        why: String,
    },
    /// A cpu was asked for that the process may not use.
    CpuNotAllowed {
        /// The cpu asked for.
        cpu: usize,
        /// The cpus of the process's affinity mask.
        allowed: Vec<usize>,
    },
    /// An option of the runtime is outside its bounds.
    BadOption {
        /// The option's name.
        name: &'static str,
        /// What was given.
        given: String,
        /// The values that are allowed.
        allowed: String,
    },
    /// The thread or the runtime of one core could not be made.
    CoreStart {
        /// Which core, counted from 0.
        core: u16,
        /// The cpu it was to be pinned to.
        cpu: usize,
        /// The step that failed.
        step: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another socket owns the address.
    AddressInUse {
        /// The address.
        addr: SocketAddr,
    },
    /// The address could not be bound for another reason.
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process holds the directory.
    DirLocked {
        /// The lock file.
        path: PathBuf,
        /// The process that wrote itself into the lock file, if it did.
        holder: Option<u32>,
    },
    /// A file operation failed.
    File(io::Error),
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IoError::UnknownDriver { given } => {
                write!(f, "unknown I/O driver {given:?}; it is one of auto, io_uring, epoll")
            }
            IoError::UringRefused { reason, remedy } => write!(
                f,
                "io_uring was demanded but refused: {reason}; {remedy}, or set the driver to auto or epoll"
            ),
            IoError::BadCpuList { given, why } => {
                write!(f, "bad cpu list {given:?}: {why}; write it as 0-3,8")
            }
            IoError::CpuNotAllowed { cpu, allowed } => write!(
                f,
                "cpu {cpu} is not among the cpus this process may use ({}); choose from those or widen \
                 its cpuset or affinity mask",
                format_cpus(allowed)
            ),
            IoError::BadOption { name, given, allowed } => {
                write!(f, "{name} is {given}; it must be {allowed}")
            }
            IoError::CoreStart { core, cpu, step, source } => {
                write!(f, "core {core} (cpu {cpu}) could not start: {step}: {source}")
            }
            IoError::AddressInUse { addr } => write!(
                f,
                "address {addr} is already in use; stop the process that listens there (`ss -ltnp 'sport = :{}'` \
                 names it) or choose another address",
                addr.port()
            ),
            IoError::Bind { addr, source } => {
                write!(f, "cannot listen on {addr}: {source}{}", bind_hint(source))
            }
            IoError::DirLocked { path, holder } => {
                write!(f, "{} is locked by ", path.display())?;
                match holder {
                    Some(pid) => write!(f, "the running process {pid}")?,
                    None => write!(f, "another running process")?,
                }
                write!(
                    f,
                    "; stop that process or choose another data directory (do not delete the lock file)"
                )
            }
            IoError::File(source) => write!(f, "{source}"),
        }
    }
}

impl std::error::Error for IoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            IoError::CoreStart { source, .. } | IoError::Bind { source, .. } => Some(source),
            IoError::File(source) => Some(source),
            _ => None,
        }
    }
}

impl From<io::Error> for IoError {
    fn from(source: io::Error) -> Self {
        IoError::File(source)
    }
}

/// What would make a refused bind work.
fn bind_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 want CAP_NET_BIND_SERVICE: choose a higher port or grant it"
        }
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has that address",
        _ => "",
    }
}

/// Cpus as a person writes them: `0-3,8`.
pub(crate) fn format_cpus(cpus: &[usize]) -> String {
    let mut text = String::new();
    let mut rest = cpus;
    while let Some((&first, _)) = rest.split_first() {
        let run = rest.iter().enumerate().take_while(|(i, cpu)| **cpu == first + i).count();
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&first.to_string());
        if run > 1 {
            text.push('-');
            text.push_str(&(first + run - 1).to_string());
        }
        rest = &rest[run..];
    }
    text
}

/// The other side is gone: dropped, stopped or panicked. What was sent to it is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other side is gone")
    }
}

impl std::error::Error for Gone {}

/// An operating system's error together with what was being done to which path.
#[derive(Debug)]
pub struct PathError {
    op: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl PathError {
    /// The path that was worked on.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.op, self.path.display(), self.source)
    }
}

impl std::error::Error for PathError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Wraps `source` so that it names the operation and the path; its kind stays.
pub(crate) fn at_path(op: &'static str, path: &Path, source: io::Error) -> io::Error {
    if source.get_ref().is_some_and(|inner| inner.is::<PathError>()) {
        return source;
    }
    io::Error::new(source.kind(), PathError { op, path: path.to_owned(), source })
}

/// The number the operating system gave, also where a path was added to the error.
pub fn os_code(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| {
        error.get_ref()?.downcast_ref::<PathError>().and_then(|inner| inner.source.raw_os_error())
    })
}
