//! The node: wires the parts.
