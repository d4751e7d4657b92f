//! The samples of a series: all of one value kind, bit-exact.

/// The bits of Prometheus' stale marker, a NaN that means "this series has ended here".
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Whether `value` is Prometheus' stale marker (an ordinary NaN is not).
#[must_use]
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// The kind of value of all samples in a series. The series entry and every format store it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum ValueKind {
    /// A 64-bit float, any bit pattern.
    #[default]
    Float = 0,
}

impl ValueKind {
    /// The kind stored as `code`, or `None` if this version does not know it.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Float),
            _ => None,
        }
    }
}
