//! The node: connects all other crates. Only this crate knows all of them.
//!
//! Suggested reading order: [`settings`] and [`shared`] (used by everything else), [`node`] (start
//! and stop), `door` (a request becomes a call), [`message`] (what cores ask each other),
//! [`coordinator`] (a call becomes a request to the engine), [`engine`] (queries, searches and
//! writes, without a protocol), [`dbnode`] (one core's storage), [`catalog`] (namespaces),
//! [`memory`], [`turn`], [`quarantine`], [`telemetry`], [`log`], [`start_warnings`],
//! [`banner`], [`health`].

pub mod banner;
pub mod catalog;
pub mod config;
pub mod coordinator;
pub mod dbnode;
pub(crate) mod door;
pub mod engine;
pub mod health;
pub mod log;
pub mod memory;
pub mod message;
pub mod node;
pub mod quarantine;
pub mod settings;
pub mod shared;
pub mod start_warnings;
pub mod telemetry;
pub mod turn;
