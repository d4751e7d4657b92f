//! Preallocation as a ring operation, which the runtime does not offer.
#![expect(unsafe_code, reason = "an operation of the runtime is an unsafe trait")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::task::Poll;

use compio::driver::{Decision, IourOpCode, OpEntry, PollOpCode};

/// Reserves `len` bytes from the start of the file and extends it to that length.
pub(super) struct Allocate<S> {
    fd: S,
    len: u64,
}

impl<S: AsFd> Allocate<S> {
    pub(super) fn new(fd: S, len: u64) -> Self {
        Allocate { fd, len }
    }

    fn call(&self) -> io::Result<usize> {
        let len = libc::off64_t::try_from(self.len)
            .map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
        // SAFETY: plain integers; the descriptor is open because `fd` owns it.
        let failed = unsafe { libc::fallocate64(self.fd.as_fd().as_raw_fd(), 0, 0, len) } != 0;
        if failed { Err(io::Error::last_os_error()) } else { Ok(0) }
    }
}

// SAFETY: the entry refers to no memory, only to a descriptor that `fd` keeps open until the
// operation is complete.
unsafe impl<S: AsFd> IourOpCode for Allocate<S> {
    type Control = ();

    fn create_entry(&mut self, _: &mut ()) -> OpEntry {
        let fd = io_uring::types::Fd(self.fd.as_fd().as_raw_fd());
        io_uring::opcode::Fallocate::new(fd, self.len).build().into()
    }

    fn call_blocking(&mut self, _: &mut ()) -> io::Result<usize> {
        self.call()
    }
}

// SAFETY: it never waits for readiness, so there is no descriptor to name in `op_type`.
unsafe impl<S: AsFd> PollOpCode for Allocate<S> {
    type Control = ();

    fn pre_submit(&mut self, _: &mut ()) -> io::Result<Decision> {
        Ok(Decision::Blocking)
    }

    fn operate(&mut self, _: &mut ()) -> Poll<io::Result<usize>> {
        Poll::Ready(self.call())
    }
}
