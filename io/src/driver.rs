//! Chooses the I/O driver: io_uring, or epoll with a small pool of threads for files.
//!
//! [`probe`] is called once, before the cores start, with the number of cores and ring entries they
//! will use. Its answer holds for all cores: a node never runs on two drivers. If io_uring is
//! refused, the report says why, and which setting would allow it.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use crate::error::IoError;
use crate::uring::{self, Refusal};

/// What the configuration asks for (`io.driver`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// io_uring where the kernel allows it, else epoll.
    #[default]
    Auto,
    /// io_uring; without it the node does not start.
    IoUring,
    /// epoll, even where io_uring is allowed.
    Epoll,
}

impl FromStr for DriverChoice {
    type Err = IoError;

    fn from_str(text: &str) -> Result<Self, IoError> {
        match text {
            "auto" => Ok(DriverChoice::Auto),
            "io_uring" => Ok(DriverChoice::IoUring),
            "epoll" => Ok(DriverChoice::Epoll),
            _ => Err(IoError::UnknownDriver { given: text.to_owned() }),
        }
    }
}

impl fmt::Display for DriverChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DriverChoice::Auto => "auto",
            DriverChoice::IoUring => "io_uring",
            DriverChoice::Epoll => "epoll",
        })
    }
}

/// The I/O driver of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// One ring per core.
    IoUring,
    /// epoll per core; file operations go to a bounded pool of threads.
    Epoll,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Driver::IoUring => "io_uring",
            Driver::Epoll => "epoll",
        })
    }
}

/// The driver the cores will have, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverReport {
    /// The driver.
    pub driver: Driver,
    /// Whether rings run kernel work cooperatively (Linux 5.19), which saves a third of the CPU per
    /// request.
    pub cooperative: bool,
    /// Why it is not io_uring; `None` if it is.
    pub reason: Option<String>,
    /// The setting that would allow io_uring; `None` if it is in use or was not asked for.
    pub remedy: Option<String>,
}

impl DriverReport {
    /// A report for `driver` without asking the kernel; for tests and one-shot tools.
    pub fn assume(driver: Driver) -> Self {
        let reason = (driver == Driver::Epoll).then(|| "epoll was asked for".to_owned());
        DriverReport { driver, cooperative: driver == Driver::IoUring, reason, remedy: None }
    }
}

/// Asks the kernel for `cores` rings of `entries` entries and reports the driver to use.
///
/// # Errors
/// `UringRefused`, with cause and remedy, if io_uring was demanded and the kernel refuses it.
pub fn probe(choice: DriverChoice, cores: usize, entries: u32) -> Result<DriverReport, IoError> {
    #[cfg(feature = "sim")]
    if crate::sim::current().is_some() {
        return Ok(DriverReport::assume(Driver::IoUring));
    }
    if choice == DriverChoice::Epoll {
        return Ok(DriverReport::assume(Driver::Epoll));
    }
    let refusal = match uring::probe(cores, entries) {
        Ok(cooperative) => {
            let driver = Driver::IoUring;
            return Ok(DriverReport { driver, cooperative, reason: None, remedy: None });
        }
        Err(refusal) => refusal,
    };
    let (reason, remedy) = explain(&refusal, cores, entries, &System::read());
    if choice == DriverChoice::IoUring {
        return Err(IoError::UringRefused { reason, remedy });
    }
    Ok(DriverReport {
        driver: Driver::Epoll,
        cooperative: false,
        reason: Some(reason),
        remedy: Some(remedy),
    })
}

/// What the system says about who may create a ring.
#[derive(Debug, Default)]
struct System {
    /// `kernel.io_uring_disabled`, if the kernel has it.
    disabled: Option<u32>,
    /// Whether a seccomp filter is active on this process.
    filtered: bool,
    /// Soft RLIMIT_MEMLOCK in bytes; `None` if unlimited or unknown.
    memlock: Option<u64>,
    /// `uname -r`.
    kernel: String,
}

impl System {
    fn read() -> Self {
        let text = |path| crate::blocking::read_text(path).unwrap_or_default();
        // Filters are per thread, and this thread is the one that creates the rings.
        let status = text("/proc/thread-self/status");
        let limits = text("/proc/self/limits");
        System {
            disabled: text("/proc/sys/kernel/io_uring_disabled").trim().parse().ok(),
            filtered: field(&status, "Seccomp:") == Some("2"),
            memlock: field(&limits, "Max locked memory").and_then(|soft| soft.parse().ok()),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// The first word after `name` on the line that starts with it.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next())
}

/// Cause and remedy of a refused ring, from the error and the state of the system.
fn explain(refusal: &Refusal, cores: usize, entries: u32, system: &System) -> (String, String) {
    let step = refusal.step;
    match refusal.error.raw_os_error() {
        Some(libc::EPERM) => explain_forbidden(step, system),
        Some(libc::ENOSYS) if system.filtered => (
            format!("{step} answers ENOSYS: a seccomp filter on this process hides it"),
            SECCOMP_REMEDY.to_owned(),
        ),
        Some(libc::ENOSYS) => (
            format!("{step} answers ENOSYS: kernel {} has no io_uring", system.kernel),
            "run Linux 5.11 or newer, with CONFIG_IO_URING".to_owned(),
        ),
        Some(libc::ENOMEM) => explain_memory(refusal, cores, entries, system),
        Some(libc::EINVAL) => (
            format!("{step} answers EINVAL for {entries} entries on kernel {}", system.kernel),
            "choose 1 to 32768 ring entries and run Linux 5.11 or newer".to_owned(),
        ),
        Some(libc::EMFILE | libc::ENFILE) => (
            format!("{step} answers {}: no file descriptors left", refusal.error),
            "raise the limit on open files (ulimit -n, LimitNOFILE=, --ulimit nofile=)".to_owned(),
        ),
        _ => (
            format!("{step}: {}", refusal.error),
            "see dmesg; io_uring wants Linux 5.11 or newer".to_owned(),
        ),
    }
}

/// How to get past a container's default seccomp profile.
const SECCOMP_REMEDY: &str = "allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp \
     profile (docker run --security-opt seccomp=PROFILE.json)";

fn explain_forbidden(step: &str, system: &System) -> (String, String) {
    match system.disabled {
        Some(2) => (
            format!("{step} answers EPERM: kernel.io_uring_disabled is 2"),
            "run `sysctl -w kernel.io_uring_disabled=0`".to_owned(),
        ),
        Some(1) if !system.filtered => (
            format!("{step} answers EPERM: kernel.io_uring_disabled is 1 (privileged only)"),
            "run `sysctl -w kernel.io_uring_disabled=0`, or put this process's group into \
             kernel.io_uring_group"
                .to_owned(),
        ),
        _ if system.filtered => (
            format!("{step} answers EPERM: a seccomp filter on this process forbids it"),
            SECCOMP_REMEDY.to_owned(),
        ),
        _ => (
            format!("{step} answers EPERM"),
            "allow io_uring in the security module that confines this process (SELinux, AppArmor)"
                .to_owned(),
        ),
    }
}

/// Bytes of locked memory for a ring of `entries`, rounded up generously: a submission entry takes
/// 64 bytes, its two completion entries 16 bytes each; plus some pages for the heads.
fn ring_bytes(entries: u32) -> u64 {
    u64::from(entries) * (64 + 2 * 16 + 4) + 16 * 1024
}

/// Bytes of locked memory to ask for where rings count as locked memory: what `cores` rings of
/// `entries` entries take, but at least what most systems allow by default.
pub fn locked_bytes_wanted(cores: usize, entries: u32) -> u64 {
    (ring_bytes(entries) * cores as u64).next_multiple_of(1 << 20).max(8 << 20)
}

fn explain_memory(
    refusal: &Refusal,
    cores: usize,
    entries: u32,
    system: &System,
) -> (String, String) {
    let limit = match system.memlock {
        Some(bytes) => format!("RLIMIT_MEMLOCK is {} KiB", bytes / 1024),
        None => "memory is short".to_owned(),
    };
    let want = locked_bytes_wanted(cores, entries);
    (
        format!(
            "{} answers ENOMEM after {} of {cores} rings of {entries} entries: {limit}, and the \
             limit is shared by all processes of the user",
            refusal.step, refusal.granted
        ),
        format!(
            "raise the limit on locked memory to {want} bytes or more (docker run --ulimit \
             memlock={want}, LimitMEMLOCK={want} in a systemd unit)"
        ),
    )
}
