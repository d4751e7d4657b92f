//! The resources that this process uses, for `/metrics`.

#[cfg(test)]
mod tests;

use crate::blocking;

/// Figures from `/proc/self`. A figure that the kernel does not give is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User and system time of all threads, in seconds.
    pub cpu_seconds: f64,
    /// Memory in RAM, in bytes.
    pub resident_bytes: u64,
    /// Address space, in bytes.
    pub virtual_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// The soft limit on open file descriptors; `u64::MAX` if there is none.
    pub max_fds: u64,
    /// Start of the process in seconds since 1970.
    pub start_seconds: f64,
    /// Threads.
    pub threads: u64,
}

/// Clock ticks per second in `/proc`: 100 on every Linux.
const TICKS: f64 = 100.0;

/// Resident bytes of this process. One short read, cheap enough for many calls a second.
pub fn resident_bytes() -> u64 {
    #[cfg(feature = "sim")]
    if crate::sim::current().is_some() {
        return 0;
    }
    kibibytes(&blocking::read_text("/proc/self/status").unwrap_or_default(), "VmRSS:")
}

/// Bytes of memory that this process may use: the lowest limit of its cgroup and the cgroups above
/// it, or the machine's memory. 0 if the kernel says neither.
pub fn memory_available() -> u64 {
    let cgroup = blocking::read_text("/proc/self/cgroup").unwrap_or_default();
    let number = |path: String| blocking::read_text(&path).ok()?.trim().parse::<u64>().ok();
    let least = memory_limit_files(&cgroup).into_iter().filter_map(number).min();
    let info = blocking::read_text("/proc/meminfo").unwrap_or_default();
    let machine = kibibytes(&info, "MemTotal:");
    // Version 1 cgroups without a limit show a number larger than any machine's memory.
    least.filter(|limit| *limit > 0 && *limit < machine).unwrap_or(machine)
}

/// The files with the memory limits of a process whose `/proc/self/cgroup` contains `cgroup` (see
/// cgroups(7)). A container may see its path on the host, which it cannot open; its own limit is
/// then at the root.
fn memory_limit_files(cgroup: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let above = std::path::Path::new(path).ancestors();
        let paths = above.map(|path| path.display().to_string());
        files.extend(paths.map(|path| format!("{root}{}/{file}", path.trim_end_matches('/'))));
    }
    files
}

/// Reads the figures. Takes some ten microseconds, and a few more for each hundred open files, so a
/// core may call it at each scrape.
pub fn usage() -> Usage {
    #[cfg(feature = "sim")]
    if crate::sim::current().is_some() {
        return Usage::default();
    }
    let text = |path| blocking::read_text(path).unwrap_or_default();
    let mut usage = parse_stat(&text("/proc/self/stat"), boot_seconds(&text("/proc/stat")));
    let status = text("/proc/self/status");
    usage.resident_bytes = kibibytes(&status, "VmRSS:");
    usage.max_fds = parse_max_fds(&text("/proc/self/limits"));
    // The listing itself holds one descriptor.
    usage.open_fds = count_fds().saturating_sub(1);
    usage
}

fn count_fds() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64)
}

fn boot_seconds(stat: &str) -> f64 {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "));
    line.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0.0)
}

/// A size in `/proc/self/status`, in bytes. Unlike `stat`, it does not depend on the page size.
fn kibibytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn parse_max_fds(limits: &str) -> u64 {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    match line.and_then(|line| line.split_whitespace().next()) {
        Some("unlimited") => u64::MAX,
        Some(soft) => soft.parse().unwrap_or(0),
        None => 0,
    }
}

/// Parses `/proc/self/stat`. Fields are numbered as in proc(5); the second may contain spaces.
fn parse_stat(stat: &str, boot_seconds: f64) -> Usage {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let number =
        |field: usize| fields.get(field - 3).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    Usage {
        cpu_seconds: (number(14) + number(15)) as f64 / TICKS,
        virtual_bytes: number(23),
        start_seconds: boot_seconds + number(22) as f64 / TICKS,
        threads: number(20),
        ..Usage::default()
    }
}
