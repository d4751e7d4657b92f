//! The only privilege that the node uses: to take over the empty directory for its data.
//!
//! A container runtime creates the directory of a bind mount as root, while the node in the
//! container runs as an unprivileged user. So in the image the program's file has the capability to
//! change owners. The program gives it to itself ([`grant`]), because some image builders drop the
//! capabilities of copied files, and an image that contains only this file has no other tool. The
//! node uses the capability once, for an empty directory, and gives it up before it does anything
//! else. If a runtime withholds it (`--cap-drop`, `no-new-privileges`), nothing changes.

use rustix::fs::{XattrFlags, setxattr};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

/// CAP_CHOWN's number.
const CHOWN_BIT: u32 = 0;

/// Takes over `dir` if it is empty, belongs to someone else and the process may change its owner;
/// then gives up every capability. Returns whether it was taken over. Must be called before there
/// are threads. Does nothing as root.
///
/// # Errors
/// The operating system's error.
pub fn take_empty_dir(dir: &Path) -> io::Result<bool> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let held = capabilities(None)?;
    if user.is_root() || held.permitted.is_empty() {
        return Ok(false);
    }
    let taken =
        match held.permitted.contains(CapabilitySet::CHOWN) && is_foreign(dir, user.as_raw()) {
            true => {
                set_capabilities(None, CapabilitySets { effective: CapabilitySet::CHOWN, ..held })?;
                chown(dir, Some(user.as_raw()), Some(group.as_raw())).map(|()| true)
            }
            false => Ok(false),
        };
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    // Linux hides a program's own /proc entries if it was started with a capability, but the
    // metrics need them.
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    taken
}

/// Gives this program's file the capability that [`take_empty_dir`] uses: permitted, not effective.
/// Called as root when an image is built.
///
/// # Errors
/// The operating system's error.
pub fn grant() -> io::Result<()> {
    // `struct vfs_cap_data` of linux/capability.h, little-endian: revision 2, then the lower and
    // upper halves of the permitted and inheritable sets.
    let words: [u32; 5] = [0x0200_0000, 1 << CHOWN_BIT, 0, 0, 0];
    let value = words.map(u32::to_le_bytes).concat();
    let program = std::env::current_exe()?;
    Ok(setxattr(program, "security.capability", &value, XattrFlags::empty())?)
}

/// Whether `dir` exists, is empty and belongs to someone else.
fn is_foreign(dir: &Path, user: u32) -> bool {
    let is_empty = || std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    std::fs::metadata(dir).is_ok_and(|found| found.is_dir() && found.uid() != user) && is_empty()
}
