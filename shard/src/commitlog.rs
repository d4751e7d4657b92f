//! The commit log: every accepted sample, in order of arrival, until its block is on disk.
//!
//! A core has one log. Requests append to the pending payload; one task takes it whole, writes it
//! as one frame and syncs it (group commit), and every request that had a part in it is answered.
//! While a frame is being synced the next payload gathers, so the busier the core, the larger the
//! frames and the fewer the syncs per sample.
//!
//! Invariants:
//! - A frame is written only after the frame before it is synced. So at most the last frame of a
//!   log can be torn by a crash, and an unreadable frame with a readable one after it is damage.
//! - A series' labels stand in the log before its first sample, in the same frame or an earlier
//!   one.
//! - A frame's samples can be read without any other frame but those that define its series.
//! - A failed write or sync is final: nothing more is acknowledged and the node stops.
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
