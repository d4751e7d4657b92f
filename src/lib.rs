//! The node: wires the parts. The only crate that knows them all.
//!
//! Suggested reading order: [`settings`] and [`shared`] (what everything else stands on), [`node`]
//! (start and stop), `door` (a request becomes a call), [`message`] (what cores ask each other),
//! [`coordinator`] (a call becomes what the engine is asked), [`engine`] (what a node can do,
//! whoever asks), [`dbnode`] (one core's storage), [`catalog`]
//! (namespaces), [`memory`], [`turn`], [`quarantine`], [`telemetry`], [`log`], [`limits`],
//! [`banner`], [`health`].

pub mod banner;
pub mod catalog;
pub mod config;
pub mod coordinator;
pub mod dbnode;
pub(crate) mod door;
pub mod engine;
pub mod health;
pub mod limits;
pub mod log;
pub mod memory;
pub mod message;
pub mod node;
pub mod quarantine;
pub mod settings;
pub mod shared;
pub mod telemetry;
pub mod turn;
