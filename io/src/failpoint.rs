//! Places where a simulated world can make the node panic.

/// Panics if the simulated world has armed `name` with bytes that are in `what`
/// (`sim::World::arm`). Does nothing in a real node.
#[inline(always)]
pub fn failpoint(name: &str, what: &[u8]) {
    #[cfg(feature = "sim")]
    if let Some(world) = crate::sim::current() {
        assert!(!world.is_armed(name, what), "failpoint {name}");
    }
    #[cfg(not(feature = "sim"))]
    let _ = (name, what);
}
