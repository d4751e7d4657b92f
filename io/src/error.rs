//! Errors of this crate. Each text says what would be right.
//!
//! There are two kinds: [`IoError`] for what a person must fix (driver, cores, addresses, locks),
//! and `std::io::Error` for a failed operation. The latter carries a [`PathError`] if a path is
//! known. Its kind is kept, and [`os_code`] finds the operating system's error number in both.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A failure that prevents the start of the node or needs a person to act.
#[derive(Debug)]
pub enum IoError {
    /// `io.driver` is not one of its three values.
    UnknownDriver {
        /// What was written.
        given: String,
    },
    /// io_uring was demanded, but the kernel refused the ring.
    UringRefused {
        /// The call that failed, its error, and the cause.
        reason: String,
        /// The exact setting that would allow it.
        remedy: String,
    },
    /// A cpu list that is not written like `0-3,8`.
    BadCpuList {
        /// What was written.
        given: String,
        /// The wrong part, and why.
        why: String,
    },
    /// The process may not use a cpu that was asked for.
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
    /// The thread or the runtime of a core could not be created.
    CoreStart {
        /// Which core, counted from 0.
        core: u16,
        /// The cpu it was to be pinned to.
        cpu: usize,
        /// The step that failed.
        step: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
    /// Another socket owns the address.
    AddressInUse {
        /// The address.
        addr: SocketAddr,
    },
    /// The address could not be bound, for another reason.
    Bind {
        /// The address.
        addr: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// Another process has locked the directory.
    DirLocked {
        /// The lock file.
        path: PathBuf,
        /// The pid in the lock file, if it has one.
        holder: Option<u32>,
    },
    /// Another held on to it for longer than a start waits.
    StillHeld {
        /// What is held: `AddressInUse` or `DirLocked`.
        held: Box<IoError>,
        /// How long the start has waited.
        waited: Duration,
    },
    /// A file operation failed.
    File(io::Error),
}

impl IoError {
    /// Whether somebody else holds what was wanted, and may give it up.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self, IoError::AddressInUse { .. } | IoError::DirLocked { .. })
    }
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
            IoError::StillHeld { held, waited } => {
                write!(f, "{held} (waited {:.1} s)", waited.as_secs_f64())
            }
            IoError::File(source) => write!(f, "{source}"),
        }
    }
}

impl std::error::Error for IoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            IoError::CoreStart { source, .. } | IoError::Bind { source, .. } => Some(source),
            IoError::StillHeld { held, .. } => Some(held),
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

/// What would help if a bind was refused.
fn bind_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 want CAP_NET_BIND_SERVICE: choose a higher port or grant it"
        }
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has that address",
        _ => "",
    }
}

/// A list of cpus as people write it: `0-3,8`.
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

/// An operating system error together with the operation and the path it concerns.
#[derive(Debug)]
pub struct PathError {
    op: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl PathError {
    /// The path of the operation.
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

/// Adds the operation and the path to `source`, keeping its kind.
pub(crate) fn at_path(op: &'static str, path: &Path, source: io::Error) -> io::Error {
    if source.get_ref().is_some_and(|inner| inner.is::<PathError>()) {
        return source;
    }
    io::Error::new(source.kind(), PathError { op, path: path.to_owned(), source })
}

/// The operating system's error number, even if a path was added to the error.
pub fn os_code(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| {
        error.get_ref()?.downcast_ref::<PathError>().and_then(|inner| inner.source.raw_os_error())
    })
}
