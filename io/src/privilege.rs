//! The one privilege that the node can use: to take over the empty directory it is to store in.
//!
//! A container runtime makes the directory of a bind mount as root, and the node in the container
//! is nobody in particular. The image therefore gives the program's file the capability to change
//! owners; the program does so itself ([`grant`]), because not every builder of images keeps what a
//! copied file had, and an image of nothing but this file has no other tool. It is used once, for a
//! directory with nothing in it, and given up before anything else happens; where a runtime
//! withholds it (`--cap-drop`, `no-new-privileges`) nothing changes.

use rustix::fs::{XattrFlags, setxattr};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

/// CAP_CHOWN's number.
const CHOWN_BIT: u32 = 0;

/// Takes over `dir` if it is empty and somebody else's, where the process may; then gives up every
/// capability. True if it was taken. To be called before there are threads; does nothing as root.
///
/// # Errors
/// What the operating system said.
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
    // A program that is started with a capability may not look at itself in /proc; metrics do.
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    taken
}

/// Gives this program's file the capability that [`take_empty_dir`] uses, permitted and not in
/// effect. To be called as root, when an image is built.
///
/// # Errors
/// What the operating system said.
pub fn grant() -> io::Result<()> {
    // `struct vfs_cap_data` of linux/capability.h, in little endian: revision 2, the lower and the
    // upper halves of what is permitted and what is inherited.
    let words: [u32; 5] = [0x0200_0000, 1 << CHOWN_BIT, 0, 0, 0];
    let value = words.map(u32::to_le_bytes).concat();
    let program = std::env::current_exe()?;
    Ok(setxattr(program, "security.capability", &value, XattrFlags::empty())?)
}

/// Whether `dir` is there, somebody else's and has nothing in it.
fn is_foreign(dir: &Path, user: u32) -> bool {
    let is_empty = || std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    std::fs::metadata(dir).is_ok_and(|found| found.is_dir() && found.uid() != user) && is_empty()
}
