//! The commit log: every accepted sample, in order of arrival, until its block is on disk.
//!
//! Each core has one log. Requests append to the pending payload. One task takes the payload,
//! writes it as one frame and syncs it (group commit), and then all requests in it are answered.
//! The next payload gathers while a frame is being synced. So the busier the core is, the larger
//! its frames and the fewer its syncs per sample.
//!
//! Invariants:
//! - A frame is written only after the frame before it is synced. So at most the last frame of a
//!   log can be torn by a crash, and an unreadable frame with a readable one after it is damage.
//! - A series' labels are in the log before its first sample, in the same frame or an earlier one.
//! - Decoding a frame's samples needs no other frame except those that define its series.
//! - A failed write or sync is final: nothing more is acknowledged, and the node stops.
//!
//! Layout: see FORMAT.md, "Commit log".

pub mod entry;
pub mod frame;
mod output;
mod prepare;
pub mod replay;
pub mod segment;
#[cfg(test)]
mod testing;
pub mod writer;

pub use entry::{Entry, Payload};
pub use replay::{Damage, ReplayStats};
pub use writer::{Ack, CommitLog, LogFailed, Options};
