//! Free space and kind of a file system.
#![expect(unsafe_code, reason = "statvfs and statfs have no safe wrapper in the standard library")]

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Space on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// Its total size.
    pub total: u64,
    /// How much this process may still write.
    pub available: u64,
}

/// Asks the file system that holds `path`. Blocks.
pub(super) fn statvfs(path: &Path) -> io::Result<DiskSpace> {
    let path = c_path(path)?;
    // SAFETY: all-zero is a valid statvfs, which is plain numbers.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends in a zero byte and both outlive the call.
    if unsafe { libc::statvfs(path.as_ptr(), &mut found) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(DiskSpace { total: bytes(found.f_blocks), available: bytes(found.f_bavail) })
}

/// The kind of the file system that holds `path`, as numbered in `statfs(2)`. Blocks. In a
/// simulated world it is ext4; the world itself decides whether direct writes work.
pub(super) fn kind(path: &Path) -> io::Result<u32> {
    #[cfg(feature = "sim")]
    if crate::sim::current().is_some() {
        return Ok(0xef53);
    }
    let path = c_path(path)?;
    // SAFETY: all-zero is a valid statfs, which is plain numbers.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends in a zero byte and both outlive the call.
    if unsafe { libc::statfs(path.as_ptr(), &mut found) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // The kernel's numbers have 32 bits, whatever the type of the field is.
    Ok(found.f_type as u32)
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the path holds a zero byte"))
}
