//! The one privilege that the node can use: to take over the empty directory it is to store in.
//!
//! A container runtime makes the directory of a bind mount as root, and the node in the container
//! is nobody in particular. The image therefore gives the program's file the capability to change
//! owners. It is used once, for a directory with nothing in it, and given up before anything else
//! happens; where a runtime withholds it (`--cap-drop`, `no-new-privileges`) nothing changes.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

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

/// Whether `dir` is there, somebody else's and has nothing in it.
fn is_foreign(dir: &Path, user: u32) -> bool {
    let is_empty = || std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    std::fs::metadata(dir).is_ok_and(|found| found.is_dir() && found.uid() != user) && is_empty()
}
