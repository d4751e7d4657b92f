//! The HTTP layer ("the door"): HTTP/1.1, M3's and Prometheus' routes, JSON, protobuf, and the
//! decoders of the write formats.
//!
//! Suggested reading order: [`message`], [`wire`], [`server`], [`api`], [`ingest`], [`reply`].
//!
//! ```text
//! socket -> server (wire: head, body) -> Request -> api::Api::route -> Call -> the coordinator
//! socket <- server <- Response <- reply::ReplyFormat::render <- Reply <----------- the coordinator
//! ```
//!
//! Always holds: nothing a client sends makes this crate panic or take memory beyond a limit of
//! [`server::ServerLimits`]; a connection's responses are sent in the order of its requests.

pub mod api;
pub mod ingest;
pub mod message;
pub mod proto;
pub mod reply;
pub mod server;
pub mod snappy;
pub mod wire;

pub use api::{Api, ApiError, ApiSettings, Call, Listener, Reply, Routed};
pub use message::{Headers, Method, Params, Request, Response};
pub use server::{Handler, ServerLimits, ServerStats, serve};
