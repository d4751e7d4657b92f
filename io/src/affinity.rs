//! What a thread tells the scheduler: which cpu it runs on, and that it wants only idle cycles.
#![expect(unsafe_code, reason = "sched_setaffinity and sched_setscheduler have no safe wrapper")]

use std::io;

/// Pins the calling thread to `cpu`.
///
/// # Errors
/// `InvalidInput` if a cpu mask cannot hold the number; otherwise the kernel's error.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        let text = format!("cpu {cpu} is beyond the {} a mask can name", libc::CPU_SETSIZE);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    // SAFETY: an all-zero cpu_set_t is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: cpu is below CPU_SETSIZE, so the bit lies inside the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: pid 0 is the calling thread; the set outlives the call and its size is given.
    let failed = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) } != 0;
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Moves the calling thread to SCHED_IDLE, or to nice 19 where that class is refused.
///
/// # Errors
/// The kernel's error from the second attempt; the thread then runs at normal priority.
pub(crate) fn become_idle_class() -> io::Result<()> {
    // SAFETY: an all-zero sched_param is valid and is what SCHED_IDLE demands.
    let param: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: pid 0 is the calling thread; param outlives the call.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &param) } == 0 {
        return Ok(());
    }
    // SAFETY: plain integers; on Linux who = 0 is the calling thread.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}
