//! Process limits that matter to a server: open files and locked memory.
//!
//! The soft limit is in force; a process may raise it up to the hard limit. Shells and service
//! managers keep the soft limit low for programs that use `select`.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limits in force; `u64::MAX` means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimits {
    /// Files and sockets that may be open at once.
    pub open_files: u64,
    /// Bytes of locked memory. Kernels before 5.12 count io_uring rings in it.
    pub locked_bytes: u64,
}

/// Raises the soft limits to the hard limits and returns the limits then in force.
pub fn raise() -> ResourceLimits {
    ResourceLimits { open_files: raised(Resource::Nofile), locked_bytes: raised(Resource::Memlock) }
}

fn raised(resource: Resource) -> u64 {
    let limit = getrlimit(resource);
    if limit.current != limit.maximum {
        // If the kernel refuses, the soft limit stays in force and is returned.
        let _ = setrlimit(resource, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    getrlimit(resource).current.unwrap_or(u64::MAX)
}

/// Whether this kernel counts io_uring rings as locked memory, judged by its release.
pub fn rings_are_locked_memory() -> bool {
    let release = crate::blocking::read_text("/proc/sys/kernel/osrelease").unwrap_or_default();
    is_before(&release, (5, 12))
}

fn is_before(release: &str, wanted: (u32, u32)) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < wanted,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_before, raise};

    #[test]
    fn soft_limits_are_raised_to_the_hard_ones() {
        let before = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let raised = raise();
        assert_eq!(raised.open_files, before.maximum.unwrap_or(u64::MAX));
        assert_eq!(raise(), raised);
    }

    #[test]
    fn releases_are_compared_as_numbers() {
        assert!(is_before("5.4.0-150-generic\n", (5, 12)));
        assert!(!is_before("5.12.0\n", (5, 12)));
        assert!(!is_before("6.1.0-13-amd64\n", (5, 12)));
        assert!(!is_before("unknown", (5, 12)));
    }
}
