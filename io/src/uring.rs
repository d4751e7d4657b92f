//! Asks the kernel for rings of the shape that the cores will use, all of them at once.
//!
//! A smaller probe would mislead: ring memory counts against RLIMIT_MEMLOCK per user, so the fifth
//! ring can be refused although the first was granted.
#![expect(unsafe_code, reason = "pushing an entry into a submission queue is unsafe by design")]

use std::io;

/// The step that failed, and the kernel's error.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) step: &'static str,
    /// Rings that were granted before this one.
    pub(crate) granted: usize,
    pub(crate) error: io::Error,
}

/// Creates `rings` rings of `entries` entries, runs one no-op through each, and drops them all.
/// True if they accept the cooperative flags (Linux 5.19), false if they work only without.
pub(crate) fn probe(rings: usize, entries: u32) -> Result<bool, Refusal> {
    match probe_with(rings, entries, true) {
        Err(refusal) if refusal.error.raw_os_error() == Some(libc::EINVAL) => {
            probe_with(rings, entries, false).map(|()| false)
        }
        other => other.map(|()| true),
    }
}

fn probe_with(rings: usize, entries: u32, cooperative: bool) -> Result<(), Refusal> {
    let mut held = Vec::with_capacity(rings);
    for granted in 0..rings {
        let refuse = |step| move |error| Refusal { step, granted, error };
        let mut builder: io_uring::Builder = io_uring::IoUring::builder();
        builder.dontfork();
        if cooperative {
            builder.setup_coop_taskrun().setup_taskrun_flag();
        }
        let mut ring = builder.build(entries).map_err(refuse("io_uring_setup"))?;
        let nop = io_uring::opcode::Nop::new().build();
        // SAFETY: a no-op refers to no memory.
        let pushed = unsafe { ring.submission().push(&nop) };
        pushed.map_err(|_| Refusal {
            step: "io_uring submission queue",
            granted,
            error: io::Error::from_raw_os_error(libc::EINVAL),
        })?;
        ring.submit_and_wait(1).map_err(refuse("io_uring_enter"))?;
        held.push(ring);
    }
    Ok(())
}
