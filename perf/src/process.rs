//! What the system says about processes: CPU time and memory of the server, CPU time of our
//! threads, idle time of the machine. Also pins threads to cpus.

#![allow(unsafe_code, reason = "affinity, thread clocks and timer slack have no call in std")]

use std::path::Path;

/// The resources of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// Seconds in user mode. The kernel divides the exact total by samples of its clock.
    pub(crate) user_s: f64,
    /// Seconds in the kernel.
    pub(crate) system_s: f64,
    /// Resident bytes, those of them that are anonymous, and the maximum so far.
    pub(crate) resident: u64,
    pub(crate) anonymous: u64,
    pub(crate) peak: u64,
    pub(crate) threads: u64,
}

impl Usage {
    /// Of process `pid` with all its threads, including ended ones.
    pub(crate) fn of(pid: u32) -> Result<Self, String> {
        let read = |name: &str| {
            std::fs::read_to_string(format!("/proc/{pid}/{name}"))
                .map_err(|e| format!("the server's process {pid}: {e}"))
        };
        Ok(Self::parse(&read("stat")?, &read("status")?))
    }

    fn parse(stat: &str, status: &str) -> Self {
        // The command's name may contain spaces, so fields are counted after it.
        let fields: Vec<_> =
            stat.rsplit_once(')').map_or("", |(_, f)| f).split_whitespace().collect();
        let seconds = |at: usize| {
            let ticks = fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
            ticks / ticks_per_s()
        };
        let value = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Self {
            user_s: seconds(11),
            system_s: seconds(12),
            resident: value("VmRSS:") * 1024,
            anonymous: value("RssAnon:") * 1024,
            peak: value("VmHWM:") * 1024,
            threads: value("Threads:"),
        }
    }

    /// Seconds in both modes.
    pub(crate) fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }
}

fn ticks_per_s() -> f64 {
    // SAFETY: sysconf reads a constant of the system.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

/// Ticks of all cpus: idle, idle while waiting for the disk, and total.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Machine {
    idle: u64,
    waiting: u64,
    all: u64,
    cpus: usize,
}

impl Machine {
    pub(crate) fn now() -> Self {
        Self::parse(&std::fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    fn parse(stat: &str) -> Self {
        let line = stat.lines().next().unwrap_or_default();
        // Time of guests is included in the first eight.
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).take(8).filter_map(|t| t.parse().ok()).collect();
        let at = |index: usize| ticks.get(index).copied().unwrap_or(0);
        let is_cpu = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
        let cpus = stat.lines().filter(is_cpu).count();
        Self { idle: at(3), waiting: at(4), all: ticks.iter().sum(), cpus }
    }

    /// The number of cpus, whatever this process is pinned to.
    pub(crate) const fn cpus(&self) -> usize {
        self.cpus
    }

    /// Shares of all cpus' time since `before`: idle, and idle while waiting for the disk.
    pub(crate) fn since(&self, before: &Self) -> (f64, f64) {
        let all = self.all.saturating_sub(before.all).max(1) as f64;
        let share = |now: u64, then: u64| now.saturating_sub(then) as f64 / all;
        (share(self.idle, before.idle), share(self.waiting, before.waiting))
    }
}

/// CPU seconds of the calling thread.
pub(crate) fn thread_cpu_s() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, which is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Pins the calling thread, and the threads and processes that it starts, to `cpu`, or unpins it.
pub(crate) fn pin(cpu: Option<usize>) {
    let cpus = cpu.map_or(0..libc::CPU_SETSIZE as usize, |cpu| cpu..cpu + 1);
    // SAFETY: a zeroed cpu_set_t is an empty set; the calls read and write only that set, and do
    // nothing for cpus beyond it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        cpus.for_each(|cpu| libc::CPU_SET(cpu, &mut set));
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}

/// Makes the calling thread's sleeps accurate to a microsecond instead of 50.
pub(crate) fn sleep_exactly() {
    // SAFETY: the call sets a number of the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1000_u64) };
}

/// Sends SIGTERM to `pid`.
pub(crate) fn ask_to_end(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        // SAFETY: sends a signal; `pid` is a child of ours that nobody has waited for yet.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}

/// Bytes on disk of the files in a directory.
pub(crate) fn disk_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        // A server may remove a file in between.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes +=
            if metadata.is_dir() { disk_bytes(&entry.path()) } else { metadata.blocks() * 512 };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Machine, Usage, thread_cpu_s};

    #[test]
    fn a_process_whose_name_has_blanks_is_read() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 3 0 9";
        let status = "VmHWM:\t 300 kB\nVmRSS:\t  200 kB\nRssAnon:\t 100 kB\nThreads:\t3\n";
        let usage = Usage::parse(stat, status);
        assert!((usage.user_s - 1.5).abs() < 1e-9 && (usage.system_s - 0.5).abs() < 1e-9);
        let sizes = (usage.resident, usage.anonymous, usage.peak, usage.threads);
        assert_eq!(sizes, (204_800, 102_400, 307_200, 3));
        assert!(Usage::of(u32::MAX).is_err());
    }

    #[test]
    fn shares_of_the_machine_are_of_the_time_between() {
        let before = Machine::parse("cpu  10 0 10 100 20 0 0 0 0 0\ncpu0 1 1 1 1\n");
        let after = Machine::parse("cpu  60 0 10 130 40 0 0 0 7 7\n");
        let (idle, waiting) = after.since(&before);
        assert_eq!((before.cpus(), after.cpus()), (1, 0));
        assert!((idle - 0.3).abs() < 1e-9 && (waiting - 0.2).abs() < 1e-9, "{idle} {waiting}");
    }

    #[test]
    fn a_thread_knows_its_own_time() {
        let before = thread_cpu_s();
        let mut sum = 0_u64;
        while thread_cpu_s() - before < 0.01 {
            sum = std::hint::black_box(sum + 1);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(thread_cpu_s() - before < 0.05);
    }
}
