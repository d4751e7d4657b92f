//! Another process' CPU time and memory, and our own cpu.

#![allow(unsafe_code, reason = "pinning a thread needs one call that std does not have")]

/// CPU seconds and resident bytes of process `pid`; zeros if it is gone.
pub(crate) fn usage(pid: u32) -> (f64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The command's name may hold blanks; fields are counted after it.
    let fields: Vec<_> = stat.rsplit_once(')').map_or("", |(_, f)| f).split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = rss.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
    ((number(11) + number(12)) / 100.0, kib * 1024)
}

/// Pins the calling thread, and the threads it will make, to `cpu`.
pub(crate) fn pin(cpu: usize) {
    // SAFETY: a zeroed cpu_set_t is an empty set; the calls read and write only that set.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}
