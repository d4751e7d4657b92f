//! The node: wires the parts. The only crate that knows them all.
//!
//! Suggested reading order: [`node`] (start and stop), [`message`] (what cores ask each other),
//! [`coordinator`] (a call becomes messages), [`dbnode`] (one core's storage), [`catalog`]
//! (namespaces), [`memory`], [`turn`], [`telemetry`], [`log`],
//! [`limits`], [`banner`], [`health`].

pub mod banner;
pub mod catalog;
pub mod config;
pub mod coordinator;
pub mod dbnode;
pub mod health;
pub mod limits;
pub mod log;
pub mod memory;
pub mod message;
pub mod node;
pub mod telemetry;
pub mod turn;
