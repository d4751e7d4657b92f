//! The control plane of a node: the KV store, the placement, the namespaces and the admin routes
//! that show and change them.
//!
//! Suggested reading order: [`kv`] (versioned keys; [`kv::file`] is the embedded store), [`jsonpb`]
//! (how M3 writes documents), [`namespace`], [`placement`], [`topic`] (the documents and their
//! rules, pure), [`admin`] (the routes).
//!
//! Always holds: only [`kv::file`] does I/O, and only through `m3_io::file`. A document is stored
//! as the JSON that the routes return, so stored and shown cannot differ. A damaged store is
//! reported and never served.

pub mod admin;
mod error;
pub mod jsonpb;
pub mod kv;
pub mod limits;
pub mod namespace;
pub mod placement;
pub mod topic;

pub use admin::{Admin, AdminReply, AdminRequest, AdminRoute, Service, handle};
pub use error::Error;
pub use kv::{Kv, Versioned};
pub use namespace::{NamespaceMetadata, NamespaceOptions, Registry};
